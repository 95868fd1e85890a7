package vault

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Destination says where a value may land. Exactly one kind is set; HTTP is
// the only kind so far. A secret without destinations cannot be used.
type Destination struct {
	HTTP *HTTPDestination `json:"http,omitempty"`
}

// HTTPDestination is a set of HTTP requests and the one [Place] in them where
// the value may stand.
type HTTPDestination struct {
	Scheme  string         `json:"scheme"`            // "https" or "http"
	Host    string         `json:"host"`              // as ParseHostPattern returns it
	Port    int            `json:"port"`              // 1 to 65535
	Methods []string       `json:"methods,omitempty"` // upper case, sorted; none: every method
	Paths   []Glob         `json:"paths,omitempty"`   // over the canonical URL path; none: every path
	In      Place          `json:"in"`
	Network []netip.Prefix `json:"network,omitempty"` // private ranges the host may resolve into
	Answer  Answer         `json:"answer,omitzero"`   // how much of what comes back is shown
}

// Target is one concrete HTTP request, in the canonical form that redeem makes.
type Target struct {
	Scheme string // "https" or "http"
	Host   string // as ParseHost returns it
	Port   int
	Method string // upper case
	Path   string // canonical escaped path, starting with "/"
}

// ParseDestination reads the text of --to: a host with optional scheme, port,
// path glob and leading methods. Missing parts mean https, the scheme's port,
// every path and every method; in is where the value may stand.
//
//	api.openai.com
//	https://api.openai.com/v1/*
//	GET,POST https://*.example.com:8443/api/*
//	http://localhost:8080
//
// The error is an *[InvalidError] of field "to".
func ParseDestination(s string, in Place, network ...netip.Prefix) (Destination, error) {
	d := HTTPDestination{Scheme: "https", In: in, Network: network}
	rest := s
	if methods, after, ok := strings.Cut(s, " "); ok {
		rest = after
		for m := range strings.SplitSeq(methods, ",") {
			d.Methods = append(d.Methods, strings.ToUpper(m))
		}
	}
	if scheme, after, ok := strings.Cut(rest, "://"); ok {
		d.Scheme, rest = strings.ToLower(scheme), after
	}
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	if strings.Contains(authority, "@") {
		return Destination{}, invalid("to", "has user information")
	}
	host, port, err := splitAuthority(authority, d.Scheme)
	if err != nil {
		return Destination{}, err
	}
	d.Host, d.Port = host, port
	if path != "" && path != "/" {
		d.Paths = []Glob{Glob(path)}
	}
	out := Destination{HTTP: &d}
	return out, out.Check()
}

func splitAuthority(authority, scheme string) (host string, port int, err error) {
	port = DefaultPort(scheme)
	host = authority
	if i := strings.LastIndexByte(authority, ':'); i >= 0 && !strings.HasSuffix(authority, "]") {
		if port, err = ParsePort(authority[i+1:]); err != nil {
			return "", 0, invalid("to", "has a port that is not 1 to 65535")
		}
		host = authority[:i]
		if strings.Contains(host, ":") && !strings.HasSuffix(host, "]") {
			return "", 0, invalid("to", "has an IPv6 address without brackets")
		}
	}
	return host, port, nil
}

// DefaultPort returns 443 for https, 80 for http and 0 for anything else.
func DefaultPort(scheme string) int {
	switch scheme {
	case "https":
		return 443
	case "http":
		return 80
	default:
		return 0
	}
}

// ParsePort reads a decimal port from 1 to 65535 without sign or leading zero.
// The error is an *[InvalidError] of field "port".
func ParsePort(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 65535 || s != strconv.Itoa(n) {
		return 0, invalid("port", "is not 1 to 65535")
	}
	return n, nil
}

// Origin is scheme and host, with the port where it is not the scheme's own
// (RFC 6454 §6.2).
func (t Target) Origin() string { return origin(t.Scheme, t.Host, t.Port) }

func origin(scheme, host string, port int) string {
	switch {
	case port != DefaultPort(scheme):
		return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port))
	case strings.Contains(host, ":"):
		return scheme + "://[" + host + "]"
	default:
		return scheme + "://" + host
	}
}

// Equal reports whether two destinations say the same.
func (d Destination) Equal(e Destination) bool {
	if d.HTTP == nil || e.HTTP == nil {
		return d.HTTP == e.HTTP
	}
	return d.HTTP.Equal(*e.HTTP)
}

// Equal reports whether two destinations say the same.
func (h HTTPDestination) Equal(g HTTPDestination) bool {
	return h.Scheme == g.Scheme && h.Host == g.Host && h.Port == g.Port && h.In == g.In &&
		slices.Equal(h.Methods, g.Methods) && slices.Equal(h.Paths, g.Paths) && slices.Equal(h.Network, g.Network) &&
		h.Answer.Equal(g.Answer)
}

// Limits of one destination.
const (
	MaxDestinationMethods  = 20
	MaxDestinationPaths    = 50
	MaxDestinationPathLen  = 1024 // bytes
	MaxDestinationNetworks = 20
	MaxPlaceBytes          = 512 // name and template together
)

// Check normalises d in place (host spelling, sorted methods, masked networks)
// and reports the first broken rule as an *[InvalidError] of field "to", "in"
// or "answer".
func (d *Destination) Check() error {
	h := d.HTTP
	if h == nil {
		return invalid("to", "names no destination")
	}
	if h.Scheme != "https" && h.Scheme != "http" {
		return invalid("to", "has a scheme other than https and http")
	}
	host, err := ParseHostPattern(h.Host)
	if err != nil {
		return invalid("to", "%s", err.Error())
	}
	h.Host = host
	if h.Port < 1 || h.Port > 65535 {
		return invalid("to", "has a port that is not 1 to 65535")
	}
	if len(h.Methods) > MaxDestinationMethods || len(h.Paths) > MaxDestinationPaths || len(h.Network) > MaxDestinationNetworks {
		return invalid("to", "names more than %d methods, %d paths or %d networks", MaxDestinationMethods, MaxDestinationPaths, MaxDestinationNetworks)
	}
	for _, m := range h.Methods {
		if !methodName(m) {
			return invalid("to", "has a method that is not an upper-case word, or CONNECT or TRACE")
		}
	}
	slices.Sort(h.Methods)
	h.Methods = slices.Compact(h.Methods)
	for _, p := range h.Paths {
		if !pathGlob(string(p)) {
			return invalid("to", `has a path that does not start with "/", is longer than 1024 bytes, or has a space, "%%", "?", "#", "\", "//" or a dot segment`)
		}
	}
	for i, n := range h.Network {
		if !n.IsValid() {
			return invalid("to", "has a network that is not an address range")
		}
		h.Network[i] = n.Masked()
	}
	if err := h.In.check(); err != nil {
		return err
	}
	return h.Answer.check()
}

func methodName(m string) bool {
	if m == "" || len(m) > 20 || m == "CONNECT" || m == "TRACE" {
		return false
	}
	for i := range len(m) {
		if m[i] < 'A' || m[i] > 'Z' {
			return false
		}
	}
	return true
}

func pathGlob(p string) bool {
	if !strings.HasPrefix(p, "/") || len(p) > MaxDestinationPathLen || strings.ContainsAny(p, `%?#\ `) || strings.Contains(p, "//") || !printableASCII(p) {
		return false
	}
	for segment := range strings.SplitSeq(p, "/") {
		if segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// Allows reports whether the request t is one of d's. The place is not
// checked here.
func (h HTTPDestination) Allows(t Target) bool {
	return h.Scheme == t.Scheme && h.Port == t.Port && MatchHost(h.Host, t.Host) &&
		(len(h.Methods) == 0 || slices.Contains(h.Methods, t.Method)) &&
		(len(h.Paths) == 0 || slices.ContainsFunc(h.Paths, func(g Glob) bool { return g.Match(t.Path) }))
}

// String returns text that [ParseDestination] reads back when there is at
// most one path, without the place, the network and the answer.
func (d Destination) String() string {
	h := d.HTTP
	if h == nil {
		return ""
	}
	var b strings.Builder
	if len(h.Methods) > 0 {
		b.WriteString(strings.Join(h.Methods, ",") + " ")
	}
	b.WriteString(origin(h.Scheme, h.Host, h.Port))
	for i, p := range h.Paths {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString(string(p))
	}
	return b.String()
}

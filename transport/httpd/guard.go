package httpd

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// guard holds what Host and Origin may be.
type guard struct {
	port    string              // that was bound, decimal
	exact   bool                // Host is one of hosts and nothing else
	bare    bool                // the bound port is the scheme's own, so Host may leave it out
	hosts   map[string]struct{} // lower case, as they may stand in Host
	origins map[string]struct{} // lower case, as they may stand in Origin
}

func newGuard(port string, secure bool, hosts, origins []string) (*guard, error) {
	g := &guard{
		port: port, bare: port == "80" && !secure || port == "443" && secure,
		hosts: map[string]struct{}{}, origins: map[string]struct{}{},
	}
	for _, h := range hosts {
		h = asciiLower(h)
		u, err := url.Parse("//" + h)
		if err != nil || h == "" || u.Host != h || u.Hostname() == "" || strings.ContainsAny(h, "*,%") || strings.HasSuffix(h, ":") {
			return nil, errors.New("an allowed host is not NAME or NAME:PORT (no scheme, no wildcard)")
		}
		g.hosts[h] = struct{}{}
		if u.Port() == "" {
			g.hosts[h+":"+port] = struct{}{}
		}
	}
	for _, o := range origins {
		o = asciiLower(o)
		u, err := url.Parse(o)
		if err != nil || u.Scheme == "" || u.Hostname() == "" || u.Scheme+"://"+u.Host != o || strings.ContainsAny(o, "*,%") || strings.HasSuffix(o, ":") {
			return nil, errors.New("an allowed origin is not SCHEME://HOST or SCHEME://HOST:PORT (no path, no wildcard, not null)")
		}
		// Browsers leave the scheme's own port out.
		if u.Scheme == "http" && u.Port() == "80" || u.Scheme == "https" && u.Port() == "443" {
			o = strings.TrimSuffix(o, ":"+u.Port())
		}
		g.origins[o] = struct{}{}
	}
	return g, nil
}

// check says why r may not come in, or returns nil. origin is the allowed
// Origin, as it was sent, or empty.
func (g *guard) check(r *http.Request) (origin string, no *refusal) {
	// In the absolute form, and in that of CONNECT, net/http takes the host from
	// the target and forgets the Host field: it could have said anything.
	if !strings.HasPrefix(r.RequestURI, "/") || r.URL.Host != "" {
		return "", &refusedTarget
	}
	// net/http takes the field out of the map; one that is still there is a second.
	if len(r.Header["Host"]) > 0 || !g.hostOK(r.Host) {
		return "", &refusedHost
	}
	switch sent := r.Header["Origin"]; {
	case len(sent) == 1 && g.originOK(sent[0]):
		return sent[0], nil
	case len(sent) > 0:
		return "", &refusedOrigin
	}
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "same-origin" && site != "none" {
			return "", &refusedOrigin
		}
	}
	return "", nil
}

func (g *guard) hostOK(host string) bool {
	host = asciiLower(host)
	if _, ok := g.hosts[host]; ok {
		return true
	}
	if g.exact {
		return false
	}
	name, hasPort := strings.CutSuffix(host, ":"+g.port)
	return (hasPort || g.bare) && isLoopbackName(name)
}

func (g *guard) originOK(origin string) bool {
	_, ok := g.origins[asciiLower(origin)]
	return ok
}

// isLoopbackName accepts localhost, [::1] and the dotted form of 127.0.0.0/8.
// The many other spellings of these addresses are for those who want to slip
// past a comparison.
func isLoopbackName(name string) bool {
	if name == "localhost" || name == "[::1]" {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Is4() && addr.IsLoopback()
}

// asciiLower is not strings.ToLower, and comparisons here are not
// strings.EqualFold: these also fold letters such as the Kelvin sign and the
// long s into ASCII ones.
func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

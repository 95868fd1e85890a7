package redeem

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// The grammar of a URL, after RFC 3986, much narrower:
//
//	url     = ("http" / "https") "://" host [":" port] path ["?" query]
//	host    = what vault.ParseHost accepts; an IPv6 address in brackets
//	port    = 1 to 65535 in decimal without a leading zero
//	path    = *("/" segment)    ; no empty segment but the last, "" is "/"
//	segment = *(pchar / "%" HEX HEX)
//	query   = *(pchar / "%" HEX HEX / "/" / "?" / "[" / "]")
//
// No userinfo, no fragment, no byte outside printable ASCII except letters of
// an internationalised host name. In the path an escape that hides a
// separator, a control character, "%", "?" or "#" is refused; escapes of
// unreserved characters are undone and the others written in upper case; no
// segment is ".", ".." or either of them before a ";"; a segment decodes to
// UTF-8 in Unicode form NFKC, so that no reader finds another slash or dot in
// it. The query is not changed.

// parseURL returns the target without method, and the raw query.
func parseURL(raw string) (vault.Target, string, error) {
	t, query, reason := splitURL(raw)
	if reason != "" {
		return vault.Target{}, "", refuse(CodeURL, "The URL "+reason+".",
			"Write an absolute http or https URL in its plainest spelling; put odd characters into query parameters.")
	}
	return t, query, nil
}

func splitURL(raw string) (t vault.Target, query, reason string) {
	switch {
	case raw == "":
		return t, "", "is empty"
	case len(raw) > MaxURLBytes:
		return t, "", "is longer than 8 KiB"
	case strings.Contains(raw, "#"):
		return t, "", "has a fragment"
	}
	for i := range len(raw) {
		if raw[i] <= ' ' || raw[i] == 0x7f || raw[i] == '\\' {
			return t, "", "has a space, a control character or a backslash in it"
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return t, "", "cannot be parsed"
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	t.Scheme = strings.ToLower(scheme)
	if !ok || (t.Scheme != "http" && t.Scheme != "https") || u.Scheme != t.Scheme || u.Opaque != "" {
		return t, "", "does not start with http:// or https://"
	}
	rest, query, _ = strings.Cut(rest, "?")
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	if u.User != nil || strings.Contains(authority, "@") {
		return t, "", "has user information before the host"
	}
	if u.Host != authority || u.RawQuery != query {
		return t, "", "can be read in more than one way"
	}
	if len(handle.Find(authority)) > 0 {
		return t, "", "has a handle in its host"
	}
	if t.Host, t.Port, reason = splitHost(authority, t.Scheme); reason != "" {
		return t, "", reason
	}
	if t.Path, reason = canonicalPath(path); reason != "" {
		return t, "", reason
	}
	return t, query, checkQuery(query)
}

func splitHost(authority, scheme string) (host string, port int, reason string) {
	host, port = authority, vault.DefaultPort(scheme)
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		var err error
		if port, err = vault.ParsePort(authority[i+1:]); err != nil {
			return "", 0, "has a port that is not 1 to 65535 in plain decimal"
		}
		host = authority[:i]
	}
	if strings.ContainsAny(host, "%*") || !plainName(host) || strings.Contains(host, ":") != strings.HasPrefix(host, "[") {
		return "", 0, "has a host that is not a plain name or address"
	}
	host, err := vault.ParseHost(host)
	if err != nil {
		return "", 0, "has a host that is not a plain name or address"
	}
	return host, port, ""
}

// plainName reports whether what is not ASCII in host is letters, marks and
// digits in Unicode form NFKC. IDNA would map the rest to other characters or
// to nothing, as not every reader does.
func plainName(host string) bool {
	if !utf8.ValidString(host) || !norm.NFKC.IsNormalString(host) {
		return false
	}
	for _, r := range host {
		if r >= utf8.RuneSelf && !unicode.In(r, unicode.Letter, unicode.Mark, unicode.Digit) {
			return false
		}
	}
	return true
}

const pathReason = "has a path that servers read in different ways"

func canonicalPath(path string) (string, string) {
	if path == "" || path == "/" {
		return "/", ""
	}
	var b strings.Builder
	rest := path[1:]
	for {
		segment, after, more := strings.Cut(rest, "/")
		if segment == "" && more {
			return "", "has an empty segment (//) in its path"
		}
		clean, reason := canonicalSegment(segment)
		if reason != "" {
			return "", reason
		}
		b.WriteString("/" + clean)
		if !more {
			return b.String(), ""
		}
		rest = after
	}
}

func canonicalSegment(s string) (canonical, reason string) {
	var out strings.Builder
	plain := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '%' {
			if !pchar(c) {
				return "", "has a character in its path that must be percent-encoded"
			}
			out.WriteByte(c)
			plain = append(plain, c)
			continue
		}
		decoded, ok := escape(s, i)
		switch {
		case !ok, decoded < ' ', decoded == 0x7f, strings.IndexByte(`/\%?#`, decoded) >= 0:
			return "", "has an escape in its path that is none, or hides a separator, a control character or another escape"
		case unreserved(decoded):
			out.WriteByte(decoded)
		default:
			out.WriteString("%" + strings.ToUpper(s[i+1:i+3]))
		}
		plain = append(plain, decoded)
		i += 2
	}
	if !utf8.Valid(plain) || !norm.NFKC.IsNormal(plain) {
		return "", pathReason
	}
	before, _, parameter := strings.Cut(string(plain), ";")
	if before == "." || before == ".." || parameter && before == "" {
		return "", "has a dot segment in its path"
	}
	return out.String(), ""
}

// checkQuery returns why a raw query cannot be sent as it is, or "".
func checkQuery(q string) string {
	for i := range len(q) {
		if q[i] == '%' {
			if _, ok := escape(q, i); !ok {
				return "has a percent sign in its query that starts no escape"
			}
		} else if !pchar(q[i]) && strings.IndexByte("/?[]", q[i]) < 0 {
			return "has a character in its query that must be percent-encoded"
		}
	}
	return ""
}

// escape decodes the "%XX" at s[i:].
func escape(s string, i int) (byte, bool) {
	if i+2 >= len(s) {
		return 0, false
	}
	high, low := unhex(s[i+1]), unhex(s[i+2])
	if high < 0 || low < 0 {
		return 0, false
	}
	return byte(high<<4 | low), true //nolint:gosec // two hexadecimal digits
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	default:
		return -1
	}
}

// unreserved and pchar are those of RFC 3986 §2.3 and §3.3, escapes apart.
func unreserved(c byte) bool {
	return mint.IsDigit(c) || c == '-' || c == '.' || c == '_' || c == '~'
}

func pchar(c byte) bool {
	return unreserved(c) || strings.IndexByte("!$&'()*+,;=:@", c) >= 0
}

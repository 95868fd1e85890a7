package vault

import "strings"

// SteeringHeader returns why a header is taken neither from a caller nor for a
// [Place], or "" when it is: it belongs to the connection (RFC 9110 §7.6.1), or
// makes a server read another request than the one that was checked. The rest
// of the sentence "Header NAME …". Case is of no matter.
//
// Names have letters, digits and hyphens only. Servers behind CGI, WSGI and
// their like read other characters as hyphens: X_HTTP_Method_Override would be
// the header that is refused under its own spelling.
func SteeringHeader(name string) string {
	const rewrites = "would make the server read another request than the one that was checked"
	name = canonicalHeader(name)
	switch name {
	case "":
		return "has a name that is not a token"
	case "Host":
		return "is taken from the URL"
	case "Connection", "Keep-Alive", "Te", "Trailer", "Upgrade", "Http2-Settings", "Expect":
		return "belongs to the connection (RFC 9110 §7.6.1)"
	case "Content-Length", "Transfer-Encoding":
		return "is computed from the body"
	case "Accept-Encoding":
		return "is set here, so that the answer can be scrubbed"
	case "Range", "If-Range":
		return "would fetch an answer in parts that cannot be scrubbed"
	case "X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Url", "X-Rewrite-Url", "X-Original-Host", "X-Host", "Forwarded", "Destination":
		return rewrites
	}
	switch {
	case strings.HasPrefix(name, "Proxy-"):
		return "belongs to a proxy"
	case strings.HasPrefix(name, "X-Forwarded-"):
		return rewrites
	case !plainHeader(name):
		return "has a character that some servers read as a hyphen"
	}
	return ""
}

func plainHeader(name string) bool {
	for i := range len(name) {
		if name[i] != '-' && !alphanumeric(name[i]) {
			return false
		}
	}
	return true
}

// canonicalHeader spells a field name as net/textproto does, or returns ""
// when it is not an RFC 9110 token.
func canonicalHeader(name string) string {
	if name == "" {
		return ""
	}
	out := []byte(name)
	upper := true
	for i, c := range out {
		if !tokenByte(c) {
			return ""
		}
		switch {
		case upper && c >= 'a' && c <= 'z':
			out[i] = c - 'a' + 'A'
		case !upper && c >= 'A' && c <= 'Z':
			out[i] = c - 'A' + 'a'
		}
		upper = c == '-'
	}
	return string(out)
}

func tokenByte(c byte) bool { return alphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 }

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

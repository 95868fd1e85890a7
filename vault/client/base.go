package client

import (
	"net/netip"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// parseBase returns the base URL with /v1 and without a slash at its end.
// Edition A's base URL contains /v1 and edition B's does not; both are taken.
func parseBase(text string, insecure bool) (string, error) {
	if text == "" {
		text = DefaultBaseURL
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return "", invalid("base URL", "is not https://HOST or https://HOST/v1")
	case u.User != nil:
		return "", invalid("base URL", "has a user in it; the key is Options.AgentKey")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#"):
		return "", invalid("base URL", "has a query or a fragment")
	case u.Scheme == "https":
	case u.Scheme != "http":
		return "", invalid("base URL", "is neither https nor http")
	case !loopback(u.Hostname()) && !insecure:
		return "", invalid("base URL", "is http beyond loopback: use https, or say Options.AllowInsecure")
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	path = strings.TrimRight(strings.TrimSuffix(path, "/v1"), "/")
	return u.Scheme + "://" + u.Host + path + "/v1", nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

// maxPathBytes bounds what is put into a URL. The rules of a service for paths
// are its own; here stands what no URL may carry.
const maxPathBytes = 1024

// checkPath reports a path that would not arrive as it is written.
func checkPath(field, p string) error {
	switch {
	case p == "":
		return invalid(field, "is empty")
	case len(p) > maxPathBytes:
		return invalid(field, "is longer than 1024 bytes")
	case !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl):
		return invalid(field, "has a character that is not printable")
	}
	for segment := range strings.SplitSeq(p, "/") {
		switch segment {
		case "":
			return invalid(field, "has an empty segment")
		case ".", "..":
			return invalid(field, "has a dot segment")
		}
	}
	return nil
}

// split returns a path as edition B names it.
func split(p string) (namespace, key string) {
	i := strings.LastIndexByte(p, '/')
	return p[:max(i, 0)], p[i+1:]
}

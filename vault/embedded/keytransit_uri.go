package embedded

import (
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
)

const transitForm = `is not "transit:https://HOST/MOUNT/keys/NAME"`

func (o *SourceOptions) parseTransit(rest string) (KeySource, error) {
	u, err := url.Parse(rest)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Fragment != "" || u.Opaque != "" || u.RawPath != "" {
		return nil, invalidSource(transitForm)
	}
	if u.User != nil {
		return nil, invalidSource("holds a user or a token, which do not belong in it")
	}
	switch u.Scheme {
	case "https":
	case "http":
		if !loopbackName(u.Hostname()) {
			return nil, invalidSource("is http to another machine; use https")
		}
	default:
		return nil, invalidSource(transitForm)
	}
	t := &transit{address: url.URL{Scheme: u.Scheme, Host: u.Host}, getenv: o.Getenv}
	var keys bool
	t.mount, t.name, keys = strings.Cut(strings.TrimPrefix(u.Path, "/"), "/keys/")
	if !keys || !plainNames(t.mount) || !plainName(t.name) {
		return nil, invalidSource(transitForm)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, invalidSource("has a query that is none")
	}
	for name, values := range query {
		to := map[string]*string{"token-file": &t.tokenFile, "ca-file": &t.caFile, "namespace": &t.namespace}[name]
		if to == nil || len(values) != 1 || values[0] == "" {
			return nil, invalidSource("may have token-file, ca-file and namespace in its query, once each, and nothing else")
		}
		*to = values[0]
	}
	for _, path := range []string{t.tokenFile, t.caFile} {
		if path != "" && !filepath.IsAbs(path) {
			return nil, invalidSource("names a file whose path is not absolute")
		}
		if !plainPath(path) {
			return nil, invalidSource("names a file with a control character")
		}
	}
	if t.namespace != "" && !plainNames(t.namespace) {
		return nil, invalidSource("has a namespace that is none")
	}
	return t, nil
}

// String returns the URI.
func (t *transit) String() string {
	u := t.address
	u.Path = "/" + t.mount + "/keys/" + t.name
	query := url.Values{}
	for name, value := range map[string]string{"token-file": t.tokenFile, "ca-file": t.caFile, "namespace": t.namespace} {
		if value != "" {
			query.Set(name, value)
		}
	}
	u.RawQuery = query.Encode()
	return "transit:" + u.String()
}

// plainNames accepts names with "/" between them.
func plainNames(text string) bool {
	for name := range strings.SplitSeq(text, "/") {
		if !plainName(name) {
			return false
		}
	}
	return true
}

// plainName accepts a name that means the same in a URI, a path and a window.
func plainName(text string) bool {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return text != "" && text[0] != '.' && !strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune(plain, r) })
}

func loopbackName(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

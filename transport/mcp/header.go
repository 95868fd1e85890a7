package mcp

import (
	"mime"
	"net/http"
	"strings"
)

// only returns the one value of a header, "" when it is absent, and false when
// it stands twice, so that everybody on the way reads the same.
func only(r *http.Request, name string) (string, bool) {
	values := r.Header.Values(name)
	switch len(values) {
	case 0:
		return "", true
	case 1:
		return values[0], true
	default:
		return "", false
	}
}

// plainJSON admits application/json in UTF-8 as it is. Forms and text, which a
// web page may send without asking, are refused with all else.
func plainJSON(h http.Header) bool {
	if len(h.Values("Content-Type")) != 1 || h.Get("Content-Encoding") != "" {
		return false
	}
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}

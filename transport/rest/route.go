package rest

import (
	"net/http"
	"slices"
	"strings"
)

// route is one operation of the door: a method and a pattern below /v1, with
// what the OpenAPI document says of it. The table of them is [operations].
//
// A pattern's segments are words, compared as they were sent; {id}, one segment
// without a slash in any form; and {path}, one or more segments, which name a
// secret or a namespace. A word after {path} belongs to the route (R1).
type route struct {
	method, pattern string
	id              string // operationId
	summary         string
	in, out         shape // of the query (GET, DELETE) or the body, and of the answer
	status          int   // of the answer
	also            []answer
	open            bool // served without a credential
	serve           func(*Handler, *call) (any, error)
	parts           []string // of pattern
}

// match fills in c when the route's pattern fits.
func (r *route) match(segments []segment, c *call) bool {
	at := slices.Index(r.parts, "{path}")
	if at < 0 {
		return len(segments) == len(r.parts) && matchEach(r.parts, segments, c)
	}
	after := len(r.parts) - at - 1
	end := len(segments) - after
	if end <= at || !matchEach(r.parts[:at], segments[:at], c) || !matchEach(r.parts[at+1:], segments[end:], c) {
		return false
	}
	c.named = segments[at:end]
	return true
}

func matchEach(parts []string, segments []segment, c *call) bool {
	for i, part := range parts {
		switch {
		case part == "{id}" && !segments[i].slashed():
			c.id = segments[i].text
		case part != segments[i].raw:
			return false
		}
	}
	return true
}

// find returns the route for a method and a path: the first in the table that
// fits. Without one, allow lists the methods that the path does have.
func find(routes []*route, method string, segments []segment, c *call) (r *route, allow []string) {
	for _, r := range routes {
		if !r.match(segments, c) {
			continue
		}
		for _, has := range r.methods() {
			if has == method {
				return r, nil
			}
			allow = append(allow, has)
		}
	}
	slices.Sort(allow)
	return nil, slices.Compact(allow)
}

// methods are those that the route is there for. HEAD is only where nobody opens,
// or takes a use for, what would then not be sent.
func (r *route) methods() []string {
	if r.open {
		return []string{r.method, http.MethodHead}
	}
	return []string{r.method}
}

// needsQuery reports that the operation takes its arguments from the query and
// not from a body.
func (r *route) needsQuery() bool { return r.method == http.MethodGet || r.method == http.MethodDelete }

func splitPattern(pattern string) []string {
	return strings.Split(strings.TrimPrefix(pattern, "/"), "/")
}

package redeem

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Why the [Response.Body] of a body that cannot be scrubbed is withheld.
const (
	WithheldEncoding = "content_encoding"
	WithheldCharset  = "charset"
)

// Response is an upstream's answer, before it is scrubbed.
type Response struct {
	Status    int     // 200 to 599
	Headers   []Field // sorted by name; those of the connection are dropped
	Body      []byte  // its encodings undone, at most [Options.MaxBody] bytes
	Charset   string  // what [UTF8] needs for it; "" when it is UTF-8 or not known to be anything else
	Truncated bool    // the body was longer; a value may be cut at its end
	Withheld  string  // why Body is empty although there was one: one of the constants or ""
	Redirect  string  // of a 3xx: its Location as an absolute URL; it was not followed
}

func (c *Client) read(ctx context.Context, p *Prepared, answer *http.Response) (*Response, error) {
	switch answer.StatusCode {
	case http.StatusSwitchingProtocols:
		return nil, &Upstream{Code: CodeUpgrade}
	case http.StatusPartialContent:
		return nil, &Upstream{Code: CodePartial}
	}
	if answer.StatusCode < 200 || answer.StatusCode > 599 {
		return nil, &Upstream{Code: CodeMalformed}
	}
	out := &Response{Status: answer.StatusCode, Headers: headers(answer.Header)}
	if location := answer.Header.Get("Location"); location != "" && out.Status >= 300 && out.Status < 400 {
		out.Redirect = p.resolve(location)
	}
	encodings, known := codings(answer.Header)
	if !known {
		out.Withheld = WithheldEncoding
		return out, nil
	}
	body, more, err := readBody(ctx, answer.Body, encodings, c.opts.MaxBody)
	if err != nil {
		return nil, err
	}
	if out.Charset, known = charset(answer.Header.Values("Content-Type"), body); !known {
		out.Withheld = WithheldCharset
		return out, nil
	}
	out.Body, out.Truncated = body, more
	return out, nil
}

// resolve makes a Location absolute; one that does not parse stays as it is.
func (p *Prepared) resolve(location string) string {
	base, err := url.Parse(p.target.Origin() + p.target.Path)
	if err != nil {
		return location
	}
	u, err := base.Parse(location)
	if err != nil {
		return location
	}
	return u.String()
}

// headers returns what may be shown of h. The length is dropped: beside a masked
// body it tells the length of the value, and of a compressed one how much of it
// the caller has guessed.
func headers(h http.Header) []Field {
	hop := map[string]bool{
		"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true, "Proxy-Connection": true,
		"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
		"Content-Length": true, "Content-Encoding": true,
	}
	for _, list := range h.Values("Connection") {
		for name := range strings.SplitSeq(list, ",") {
			hop[http.CanonicalHeaderKey(strings.TrimSpace(name))] = true
		}
	}
	var out []Field
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if hop[name] {
			continue
		}
		for _, v := range h[name] {
			if len(out) == maxFields {
				return out
			}
			out = append(out, Field{name, v})
		}
	}
	return out
}

// maxFields is how many fields of an answer's header are kept.
const maxFields = 100

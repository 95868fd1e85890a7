package redeem

import (
	"encoding/json"
	"slices"

	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// Limits of a [Call].
const (
	MaxURLBytes    = 8 << 10
	MaxHeaders     = 64
	MaxHeaderBytes = 32 << 10 // names and values together
	MaxQueryBytes  = 64 << 10 // URL query and Query together, encoded
	MaxBodyBytes   = 1 << 20
	MaxHandles     = 16 // standing anywhere in the request
)

// Field is one header or one query parameter.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Call is a request as a model wrote it, handles where the secrets would stand.
type Call struct {
	Method  string  // any case; "" is GET
	URL     string  // absolute, http or https
	Headers []Field // as many as [MaxHeaders]
	Query   []Field // added after the URL's own query, percent-encoded here

	// The body, at most [MaxBodyBytes]; one of these four at most.

	Body  string          // as it is sent; "": none
	JSON  json.RawMessage // one document, sent in its shortest spelling; nil: none
	Form  []Field         // application/x-www-form-urlencoded; nil: none
	Parts []Part          // multipart/form-data; nil: none

	// ContentType is the Content-Type of the body where Headers has none. ""
	// is that of JSON, Form or Parts; of a Body, application/json if it is
	// JSON, else text/plain.
	ContentType string
}

// Prepared is a [Call] in canonical form. It is immutable.
type Prepared struct {
	target  vault.Target
	query   string // as it is sent, without "?"
	headers []Field
	body    string
	slots   []Slot
}

// Prepare checks c against every rule that holds whatever the destination, and
// returns its canonical form. The error is a *[Refusal].
func Prepare(c Call) (*Prepared, error) {
	method, err := canonicalMethod(c.Method)
	if err != nil {
		return nil, err
	}
	target, rawQuery, err := parseURL(c.URL)
	if err != nil {
		return nil, err
	}
	target.Method = method
	p := &Prepared{target: target}
	p.note(InPath, target.Path)
	if err := p.addQuery(rawQuery, c.Query); err != nil {
		return nil, err
	}
	if err := p.addHeaders(c); err != nil {
		return nil, err
	}
	if err := p.addBody(c); err != nil {
		return nil, err
	}
	if len(p.slots) > MaxHandles {
		return nil, refuse(CodePlace, "More than 16 handles stand in one request.", "Use fewer secrets in one request.")
	}
	return p, nil
}

// note adds the handles in a part of the request where none may stand.
func (p *Prepared) note(part vault.In, text string) {
	for _, f := range handle.Find(text) {
		p.slots = append(p.slots, Slot{Handle: f.Text, In: part})
	}
}

func canonicalMethod(m string) (string, error) {
	if m == "" {
		return "GET", nil
	}
	out := []byte(m)
	for i, c := range out {
		if c >= 'a' && c <= 'z' {
			out[i] = c - 'a' + 'A'
		} else if c < 'A' || c > 'Z' {
			return "", refuse(CodeMethod, "The method is not a word of letters.", "Use a method such as GET or POST.")
		}
	}
	m = string(out)
	if len(m) > 20 || m == "CONNECT" || m == "TRACE" {
		return "", refuse(CodeMethod, "That method is not sent from here.", "Use a method such as GET or POST.")
	}
	return m, nil
}

// Target is what the policy and the destinations are asked about.
func (p *Prepared) Target() vault.Target { return p.target }

// URL is the canonical URL as it is sent, with the handles still in it.
func (p *Prepared) URL() string { return p.target.Origin() + p.requestURI(p.query) }

func (p *Prepared) requestURI(query string) string {
	if query == "" {
		return p.target.Path
	}
	return p.target.Path + "?" + query
}

// Handles returns the text of every handle in the request, once each, in the
// order of first standing.
func (p *Prepared) Handles() []string {
	var out []string
	for _, s := range p.slots {
		if !slices.Contains(out, s.Handle) {
			out = append(out, s.Handle)
		}
	}
	return out
}

// Slots returns where the handles stand, allowed or not.
func (p *Prepared) Slots() []Slot { return slices.Clone(p.slots) }

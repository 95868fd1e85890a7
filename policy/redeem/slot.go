package redeem

import (
	"slices"
	"strings"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// The parts of a request in which a handle may be found but never stands
// rightly.
const (
	InPath       vault.In = "path"
	InBody       vault.In = "body"
	InHeaderName vault.In = "header name"
	InQueryName  vault.In = "query name"
	InJSONName   vault.In = "json name"
	InFormName   vault.In = "form name"
)

// Slot is one place in the request where a handle stands.
type Slot struct {
	Handle   string   // the bare handle
	In       vault.In // that of a [vault.Place], or one of the parts above
	Name     string   // header in canonical spelling, query parameter, JSON pointer or form field
	Template string   // the whole value with [vault.Hole] instead of the handle

	header     int                 // index in Prepared.headers
	start, end int                 // the encoded value in Prepared.query or Prepared.body
	encode     func(string) string // how the body writes a value
}

// Placement is what one handle was found to fit: where its value may stand.
type Placement struct {
	Destination vault.HTTPDestination
	Shape       string // how the policy makes the handle look, "{handle}" for the handle; "" is bare
	// Answers are how much each destination that it fits shows of what comes
	// back: all of them hold, in whatever order they stand with the secret.
	Answers []vault.Answer
}

// Fits reports, as a *[Refusal] that says where the handle belongs, whether
// the slot is the place that the destination names. The handle stands there
// bare or in its shape.
func (s Slot) Fits(h vault.HTTPDestination, shape string) error {
	if h.In.In == s.In && (h.In.In == vault.InBasic || h.In.Name == s.Name) && s.fills(h.In, shape) {
		return nil
	}
	// Basic credentials written without the word Basic.
	if h.In.In == vault.InBasic && s.In == vault.InHeader && s.Name == authorization && s.fills(h.In, shape) {
		return nil
	}
	return refuse(CodePlace, "A handle stands in "+s.describe()+", where this secret may not go.", "Put it in "+Where(h.In)+".")
}

// fills reports whether the text around the handle is the place's template.
func (s Slot) fills(p vault.Place, shape string) bool {
	return s.Template == p.Template || shape != "" && s.Template == p.Fill(strings.Replace(shape, "{handle}", vault.Hole, 1))
}

func (s Slot) describe() string {
	switch s.In {
	case vault.InHeader:
		return "header " + s.Name
	case vault.InBasic:
		return "the Basic credentials of header " + authorization
	case vault.InQuery:
		return "a query parameter"
	case InPath:
		return "the URL's path"
	case InBody:
		return "the body"
	case vault.InJSON:
		return "a field of the JSON body"
	case vault.InForm:
		return "a field of the form"
	case InHeaderName:
		return "the name of a header"
	case InQueryName:
		return "the name of a query parameter"
	case InJSONName:
		return "a name in the JSON body"
	default:
		return "a name in the form"
	}
}

// Where says in words where a handle belongs: "header Authorization as
// `Bearer HANDLE`".
func Where(p vault.Place) string {
	switch p.In {
	case vault.InQuery:
		return "query parameter " + p.Name + " as `HANDLE`"
	case vault.InBasic:
		return "header " + authorization + " as `Basic " + p.Fill("HANDLE") + "`"
	case vault.InJSON:
		return "field " + p.Name + " (a JSON pointer) of the JSON body as `" + p.Fill("HANDLE") + "`"
	case vault.InForm:
		return "form field " + p.Name + " as `" + p.Fill("HANDLE") + "`"
	case vault.InHeader:
	}
	return "header " + p.Name + " as `" + p.Fill("HANDLE") + "`"
}

// Fit returns the first of the destinations whose place all slots of that
// handle fit and which covers the request, with the answers of all those. The error is the *[Refusal] of the
// last one that did not.
func (p *Prepared) Fit(handle, shape string, destinations []vault.Destination) (Placement, error) {
	var last error = refuse(CodeDestination, "No destination of the secret covers this request.", "Ask explain_access where it may go.")
	var found Placement
	for _, d := range destinations {
		if d.HTTP == nil || !d.HTTP.Allows(p.target) {
			continue
		}
		place := Placement{Destination: *d.HTTP, Shape: shape}
		if err := p.fits(handle, place); err != nil {
			last = err
			continue
		}
		if len(found.Answers) == 0 {
			found = place
		}
		found.Answers = append(found.Answers, d.HTTP.Answer)
	}
	if len(found.Answers) == 0 {
		return Placement{}, last
	}
	return found, nil
}

func (p *Prepared) fits(handle string, place Placement) error {
	if !place.Destination.Allows(p.target) {
		return refuse(CodeDestination, "The destination does not cover this request.", "")
	}
	if !slices.ContainsFunc(p.slots, func(s Slot) bool { return s.Handle == handle }) {
		return refuse(CodePlace, "The handle does not stand in the request.", "Put it in "+Where(place.Destination.In)+".")
	}
	for _, s := range p.slots {
		if s.Handle == handle {
			if err := s.Fits(place.Destination, place.Shape); err != nil {
				return err
			}
		}
	}
	return nil
}

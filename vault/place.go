package vault

import "strings"

// In is the part of an HTTP request a value stands in.
type In string

// The parts a [Place] may name.
const (
	InHeader In = "header"
	InQuery  In = "query"
	InBasic  In = "basic"
	InJSON   In = "json"
	InForm   In = "form"
)

// Hole marks where the value stands in a [Place]'s template.
const Hole = "{}"

// Place is where in an HTTP request a value may stand. Its text form, written
// by [Place.String] and read by [ParsePlace], is one of
//
//	header:Authorization: Bearer {}   the header's whole value, one hole
//	query:key                         the parameter's whole value
//	basic:user:{}                     user:password of Basic authentication (RFC 7617)
//	json:/auth/token                  the string that a [Pointer] names in a JSON body
//	form:client_secret                a field of a form, URL-encoded or multipart
//
// The last two take a template as well: "json:/auth: Bearer {}". No pointer and
// no name has ": " in it.
type Place struct {
	In       In     `json:"in"`
	Name     string `json:"name,omitempty"` // header in canonical spelling, query parameter, [Pointer] or form field
	Template string `json:"template"`       // text with exactly one [Hole]
}

// Bearer is the place of OAuth 2.0 bearer tokens (RFC 6750), the default.
var Bearer = Place{In: InHeader, Name: "Authorization", Template: "Bearer {}"}

const unknownPlace = "does not start with header:, query:, basic:, json: or form:"

// ParsePlace reads the text form. The error is an *[InvalidError] of field "in".
func ParsePlace(s string) (Place, error) {
	kind, rest, _ := strings.Cut(s, ":")
	p := Place{In: In(kind)}
	switch p.In {
	case InHeader:
		name, template, ok := strings.Cut(rest, ":")
		p.Name, p.Template = canonicalHeader(name), strings.TrimPrefix(template, " ")
		if !ok {
			p.Template = Hole
		}
	case InQuery:
		p.Name, p.Template = rest, Hole
	case InBasic:
		p.Template = rest
	case InJSON, InForm:
		var ok bool
		if p.Name, p.Template, ok = strings.Cut(rest, ": "); !ok {
			p.Template = Hole
		}
	default:
		return Place{}, invalid("in", unknownPlace)
	}
	return p, p.check()
}

func (p Place) check() error {
	if len(p.Name)+len(p.Template) > MaxPlaceBytes {
		return invalid("in", "is longer than %d bytes", MaxPlaceBytes)
	}
	switch p.In {
	case InHeader:
		if p.Name == "" || canonicalHeader(p.Name) != p.Name {
			return invalid("in", "does not name a header")
		}
		if !plainHeader(p.Name) {
			return invalid("in", "names a header with more than letters, digits and hyphens")
		}
		if SteeringHeader(p.Name) != "" {
			return invalid("in", "names a header that steers the connection")
		}
		if strings.TrimSpace(p.Template) != p.Template {
			return invalid("in", "has space around the header's value")
		}
	case InQuery:
		if !plainField(p.Name) {
			return invalid("in", "does not name a query parameter")
		}
		if p.Template != Hole {
			return invalid("in", "has a template around a query parameter")
		}
	case InBasic:
		if p.Name != "" || !strings.Contains(p.Template, ":") {
			return invalid("in", "is not basic:USER:PASSWORD with {} for one of them")
		}
	case InJSON:
		if !Pointer(p.Name).wellFormed() || strings.Contains(p.Name, ": ") {
			return invalid("in", "is not json: and a JSON pointer such as /auth/token")
		}
	case InForm:
		if !plainField(p.Name) || strings.ContainsAny(p.Name, `"\`) {
			return invalid("in", "does not name a form field")
		}
	default:
		return invalid("in", unknownPlace)
	}
	if strings.Count(p.Template, Hole) != 1 {
		return invalid("in", "does not have exactly one {}")
	}
	if !printableASCII(p.Template) {
		return invalid("in", "has a character that is not printable ASCII")
	}
	return nil
}

// String returns the text form, or "" for a place that [ParsePlace] did not make.
func (p Place) String() string {
	switch p.In {
	case InHeader:
		return "header:" + p.Name + ": " + p.Template
	case InQuery:
		return "query:" + p.Name
	case InBasic:
		return "basic:" + p.Template
	case InJSON, InForm:
		if p.Template == Hole {
			return string(p.In) + ":" + p.Name
		}
		return string(p.In) + ":" + p.Name + ": " + p.Template
	}
	return ""
}

// Fill returns the template with text in the hole.
func (p Place) Fill(text string) string { return strings.Replace(p.Template, Hole, text, 1) }

// plainField reports whether name is spelled alike in a query, a form and a
// message to people.
func plainField(name string) bool {
	return name != "" && !strings.ContainsAny(name, "&=#?%+ ") && printableASCII(name)
}

func printableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

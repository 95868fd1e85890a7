package redeem

import (
	"encoding/json"
	"mime"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/vault"
)

const (
	typeJSON = "application/json"
	typeForm = "application/x-www-form-urlencoded"
)

// addBody settles body and content type, and notes the handles in the body.
// A body that carries handles is written anew from what was read in it: each
// name once, each string in the one spelling of its format. What another reader
// might find in the caller's spelling is not there any more. One without
// handles is sent as it is.
func (p *Prepared) addBody(c Call) error {
	declared, err := p.declared(c.ContentType)
	if err != nil {
		return err
	}
	given := 0
	for _, is := range []bool{c.Body != "", c.JSON != nil, c.Form != nil, c.Parts != nil} {
		if is {
			given++
		}
	}
	kind := declared
	switch {
	case given > 1:
		return refuse(CodeBody, "There is more than one body.", "Give one of body, json, form and multipart.")
	case c.JSON != nil:
		kind, err = p.addJSON(c.JSON, declared)
	case c.Form != nil:
		kind, err = p.addForm(c.Form, declared)
	case c.Parts != nil:
		kind, err = p.addParts(c.Parts, declared)
	case c.Body != "":
		kind, err = p.addText(c.Body, declared)
	}
	if err != nil {
		return err
	}
	if len(p.body) > MaxBodyBytes {
		return refuse(CodeBody, "The body is longer than 1 MiB.", "Send less in one request.")
	}
	if kind != declared || declared != "" && c.ContentType != "" {
		p.headers = append(p.headers, Field{contentType, kind})
		p.findInHeader(len(p.headers) - 1)
	}
	return nil
}

// declared is the content type that the caller gives, in a header or beside
// the body.
func (p *Prepared) declared(beside string) (string, error) {
	beside = strings.Trim(beside, " ")
	if err := checkHeader(contentType, beside); err != nil {
		return "", err
	}
	for _, h := range p.headers {
		if h.Name != contentType {
			continue
		}
		if beside != "" {
			return "", refuse(CodeHeader, "The content type is there twice.", "Give it once.")
		}
		return h.Value, nil
	}
	return beside, nil
}

// addText takes a body that the caller wrote out. It is read only where the
// declared type says how; anywhere else a handle in it is out of place.
func (p *Prepared) addText(body, declared string) (kind string, err error) {
	if len(body) > MaxBodyBytes {
		return "", refuse(CodeBody, "The body is longer than 1 MiB.", "Send less in one request.")
	}
	p.body, kind = body, declared
	switch {
	case kind != "":
	case json.Valid([]byte(body)):
		kind = typeJSON
	default:
		kind = "text/plain; charset=utf-8"
	}
	var written writer
	var reason string
	switch format(kind) {
	case typeJSON:
		reason = written.json([]byte(body))
	case typeForm:
		var fields []Field
		if fields, reason = parseForm(body); reason == "" {
			reason = written.form(fields)
		}
	default:
		p.note(InBody, body)
		return kind, nil
	}
	if reason != "" && len(handle.Find(body)) > 0 {
		return "", refuse(CodeBody, "The body carries a handle and "+reason+".", "Give it as json, form or multipart, which are written for you.")
	}
	if reason == "" && len(written.slots) > 0 {
		p.take(&written)
	}
	return kind, nil
}

func (p *Prepared) addJSON(body json.RawMessage, declared string) (kind string, err error) {
	if kind = declared; kind == "" {
		kind = typeJSON
	}
	if format(kind) != typeJSON {
		return "", refuse(CodeHeader, "Header Content-Type does not say JSON.", "Leave that header out.")
	}
	var written writer
	if reason := written.json(body); reason != "" {
		return "", refuse(CodeBody, "The JSON body "+reason+".", "Give one JSON document, each name once in its object.")
	}
	p.take(&written)
	return kind, nil
}

func (p *Prepared) addForm(fields []Field, declared string) (kind string, err error) {
	if kind = declared; kind == "" {
		kind = typeForm
	}
	if format(kind) != typeForm {
		return "", refuse(CodeHeader, "Header Content-Type does not say a form.", "Leave that header out.")
	}
	var written writer
	if reason := written.form(fields); reason != "" {
		return "", refuse(CodeBody, "The form "+reason+".", "Give each field that carries a handle once.")
	}
	p.take(&written)
	return kind, nil
}

func (p *Prepared) take(w *writer) {
	p.body = w.text.String()
	p.slots = append(p.slots, w.slots...)
}

// format is the kind of body that a content type names: [typeJSON], [typeForm]
// or "". Another charset than UTF-8 makes it another kind: a reader would find
// other characters in it than were checked.
func format(contentType string) string {
	media, parameters, err := mime.ParseMediaType(contentType)
	if charset, given := parameters["charset"]; err != nil || given && !strings.EqualFold(charset, "utf-8") {
		return ""
	}
	switch {
	case media == typeJSON, strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"):
		return typeJSON
	case media == typeForm:
		return typeForm
	default:
		return ""
	}
}

// writer writes a body and remembers where the handles in it stand.
type writer struct {
	text  strings.Builder
	slots []Slot
}

// value writes text in an encoding and notes the handles in it, at most one
// more than a request may have: what is left is looked at by nobody.
func (w *writer) value(in vault.In, name func() string, text string, encode func(string) string) {
	start := w.text.Len()
	w.text.WriteString(encode(text))
	for _, h := range handle.Find(text) {
		if len(w.slots) > MaxHandles {
			return
		}
		w.slots = append(w.slots, Slot{
			Handle: h.Text, In: in, Name: name(), Template: text[:h.Start] + vault.Hole + text[h.End:],
			start: start, end: w.text.Len(), encode: encode,
		})
	}
}

// stray notes the handles in a part of the body where none may stand.
func (w *writer) stray(in vault.In, text string) {
	for _, h := range handle.Find(text) {
		if len(w.slots) > MaxHandles {
			return
		}
		w.slots = append(w.slots, Slot{Handle: h.Text, In: in})
	}
}

package redeem

import (
	"crypto/rand"
	"mime/multipart"
	"net/textproto"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// parseForm reads application/x-www-form-urlencoded as the URL standard of
// WHATWG does (§5.1), but refuses a percent sign that starts no escape.
func parseForm(body string) (fields []Field, reason string) {
	for i := range len(body) {
		if body[i] == '%' {
			if _, ok := escape(body, i); !ok {
				return nil, "has a percent sign that starts no escape"
			}
		}
	}
	for pair := range strings.SplitSeq(body, "&") {
		if pair != "" {
			name, value, _ := strings.Cut(pair, "=")
			fields = append(fields, Field{decodeQuery(name), decodeQuery(value)})
		}
	}
	return fields, ""
}

// form writes fields with every byte that is not unreserved as "%XX".
func (w *writer) form(fields []Field) string {
	for i, f := range fields {
		if i > 0 {
			w.text.WriteByte('&')
		}
		w.stray(InFormName, f.Name)
		w.text.WriteString(encodeQuery(f.Name) + "=")
		w.value(vault.InForm, func() string { return f.Name }, f.Value, encodeQuery)
	}
	return w.repeated(fields)
}

// repeated refuses a field that carries a handle and is there twice: readers
// differ in which of the two they take.
func (w *writer) repeated(fields []Field) string {
	count := map[string]int{}
	for _, f := range fields {
		count[f.Name]++
	}
	for _, s := range w.slots {
		if s.In == vault.InForm && count[s.Name] > 1 {
			return "has a field twice that carries a handle"
		}
	}
	return ""
}

// Part is one part of a multipart/form-data body (RFC 7578). A handle stands
// rightly only in a plain field, which has neither Filename nor ContentType.
type Part struct {
	Name        string
	Value       string
	Filename    string // "": none is sent
	ContentType string // "": none is sent
}

// addParts writes a multipart body. Its boundary has 128 random bits and is
// made here, after every value was stored: none can have it inside.
func (p *Prepared) addParts(parts []Part, declared string) (kind string, err error) {
	if declared != "" {
		return "", refuse(CodeHeader, "Header Content-Type stands beside a multipart body.", "Leave that header out.")
	}
	var written writer
	body := multipart.NewWriter(&written.text)
	_ = body.SetBoundary(rand.Text()) // letters and digits
	fields := make([]Field, 0, len(parts))
	for _, part := range parts {
		if reason := part.refused(); reason != "" {
			return "", refuse(CodeBody, "A part of the multipart body "+reason+".", "Give plain names; what a part holds may be any text.")
		}
		_, _ = body.CreatePart(part.header()) // into memory
		written.stray(InFormName, part.Name+"\n"+part.Filename+"\n"+part.ContentType)
		fields = append(fields, Field{Name: part.Name})
		if part.Filename != "" || part.ContentType != "" {
			written.stray(InBody, part.Value)
			written.text.WriteString(part.Value)
			continue
		}
		written.value(vault.InForm, func() string { return part.Name }, part.Value, asItIs)
	}
	_ = body.Close()
	if reason := written.repeated(fields); reason != "" {
		return "", refuse(CodeBody, "The multipart body "+reason+".", "Give each field that carries a handle once.")
	}
	p.take(&written)
	return body.FormDataContentType(), nil
}

func asItIs(s string) string { return s }

func (part Part) header() textproto.MIMEHeader {
	disposition := `form-data; name="` + part.Name + `"`
	if part.Filename != "" {
		disposition += `; filename="` + part.Filename + `"`
	}
	header := textproto.MIMEHeader{"Content-Disposition": {disposition}}
	if part.ContentType != "" {
		header[contentType] = []string{part.ContentType}
	}
	return header
}

// refused returns why the part's header cannot be written so that every reader
// understands it alike, or "". Nobody agrees on how to write a quotation mark.
func (part Part) refused() string {
	for _, name := range []string{part.Name, part.Filename} {
		if !utf8.ValidString(name) || strings.ContainsAny(name, `"\`) || strings.ContainsFunc(name, unicode.IsControl) {
			return "has a name with a quotation mark, a backslash or a control character"
		}
	}
	switch {
	case part.Name == "":
		return "has no name"
	case len(part.Name)+len(part.Filename)+len(part.ContentType) > maxPartHeader:
		return "has names longer than 1 KiB"
	case !printable(part.ContentType) || strings.TrimSpace(part.ContentType) != part.ContentType:
		return "has a content type that is not printable ASCII"
	}
	return ""
}

const maxPartHeader = 1 << 10

package redeem

import (
	"encoding/base64"
	"net/textproto"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/vault"
)

const (
	authorization = "Authorization"
	contentType   = "Content-Type"
)

// addHeaders checks the headers and notes the handles in them.
func (p *Prepared) addHeaders(c Call) error {
	if len(c.Headers) > MaxHeaders {
		return refuse(CodeHeader, "There are more than 64 headers.", "Send fewer.")
	}
	size := 0
	count := map[string]int{}
	for _, f := range c.Headers {
		size += len(f.Name) + len(f.Value)
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		p.note(InHeaderName, f.Name)
		value := strings.Trim(f.Value, " ")
		if err := checkHeader(f.Name, value); err != nil {
			return err
		}
		count[name]++
		p.headers = append(p.headers, Field{name, value})
		p.findInHeader(len(p.headers) - 1)
	}
	if size > MaxHeaderBytes {
		return refuse(CodeHeader, "The headers are longer than 32 KiB.", "Send less.")
	}
	for _, s := range p.slots {
		if (s.In == vault.InHeader || s.In == vault.InBasic) && count[s.Name] > 1 {
			return refuse(CodeHeader, "Header "+s.Name+" carries a handle and is there twice.", "Give that header once.")
		}
	}
	for _, name := range []string{authorization, contentType} {
		if count[name] > 1 {
			return refuse(CodeHeader, "Header "+name+" is there twice.", "Give that header once.")
		}
	}
	return nil
}

// checkHeader takes the name as the caller spelled it. One with a handle in it
// passes, to be refused as a misplaced handle and without being repeated.
func checkHeader(name, value string) error {
	if !httpguts.ValidHeaderFieldName(name) {
		return refuse(CodeHeader, "A header has a name that is not a token.", "Use letters, digits and hyphens.")
	}
	if !printable(value) {
		return refuse(CodeHeader, "A header has a value with a character that is not printable ASCII.", "Encode it, or put it into the body.")
	}
	if len(handle.Find(name)) > 0 {
		return nil
	}
	if why := vault.SteeringHeader(name); why != "" {
		return refuse(CodeHeader, "Header "+textproto.CanonicalMIMEHeaderKey(name)+" "+why+".", "Leave that header out.")
	}
	return nil
}

// findInHeader notes the handles in header i. Basic credentials may be written
// in clear ("Basic user:HANDLE") or already in base64.
func (p *Prepared) findInHeader(i int) {
	f := p.headers[i]
	add := func(in vault.In, text string) {
		for _, h := range handle.Find(text) {
			p.slots = append(p.slots, Slot{
				Handle: h.Text, In: in, Name: f.Name, Template: text[:h.Start] + vault.Hole + text[h.End:], header: i,
			})
		}
	}
	if f.Name == authorization && len(f.Value) > 6 && strings.EqualFold(f.Value[:6], "Basic ") {
		credentials := strings.TrimLeft(f.Value[6:], " ")
		if strings.Contains(credentials, ":") {
			add(vault.InBasic, credentials)
			return
		}
		if plain, err := base64.StdEncoding.DecodeString(credentials); err == nil {
			add(vault.InBasic, string(plain))
			return
		}
	}
	add(vault.InHeader, f.Value)
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

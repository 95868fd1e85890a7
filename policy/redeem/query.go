package redeem

import (
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// addQuery joins the URL's query and the extra fields and notes the handles.
func (p *Prepared) addQuery(raw string, extra []Field) error {
	var b strings.Builder
	b.WriteString(raw)
	for _, f := range extra {
		if f.Name == "" {
			return refuse(CodeQuery, "A query parameter has no name.", "Give each query parameter a name.")
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(encodeQuery(f.Name) + "=" + encodeQuery(f.Value))
	}
	p.query = b.String()
	if len(p.query) > MaxQueryBytes {
		return refuse(CodeQuery, "The query is longer than 64 KiB.", "Send less in one request.")
	}
	return p.findInQuery()
}

func (p *Prepared) findInQuery() error {
	count := map[string]int{}
	first := len(p.slots)
	for start := 0; start <= len(p.query); {
		end := start + strings.IndexByte(p.query[start:]+"&", '&')
		rawName, rawValue, valued := strings.Cut(p.query[start:end], "=")
		name, value := decodeQuery(rawName), decodeQuery(rawValue)
		count[name]++
		p.note(InQueryName, name)
		if valued {
			for _, f := range handle.Find(value) {
				p.slots = append(p.slots, Slot{
					Handle: f.Text, In: vault.InQuery, Name: name, Template: value[:f.Start] + vault.Hole + value[f.End:],
					start: start + len(rawName) + 1, end: end,
				})
			}
		}
		start = end + 1
	}
	for _, s := range p.slots[first:] {
		if s.In == vault.InQuery && count[s.Name] > 1 {
			return refuse(CodeQuery, "A query parameter that carries a handle is there twice.", "Give that parameter once.")
		}
	}
	return nil
}

// encodeQuery writes every byte that is not unreserved as "%XX".
func encodeQuery(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; unreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

// decodeQuery undoes escapes and "+" in a query that checkQuery accepted.
func decodeQuery(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '+':
			b.WriteByte(' ')
		case '%':
			decoded, _ := escape(s, i)
			b.WriteByte(decoded)
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

package redact

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// Named reports whether a header's name spells a value in the principal's
// scope, letter case aside: HTTP changes the case of names on the way, so that
// a name cannot be scrubbed as a text can. Raw, hexadecimal, base64 and base32
// forms count, these two behind any bytes. Such a header is better dropped.
func (s *Scrubber) Named(principal, name string) bool {
	name = strings.ToLower(name)
	c := s.scope(principal)
	if c == nil {
		return false
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	for it := range c.live() {
		if it.value.Len() > len(name) {
			continue
		}
		for _, form := range nameForms(it.value.Reveal()) {
			if strings.Contains(name, strings.ToLower(form)) {
				return true
			}
		}
	}
	return false
}

func nameForms(v []byte) []string {
	forms := []string{string(v), hex.EncodeToString(v)}
	// A group of the encoding is of that many bytes, and of so many symbols.
	for _, e := range []struct {
		encode         func([]byte) string
		bytes, symbols int
	}{
		{base64.RawStdEncoding.EncodeToString, 3, 4},
		{base64.RawURLEncoding.EncodeToString, 3, 4},
		{base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString, 5, 8},
		{base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString, 5, 8},
	} {
		for lead := range e.bytes {
			text := e.encode(append(make([]byte, lead), v...))
			first := (lead*e.symbols + e.bytes - 1) / e.bytes // the first that the bytes before have no part in
			last := len(text)
			if (lead+len(v))%e.bytes != 0 {
				last-- // what follows may have a part in it
			}
			forms = append(forms, text[first:last])
		}
	}
	return forms
}

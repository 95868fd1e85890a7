package redact

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// Named reports whether a header's name spells a value in the principal's
// scope, letter case aside: HTTP changes the case of names on the way, so that
// a name cannot be scrubbed as a text can. Raw, hexadecimal and base64 forms
// count. Such a header is better dropped.
func (s *Scrubber) Named(principal, name string) bool {
	name = strings.ToLower(name)
	now := s.now()
	s.mu.Lock()
	c := s.scopes[principal]
	s.mu.Unlock()
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, it := range c.items {
		if it.value.Len() > len(name) || !it.until.After(now) {
			continue
		}
		v := it.value.Reveal()
		for _, form := range []string{
			string(v), hex.EncodeToString(v), base64.RawStdEncoding.EncodeToString(v), base64.RawURLEncoding.EncodeToString(v),
		} {
			if strings.Contains(name, strings.ToLower(form)) {
				return true
			}
		}
	}
	return false
}

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

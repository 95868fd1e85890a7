package catalogue

import (
	"strings"

	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// Propose returns the provider whose key v seems to be: one with v's public
// prefix, else one that the name speaks of ("TWILIO_AUTH_TOKEN"). Either way v
// must have the shape of its keys, so that OPENAI_BASE_URL is nobody's. Nothing
// of v is in the answer.
func (c *Catalogue) Propose(name string, v secret.Value) (Provider, bool) {
	if p, known := c.ForValue(v); known {
		return p, p.Looks(v)
	}
	for word := range strings.FieldsFuncSeq(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune("_.- ", r) }) {
		for _, p := range c.providers {
			if p.Name == word && p.Looks(v) {
				return p, true
			}
		}
	}
	return Provider{}, false
}

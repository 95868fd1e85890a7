package redact_test

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
)

// TestNamedInAnotherLetterCase: HTTP writes names in a case of its own, after which hexadecimal
// and base32 read as before and base64 nearly so.
func TestNamedInAnotherLetterCase(t *testing.T) {
	const v = "sk-proj-Ab3Cd4Ef5Gh6"
	s := keeping(t, v)
	for lead := range 6 {
		for after := range 3 {
			text := []byte("abcdef"[:lead] + v + "zz"[:after])
			for how, name := range map[string]string{
				"raw": string(text), "hex": hex.EncodeToString(text), "base64": base64.RawURLEncoding.EncodeToString(text),
				"base32":    base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(text),
				"base32hex": base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(text),
			} {
				if name = http.CanonicalHeaderKey("x-" + name); !s.Named(who, name) {
					t.Errorf("%s between %d and %d bytes: %s", how, lead, after, name)
				}
				if s.Named("agent:other", name) {
					t.Errorf("%s is known to another", name)
				}
			}
		}
	}
	for _, name := range []string{"X-Request-Id", "Strict-Transport-Security", strings.Repeat("X-Long-", 9), ""} {
		if s.Named(who, name) {
			t.Errorf("%q spells the value", name)
		}
	}
}

package redact_test

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
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

// A stream says which secrets it masked.
func TestNames(t *testing.T) {
	s := keeping(t, "k7Qz/9Lm+2Xp/aaB", "Tt5Ui8Op3Ww1Ee6R", "0Zx9Cv8Bn7Mm6Ll5")
	var out bytes.Buffer
	stream := s.Stream(who, &out)
	if _, err := io.WriteString(stream, "0Zx9Cv8Bn7Mm6Ll5 k7Qz/9Lm+2Xp/aaB 0Zx9Cv8Bn7Mm6Ll5"); err != nil || len(stream.Names()) != 0 {
		t.Fatal(stream.Names(), err)
	}
	if err := stream.Close(); err != nil || stream.Masked() != 3 || !slices.Equal(stream.Names(), []vault.Path{"v/0", "v/2"}) {
		t.Fatal(stream.Names(), err)
	}
}

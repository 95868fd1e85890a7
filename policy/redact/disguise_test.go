package redact_test

import (
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault/vaulttest"
)

// caught is how many of a hundred disguised secrets are found, as it was
// measured last; it may not fall. The package comment has the same figures.
var caught = map[string]int{
	"reversed": 100, "with hyphens": 100, "with spaces": 100, "with dots": 100, "with commas and quotes": 100, "with line breaks": 100,
	"with zero-width spaces": 100, "with terminal sequences": 100, "with tags": 0, "in lines of 16": 100, "upper case": 100, "lower case": 100,
	"case swapped": 100, "rot13": 100, "full width": 100, "reversed, with spaces": 100, "hex with colons": 100, "hex with spaces": 100,
	"bytes as hex numbers": 100, "bytes as numbers": 100, "bytes as octal numbers": 0, "base64 with spaces": 100, "base64 of reversed": 0,
	"reversed base64": 0, "xor 1": 0,
}

// TestDisguises measures the second tier over secrets as providers make them.
func TestDisguises(t *testing.T) {
	for _, e := range vaulttest.Disguises() {
		found := 0
		for i := range 100 {
			v := providerKey(i)
			s := keeping(t, v)
			text, _ := e.Write([]byte(v))
			clean, n := s.Scrub(who, []byte("it is "+string(text)+", see"))
			if n > 0 && len(clean) < len("it is , see")+len(mask)+len(text)/4 {
				found++
			}
		}
		t.Logf("%3d of 100  %s", found, e.Name)
		if want, listed := caught[e.Name]; !listed || found < want {
			t.Errorf("%s: %d of 100, %d before", e.Name, found, want)
		}
	}
}

// providerKey returns a secret in one of the shapes that providers use.
func providerKey(i int) string {
	drawn := 0
	letters := func(n int) string {
		drawn++
		out := random(uint64(1000+10*i+drawn), n)
		for k := range out {
			out[k] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"[int(out[k])%62]
		}
		return string(out)
	}
	switch i % 5 {
	case 0:
		return "sk-proj-" + letters(48)
	case 1:
		return "ghp_" + letters(36)
	case 2:
		return "xoxb-" + letters(12) + "-" + letters(24)
	case 3:
		return letters(40)
	default:
		return letters(8) + "-" + letters(8) + "." + letters(6)
	}
}

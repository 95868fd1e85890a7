package vault_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
)

func TestRecipe(t *testing.T) {
	for in, want := range map[string]string{
		"{base62:40}":    `^[0-9A-Za-z]{40}$`,
		"svc_{hex:64}":   `^svc_[0-9a-f]{64}$`,
		"a|~!{hex:16}-z": `^a\|~![0-9a-f]{16}-z$`,
		"{base62:256}":   `^[0-9A-Za-z]{256}$`,
		strings.Repeat("p", 64) + "{hex:16}" + strings.Repeat("s", 64): `^p{64}[0-9a-f]{16}s{64}$`,
	} {
		r, err := vault.ParseRecipe(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		one, err := r.Generate()
		two, err2 := r.Generate()
		if err != nil || err2 != nil || !regexp.MustCompile(want).Match(one.Reveal()) {
			t.Errorf("%q made something else: %v, %v", in, err, err2)
		}
		if one.Equal(two) {
			t.Errorf("%q made the same twice", in)
		}
	}
	for _, in := range []string{
		"", "text", "{}", "{hex}", "{hex:}", "{hex:15}", "{hex:257}", "{hex:016}", "{hex:+16}", "{hex:1e2}", "{base64:40}", "{HEX:40}", "{hex:40", "hex:40}", "{hex:40}{hex:40}", "}{hex:40}", "{hex:40}}", "{{hex:40}",
		"a b{hex:40}", "{hex:40} ", "\n{hex:40}", "ä{hex:40}", "{hex:40}\x00", strings.Repeat("p", 65) + "{hex:16}", "{hex:16}" + strings.Repeat("p", 65), "{hex:99999999999999999999}",
	} {
		if _, err := vault.ParseRecipe(in); err == nil {
			t.Errorf("%q is allowed", in)
		} else {
			wantInvalid(t, err, "generate", in)
		}
		if v, err := vault.Recipe(in).Generate(); err == nil || !v.IsZero() {
			t.Errorf("%q made a value", in)
		}
	}
}

func TestRecipeIsUnbiased(t *testing.T) {
	for _, tc := range []struct {
		recipe  vault.Recipe
		letters int
	}{{"{base62:248}", 62}, {"{hex:256}", 16}} {
		counts := map[byte]int{}
		total := 0
		for range 200 {
			v, err := tc.recipe.Generate()
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range v.Reveal() {
				counts[c]++
				total++
			}
		}
		mean := float64(total) / float64(tc.letters)
		chi := 0.0
		for _, n := range counts {
			chi += (float64(n) - mean) * (float64(n) - mean) / mean
		}
		// A byte modulo 62 without rejection would give about 700 here.
		if limit := 4 * float64(tc.letters); len(counts) != tc.letters || chi > limit {
			t.Errorf("%s: %d letters, chi square %.0f, limit %.0f", tc.recipe, len(counts), chi, limit)
		}
	}
}

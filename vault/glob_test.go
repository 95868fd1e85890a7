package vault_test

import (
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
)

func TestGlob(t *testing.T) {
	for _, tc := range []struct {
		glob, s string
		want    bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "a", true},
		{"a", "ab", false},
		{"a", "", false},
		{"*", "", true},
		{"*", "a/b", true},
		{"**", "x", true},
		{"production/*", "production/openai/key", true},
		{"production/*", "production/", true},
		{"production/*", "production", false},
		{"*/key", "a/b/key", true},
		{"*/key", "key", false},
		{"a*b*c", "abc", true},
		{"a*b*c", "a/xbx/c", true},
		{"a*b*c", "acb", false},
		{"?", "a", false},
		{"?", "?", true},
		{"[a]", "a", false},
		{`\*`, `\x`, true},
		{"a.c", "abc", false},
		{"*ab", "aab", true},
		{"*aab", "aaaab", true},
		{"a*a", "a", false},
		{"A", "a", false},
	} {
		if got := vault.Glob(tc.glob).Match(tc.s); got != tc.want {
			t.Errorf("%q matches %q: %v", tc.glob, tc.s, got)
		}
	}
}

func TestGlobPrefix(t *testing.T) {
	for _, tc := range []struct {
		glob, literal string
		open, only    bool
	}{
		{"", "", false, true},
		{"a", "a", false, true},
		{"a/*", "a/", true, false},
		{"*", "", true, false},
		{"a/*/b", "a/", false, false},
		{"a/**", "a/", false, false},
		{"*a", "", false, false},
	} {
		literal, open := vault.Glob(tc.glob).Prefix()
		if literal != tc.literal || open != tc.open || vault.Glob(tc.glob).Literal() != tc.only {
			t.Errorf("%q: %q %v %v", tc.glob, literal, open, vault.Glob(tc.glob).Literal())
		}
	}
}

func TestGlobTakesNoExponentialTime(t *testing.T) {
	g := vault.Glob(strings.Repeat("a*", 200) + "b")
	if g.Match(strings.Repeat("a", 20000)) {
		t.Error("matches")
	}
	got := false
	if n := testing.AllocsPerRun(10, func() { got = got || g.Match("aaaa/bbbb") }); n != 0 || got {
		t.Errorf("%v allocations", n)
	}
}

// naiveGlob is the definition itself.
func naiveGlob(g, s string) bool {
	switch {
	case g == "":
		return s == ""
	case g[0] == '*':
		return naiveGlob(g[1:], s) || s != "" && naiveGlob(g, s[1:])
	default:
		return s != "" && s[0] == g[0] && naiveGlob(g[1:], s[1:])
	}
}

func FuzzGlob(f *testing.F) {
	for _, seed := range [][2]string{{"", ""}, {"*", "abc"}, {"a*b*c", "axbxc"}, {"*aab", "aaaab"}, {"a/*", "a/b/c"}, {"**a*", "bab"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, g, s string) {
		if len(g) > 12 || len(s) > 24 { // the oracle is exponential
			return
		}
		if got, want := vault.Glob(g).Match(s), naiveGlob(g, s); got != want {
			t.Fatalf("%q matches %q: %v, want %v", g, s, got, want)
		}
		literal, open := vault.Glob(g).Prefix()
		if vault.Glob(g).Match(s) && !strings.HasPrefix(s, literal) {
			t.Fatalf("%q matches %q without its prefix %q", g, s, literal)
		}
		if open && vault.Glob(g).Match(s) != strings.HasPrefix(s, literal) {
			t.Fatalf("%q is no open prefix for %q", g, s)
		}
	})
}

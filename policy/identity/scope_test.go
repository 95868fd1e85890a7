package identity_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func scopes(tb testing.TB, texts ...string) identity.Scopes {
	tb.Helper()
	s, err := identity.ParseScopes(texts)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// invalid wants err to be an *[vault.InvalidError] of a field, which does not
// repeat what was given.
func invalid(tb testing.TB, what string, err error, field, given string) {
	tb.Helper()
	bad := (*vault.InvalidError)(nil)
	if !errors.As(err, &bad) || bad.Field != field {
		tb.Errorf("%s: got %v, want an invalid %s", what, err, field)
	} else if len(given) > 16 && strings.Contains(err.Error(), given) {
		tb.Errorf("%s: the error repeats what was given", what)
	}
}

func TestParseScope(t *testing.T) {
	for in, form := range map[string]string{
		"secrets:read:production/openai/*": "secrets:read:production/openai/*",
		"secrets:write:a b/c.d_e-f":        "secrets:write:a b/c.d_e-f",
		"secrets:delete:*/key":             "secrets:delete:*/key",
		"secrets:*:myapp/*":                "secrets:*:myapp/*",
		"secrets:*:*":                      "secrets:*:*",
		"secrets:read:a***b**":             "secrets:read:a*b*",
		"*":                                "secrets:*:*",
		"namespaces:read":                  "namespaces:read",
		"read:secrets":                     "secrets:read:*",
		"write:secrets":                    "secrets:write:*",
		"rotate:secrets":                   "secrets:write:*",
		"import:secrets":                   "secrets:write:*",
	} {
		s, err := identity.ParseScope(in)
		if err != nil || s.String() != form {
			t.Errorf("%s: %q, %v; want %q", in, s, err, form)
		}
	}
	for _, in := range []string{
		"", "**", "secrets", "secrets:", "secrets:read", "secrets:read:", "secrets::a", "secrets:list:a", "secrets:READ:a", "Secrets:read:a",
		"secrets:read,write:a", "secrets:read:/a", "secrets:read:a/", "secrets:read:a//b", "secrets:read:a/../b", "secrets:read:./*",
		"secrets:read:a?b", "secrets:read:a%2Fb", "secrets:read:ä", "secrets:read:a\nsecrets:*:*", "secrets:read:a\x00", "secrets:read:a:b",
		" secrets:read:a", "namespaces:write", "namespaces:read:a", "namespaces:*", "manage:agents", "admin:secrets", "secrets:read:[a]",
		"secrets:read:" + strings.Repeat("a/", 16) + "*", "secrets:read:" + strings.Repeat("a", 600), "secrets:read:" + strings.Repeat("*", 600),
	} {
		_, err := identity.ParseScope(in)
		invalid(t, in, err, "scope", in)
		_, err = identity.ParseScopes([]string{"secrets:read:a", in})
		invalid(t, "beside a good one: "+in, err, "scope", in)
	}
}

func TestParseScopes(t *testing.T) {
	if s := scopes(t, "read:secrets", "secrets:write:b", "secrets:read:*", "secrets:write:b"); !slices.Equal(s.Strings(), []string{"secrets:read:*", "secrets:write:b"}) ||
		s.String() != "secrets:read:*, secrets:write:b" || s.IsZero() || s != scopes(t, "secrets:read:*", "secrets:write:b") {
		t.Errorf("%q", s.Strings())
	}
	scopes(t, slices.Repeat([]string{"secrets:read:a"}, identity.MaxScopes)...)
	for name, texts := range map[string][]string{"none": nil, "too many": slices.Repeat([]string{"secrets:read:a"}, identity.MaxScopes+1)} {
		_, err := identity.ParseScopes(texts)
		invalid(t, name, err, "scope", "")
	}
	none := identity.Scopes{}
	if none.Strings() != nil || !none.IsZero() || none.Allow(policy.List, "a") || none.AllowNamespaces() || none.Reach(identity.Read) != nil || none.Cover(scopes(t, "secrets:read:a")) {
		t.Error("no scopes allow something")
	}
}

// TestWhatAScopeAllows names the rights that each gives on some paths.
func TestWhatAScopeAllows(t *testing.T) {
	const read, write = "list use reveal", "set rotate"
	for _, test := range []struct {
		scopes, path, rights string
		namespaces           bool
	}{
		{"secrets:read:production/*", "production/a/b/c", read, false},
		{"secrets:read:production/*", "production", "", false},
		{"secrets:read:production/*", "productions/a", "", false},
		{"secrets:read:production/*", "Production/a", "", false},
		{"secrets:read:*/api-key", "production/openai/api-key", read, false},
		{"secrets:read:p*/k", "p/q/r/k", read, false},
		{"secrets:read:a/b", "a/b", read, false},
		{"secrets:read:a/b", "a/b/c", "", false},
		{"secrets:write:a/*", "a/b", write, false},
		{"secrets:delete:a/*", "a/b", "delete", false},
		{"secrets:*:a/*", "a/b", read + " " + write + " delete", false},
		{"secrets:*:a/*", "b/b", "", false},
		{"secrets:*:*", "a", read + " " + write + " delete", true},
		{"*", "a", read + " " + write + " delete", true},
		{"secrets:read:*", "a", read, true},
		{"secrets:write:*", "a", write, false},
		{"namespaces:read", "a", "", true},
		{"namespaces:read secrets:write:a", "a", write, true},
		{"secrets:read:a secrets:delete:*", "a", read + " delete", false},
		{"read:secrets", "a", read, true},
		{"rotate:secrets", "a", write, false},
	} {
		s := scopes(t, strings.Fields(test.scopes)...)
		for _, right := range policy.Rights() {
			if got := s.Allow(right, vault.Path(test.path)); got != slices.Contains(strings.Fields(test.rights), string(right)) {
				t.Errorf("%s: %s on %s: %v", test.scopes, right, test.path, got)
			}
		}
		if got := s.AllowNamespaces(); got != test.namespaces {
			t.Errorf("%s: namespaces %v", test.scopes, got)
		}
	}
}

func TestRequiredScope(t *testing.T) {
	for right, want := range map[policy.Right]string{
		policy.List: "secrets:read:a/b c", policy.Use: "secrets:read:a/b c", policy.Reveal: "secrets:read:a/b c", policy.Set: "secrets:write:a/b c",
		policy.Rotate: "secrets:write:a/b c", policy.Delete: "secrets:delete:a/b c", policy.Token: "", "": "", "admin": "",
	} {
		got := identity.RequiredScope(right, "a/b c")
		if got != want {
			t.Errorf("%s needs %q, want %q", right, got, want)
		}
		if got != "" && !scopes(t, got).Allow(right, "a/b c") {
			t.Errorf("%s does not allow %s", got, right)
		}
	}
}

func TestReach(t *testing.T) {
	s := scopes(t, "secrets:read:b/*", "secrets:read:b/c", "secrets:*:a*z", "secrets:write:*", "secrets:read:b", "namespaces:read")
	for action, want := range map[identity.Action][]string{
		identity.Read: {"a", "b"}, identity.Write: {""}, identity.Delete: {"a"}, "": nil, "*": {"a"},
	} {
		if got := s.Reach(action); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", action, got, want)
		}
	}
}

func TestCover(t *testing.T) {
	for _, test := range []struct {
		these, those string
		want         bool
	}{
		{"secrets:read:a/*", "secrets:read:a/b", true},
		{"secrets:read:a/*", "secrets:read:a/b/*", true},
		{"secrets:read:a/*", "secrets:read:a*", false},
		{"secrets:read:a/b", "secrets:read:a/*", false},
		{"secrets:read:a*c", "secrets:read:a*b*c", true},
		{"secrets:read:a*b*c", "secrets:read:a*c", false},
		{"secrets:read:*", "secrets:write:a", false},
		{"secrets:*:*", "*", true},
		{"secrets:*:*", "namespaces:read secrets:delete:x", true},
		{"secrets:read:*", "namespaces:read", true},
		{"secrets:read:a/*", "namespaces:read", false},
		{"namespaces:read", "secrets:read:a", false},
		{"secrets:read:* secrets:write:* secrets:delete:*", "*", true},
		{"secrets:read:* secrets:write:*", "*", false},
		{"secrets:read:a secrets:write:b", "secrets:read:a secrets:write:b", true},
		{"secrets:read:a secrets:write:b", "secrets:read:a secrets:read:b", false},
	} {
		if got := scopes(t, strings.Fields(test.these)...).Cover(scopes(t, strings.Fields(test.those)...)); got != test.want {
			t.Errorf("%s covers %s: %v", test.these, test.those, got)
		}
	}
	if !scopes(t, "secrets:read:a").Cover(identity.Scopes{}) {
		t.Error("none are not covered")
	}
}

// drawScopes draws scopes over an alphabet so small that they often meet.
func drawScopes(t *rapid.T, label string) identity.Scopes {
	one := rapid.Custom(func(t *rapid.T) string {
		return "secrets:" + rapid.SampledFrom([]string{"read", "write", "delete", "*"}).Draw(t, "action") + ":" +
			rapid.StringMatching(`([ab*]{1,2}/){0,2}[ab*]{1,3}`).Draw(t, "glob")
	})
	s, err := identity.ParseScopes(rapid.SliceOfN(one, 1, 3).Draw(t, label))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// paths are all of up to five characters over the alphabet of [drawScopes] and
// one that no scope names.
func paths() (all []vault.Path) {
	level := []string{""}
	for range 5 {
		var next []string
		for _, s := range level {
			for _, c := range "ab/z" {
				next = append(next, s+string(c))
				if p, err := vault.ParsePath(s + string(c)); err == nil {
					all = append(all, p)
				}
			}
		}
		level = next
	}
	return all
}

// TestCoverIsSound compares with every short path: what is covered allows
// nothing more, and where one scope does not cover one there is a path to show it.
func TestCoverIsSound(t *testing.T) {
	all := paths()
	covered, not := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		these, those := drawScopes(t, "these"), drawScopes(t, "those")
		if rapid.Bool().Draw(t, "related") {
			those = related(t, these)
		}
		if !these.Cover(those) {
			not++
			if one(these) && one(those) && within(these, those, append(all, witness(those))) {
				t.Errorf("%s is not said to cover %s", these, those)
			}
			return
		}
		if !those.IsZero() {
			covered++
		}
		if !within(these, those, all) {
			t.Errorf("%s is said to cover %s", these, those)
		}
	})
	if covered < 20 || not < 20 {
		t.Errorf("%d covered, %d not: the alphabet is wrong", covered, not)
	}
}

// one reports whether there is one scope of one action.
func one(s identity.Scopes) bool {
	return len(s.Strings()) == 1 && !strings.Contains(s.String(), "secrets:*:")
}

// witness is a path of a scope that has something no other names for each star.
func witness(s identity.Scopes) vault.Path {
	glob := s.String()[strings.LastIndexByte(s.String(), ':')+1:]
	return vault.Path(strings.ReplaceAll(glob, "*", "z"))
}

// related draws scopes with something else in the place of each star.
func related(t *rapid.T, s identity.Scopes) identity.Scopes {
	var texts []string
	for _, text := range s.Strings() {
		for strings.Contains(text, "*") {
			text = strings.Replace(text, "*", rapid.SampledFrom([]string{"a", "read", "+", "+/b", "a+b"}).Draw(t, "in place of a star"), 1)
		}
		texts = append(texts, strings.ReplaceAll(text, "+", "*"))
	}
	all := identity.Scopes{}
	if parsed, err := identity.ParseScopes(texts); err == nil { // else an action that is none
		all = parsed
	}
	return all
}

func within(these, those identity.Scopes, all []vault.Path) bool {
	for _, p := range all {
		for _, right := range []policy.Right{policy.Reveal, policy.Set, policy.Delete} {
			if those.Allow(right, p) && !these.Allow(right, p) {
				return false
			}
		}
	}
	return true
}

// TestReachIsWideEnough: what is allowed lies under one of the prefixes.
func TestReachIsWideEnough(t *testing.T) {
	all := paths()
	rapid.Check(t, func(t *rapid.T) {
		s := drawScopes(t, "scopes")
		reach := s.Reach(identity.Read)
		for _, p := range all {
			if s.Allow(policy.List, p) && !slices.ContainsFunc(reach, func(prefix string) bool { return strings.HasPrefix(string(p), prefix) }) {
				t.Errorf("%s allow %s, outside of %q", s, p, reach)
			}
		}
	})
}

// FuzzParseScope: what is read has one form, which reads as the same and covers
// itself, and allows nothing that is no path.
func FuzzParseScope(f *testing.F) {
	for _, seed := range []string{
		"*", "namespaces:read", "read:secrets", "manage:agents", "secrets:read:production/openai/*", "secrets:*:**a**", "secrets:write:a b/c", "secrets:read:a\nb",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := identity.ParseScope(text)
		if err != nil {
			invalid(t, text, err, "scope", "")
			return
		}
		again, err := identity.ParseScope(s.String())
		if err != nil || again != s || again.String() != s.String() || strings.ContainsAny(s.String(), "\n\x00") {
			t.Fatalf("%q, %q, %v", s, again, err)
		}
		all := scopes(t, text)
		if !all.Cover(all) || !slices.Equal(all.Strings(), []string{s.String()}) {
			t.Fatalf("%q does not cover itself", s)
		}
	})
}

func BenchmarkAllow(b *testing.B) {
	var texts []string
	for i := range identity.MaxScopes {
		texts = append(texts, "secrets:read:production/team-"+strings.Repeat("x", i)+"/*")
	}
	who := identity.Principal{Kind: identity.ScopedToken, Bounds: identity.Bounds{Token: scopes(b, texts...)}}
	b.ReportAllocs()
	for b.Loop() {
		if who.Allows(policy.Reveal, "production/openai/api-key") {
			b.Fatal("allowed")
		}
	}
}

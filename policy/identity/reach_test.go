package identity_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func under(p vault.Path, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(string(p), prefix) })
}

// TestNarrowedToPrefixes compares with every short path: no scope that names one
// of those below the prefixes is said not to meet them, and what is named there
// is among the globs, which name nothing that the scopes do not.
func TestNarrowedToPrefixes(t *testing.T) {
	all, free := paths(), identity.Principal{Kind: identity.Agent}
	met, missed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := drawScopes(t, "scopes")
		prefixes := rapid.SliceOfN(rapid.StringMatching(`[ab]{0,2}(/[ab]?)?`), 0, 2).Draw(t, "prefixes")
		globs := s.Globs(identity.Read, prefixes)
		for _, p := range all {
			named := slices.ContainsFunc(globs, func(g vault.Glob) bool { return g.Match(string(p)) })
			if read := s.Allow(policy.List, p); named && !read || read && under(p, prefixes) && !named {
				t.Errorf("%s below %q: %s is read: %v, among %q: %v", s, prefixes, p, read, globs, named)
			}
		}
		for one := range s.All() {
			here := slices.ContainsFunc(all, func(p vault.Path) bool {
				return under(p, prefixes) && (one.Allow(policy.List, p) || one.Allow(policy.Set, p) || one.Allow(policy.Delete, p))
			})
			if here && !free.MayCarry(one, prefixes) {
				t.Errorf("%s is said to have nothing below %q", one, prefixes)
			}
			if free.MayCarry(one, prefixes) {
				met++
			} else {
				missed++
			}
		}
	})
	if met < 20 || missed < 20 {
		t.Errorf("%d met, %d missed: the alphabet is wrong", met, missed)
	}
	list, err := identity.ParseScope(identity.NamespacesRead)
	if err != nil || !free.MayCarry(list, []string{"a"}) || free.MayCarry(list, nil) {
		t.Errorf("%v: namespaces", err)
	}
}

// TestWithin: prefixes, cut to what a principal may list.
func TestWithin(t *testing.T) {
	agent := identity.Principal{Kind: identity.Agent, Bounds: identity.Bounds{Namespaces: namespaces(t, "prod/a", "test")}}
	for _, test := range []struct {
		who  identity.Principal
		give []string
		want []string
	}{
		{agent, []string{""}, []string{"prod/a/", "test/"}},
		{agent, []string{"prod/", "test/x/"}, []string{"prod/a/", "test/x/"}},
		{agent, []string{"other/"}, []string{}},
		{identity.Principal{Kind: identity.Agent}, []string{"prod/"}, []string{"prod/"}},
		{identity.OwnerCLI(), []string{""}, []string{""}},
		{identity.Principal{}, []string{""}, []string{}},
	} {
		if got := test.who.Within(identity.Read, test.give); !slices.Equal(got, test.want) {
			t.Errorf("%s within %q: %q, want %q", test.who.ID(), test.give, got, test.want)
		}
	}
}

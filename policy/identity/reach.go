package identity

import (
	"slices"
	"strings"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Within cuts literal path prefixes to those where p's bounds may allow an action
// ([Principal.Reach]); sorted, none starting with another.
func (p Principal) Within(action Action, prefixes []string) []string {
	if reach := p.Reach(action); reach != nil {
		return common(prefixes, reach)
	}
	return prefixes
}

// MayCarry reports whether a token of p that has this scope could do anything with
// it below one of the prefixes: for one of the scope's actions the prefixes, p's
// bounds and the scope have paths in common. To list namespaces takes a prefix
// below which p may read.
func (p Principal) MayCarry(s Scope, prefixes []string) bool {
	for _, action := range []Action{Read, Write, Delete} {
		if (s.action.covers(action) || s.action == namespaces && action == Read) && s.meets(p.Within(action, prefixes)) {
			return true
		}
	}
	return false
}

func (s Scope) meets(prefixes []string) bool {
	literal, _ := s.glob.Prefix()
	return slices.ContainsFunc(prefixes, func(p string) bool {
		return s.action == namespaces || strings.HasPrefix(p, literal) || strings.HasPrefix(literal, p)
	})
}

// Globs returns what the scopes name for an action among the paths that start with
// one of the prefixes, or somewhat more.
func (s Scopes) Globs(action Action, prefixes []string) []vault.Glob {
	var globs []vault.Glob
	for one := range s.All() {
		if !one.action.covers(action) {
			continue
		}
		literal, open := one.glob.Prefix()
		for _, p := range prefixes {
			switch {
			case strings.HasPrefix(literal, p):
				globs = append(globs, one.glob)
			case strings.HasPrefix(p, literal) && open:
				globs = append(globs, vault.Glob(p+"*"))
			case strings.HasPrefix(p, literal):
				globs = append(globs, one.glob)
			}
		}
	}
	slices.Sort(globs)
	return slices.Compact(globs)
}

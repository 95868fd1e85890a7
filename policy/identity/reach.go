package identity

import (
	"slices"
	"strings"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Within cuts literal path prefixes to those that p's bounds let it list
// ([Principal.ListReach]); sorted, none starting with another.
func (p Principal) Within(prefixes []string) []string {
	if reach := p.ListReach(); reach != nil {
		return common(prefixes, reach)
	}
	return prefixes
}

// Meets reports whether s names any path that starts with one of the prefixes;
// for a scope of namespaces, whether there are any prefixes.
func (s Scope) Meets(prefixes []string) bool {
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

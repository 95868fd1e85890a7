package identity

import (
	"iter"
	"slices"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// Scopes are some [Scope]s, of which each allows what it says. The zero Scopes
// are none. Scopes compare with == as what they were made of, in that order.
type Scopes struct{ text string } // a scope a line, in its one form

// ParseScopes reads 1 to [MaxScopes] scopes. Repetitions count once. The error
// is a *[vault.InvalidError] of field "scope".
func ParseScopes(texts []string) (Scopes, error) {
	if len(texts) == 0 {
		return Scopes{}, &vault.InvalidError{Field: "scope", Rule: "is missing"}
	}
	if len(texts) > MaxScopes {
		return Scopes{}, &vault.InvalidError{Field: "scope", Rule: "has more than 50 entries"}
	}
	lines := make([]string, 0, len(texts))
	for _, text := range texts {
		s, err := ParseScope(text)
		if err != nil {
			return Scopes{}, err
		}
		if line := s.String(); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return Scopes{strings.Join(lines, "\n")}, nil
}

// IsZero reports whether there are none.
func (s Scopes) IsZero() bool { return s.text == "" }

// Strings are the scopes in their one form; nil when there are none.
func (s Scopes) Strings() []string {
	if s.IsZero() {
		return nil
	}
	return strings.Split(s.text, "\n")
}

// String is the scopes with commas between them, for messages.
func (s Scopes) String() string { return strings.ReplaceAll(s.text, "\n", ", ") }

// All yields the scopes one by one.
func (s Scopes) All() iter.Seq[Scope] {
	return func(yield func(Scope) bool) {
		for rest := s.text; rest != ""; {
			var line string
			line, rest, _ = strings.Cut(rest, "\n")
			if !yield(scopeOf(line)) {
				return
			}
		}
	}
}

// Allow reports whether one of them gives a right on a path.
func (s Scopes) Allow(right policy.Right, p vault.Path) bool {
	for one := range s.All() {
		if one.Allow(right, p) {
			return true
		}
	}
	return false
}

// AllowNamespaces reports whether one of them lets namespaces be listed.
func (s Scopes) AllowNamespaces() bool {
	for one := range s.All() {
		if one.allowNamespaces() {
			return true
		}
	}
	return false
}

// Reach returns the literal path prefixes outside of which none of them allows
// an action, sorted, none starting with another; "" is every path. Inside ask
// [Scopes.Allow].
func (s Scopes) Reach(action Action) []string {
	var prefixes []string
	for one := range s.All() {
		if action != "" && one.action.covers(action) {
			prefix, _ := one.glob.Prefix()
			prefixes = append(prefixes, prefix)
		}
	}
	return widest(prefixes)
}

// Cover reports whether they allow whatever others allow: each other scope, or
// each action of it, lies in one of them. Where several would only together do,
// the answer is no.
func (s Scopes) Cover(others Scopes) bool {
	for o := range others.All() {
		if !s.coverOne(o) {
			return false
		}
	}
	return true
}

func (s Scopes) coverOne(o Scope) bool {
	for one := range s.All() {
		if one.cover(o) {
			return true
		}
	}
	if o.action != anyAction {
		return false
	}
	for _, action := range []Action{Read, Write, Delete} {
		if !s.coverOne(Scope{action, o.glob}) {
			return false
		}
	}
	return true
}

// widest sorts prefixes in place and leaves out what starts with another.
func widest(prefixes []string) []string {
	slices.Sort(prefixes)
	kept := prefixes[:0]
	for _, p := range prefixes {
		if n := len(kept); n == 0 || !strings.HasPrefix(p, kept[n-1]) {
			kept = append(kept, p)
		}
	}
	return kept
}

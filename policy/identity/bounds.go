package identity

import (
	"errors"
	"slices"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// MaxNamespaces is how many namespaces an agent may be limited to.
const MaxNamespaces = 50

// Namespaces are the paths below which an agent may act, however deep. The zero
// Namespaces are none. They compare with == as what they were made of.
type Namespaces struct{ text string } // a path a line

// ParseNamespaces reads up to [MaxNamespaces] paths; a slash at the end of one, or
// a slash and a star, is ignored, and repetitions count once. A star alone is
// everything: with one among them there are none, which is no limit. The error is a
// *[vault.InvalidError] of field "namespace".
func ParseNamespaces(texts []string) (Namespaces, error) {
	if len(texts) > MaxNamespaces {
		return Namespaces{}, &vault.InvalidError{Field: "namespace", Rule: "has more than 50 entries"}
	}
	var lines []string
	everything := false
	for _, text := range texts {
		if text == "*" {
			everything = true
			continue
		}
		below, starred := strings.CutSuffix(text, "/*")
		if !starred {
			below = strings.TrimSuffix(text, "/")
		}
		p, err := vault.ParsePath(below)
		if bad := (*vault.InvalidError)(nil); errors.As(err, &bad) {
			return Namespaces{}, &vault.InvalidError{Field: "namespace", Rule: bad.Rule}
		}
		if !slices.Contains(lines, string(p)) {
			lines = append(lines, string(p))
		}
	}
	if everything {
		return Namespaces{}, nil
	}
	return Namespaces{strings.Join(lines, "\n")}, nil
}

// IsZero reports whether there are none.
func (n Namespaces) IsZero() bool { return n.text == "" }

// Strings are the namespaces, without a slash at the end; nil when there are none.
func (n Namespaces) Strings() []string {
	if n.IsZero() {
		return nil
	}
	return strings.Split(n.text, "\n")
}

// Contain reports whether a path lies below one of them.
func (n Namespaces) Contain(p vault.Path) bool {
	for rest := n.text; rest != ""; {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		if len(p) > len(line) && p[len(line)] == '/' && string(p[:len(line)]) == line {
			return true
		}
	}
	return false
}

// Bounds are what a [Principal] may do at most, whatever the policy allows: what
// all of its parts allow.
type Bounds struct {
	Namespaces Namespaces // the agent's; none: every path
	Scopes     Scopes     // the agent's; none: everything
	Token      Scopes     // the token's own, which carries no more than its agent's
}

// Allows reports whether p's bounds let it have a right on a path. The owner and
// admins have none; the policy is asked besides. A token asks for no token.
func (p Principal) Allows(right policy.Right, path vault.Path) bool {
	switch p.Kind {
	case Owner, Admin:
		return true
	case Agent:
		return p.Bounds.allow(right, path)
	case ScopedToken:
		return p.Bounds.Token.Allow(right, path) && p.Bounds.allow(right, path)
	}
	return false
}

// allow is what the agent's own bounds say. Scopes do not speak of asking for a
// token, which then carries no more than they do.
func (b *Bounds) allow(right policy.Right, path vault.Path) bool {
	return (b.Namespaces.IsZero() || b.Namespaces.Contain(path)) &&
		(b.Scopes.IsZero() || right == policy.Token || b.Scopes.Allow(right, path))
}

// AsReader is p, of which a token may read whatever its agent may: who writes by a
// token, or lists namespaces, is told as much as its agent would be.
func (p Principal) AsReader() Principal {
	if p.Kind == ScopedToken {
		p.Bounds.Token = Scopes{Scope{Read, "*"}.String()}
	}
	return p
}

// AllowsNamespaces reports whether p's bounds let it list namespaces, those that
// [Principal.Reach] reaches for reading.
func (p Principal) AllowsNamespaces() bool {
	agents := p.Bounds.Scopes.IsZero() || p.Bounds.Scopes.AllowNamespaces()
	switch p.Kind {
	case Owner, Admin:
		return true
	case Agent:
		return agents
	case ScopedToken:
		return agents && p.Bounds.Token.AllowNamespaces()
	}
	return false
}

// Reach returns the literal path prefixes outside of which p's bounds allow an
// action nowhere, sorted, none starting with another; nil is every path. Inside ask
// [Principal.Allows].
func (p Principal) Reach(action Action) []string {
	if p.Kind == Owner || p.Kind == Admin {
		return nil
	}
	reach := []string{""}
	if p.Kind != Agent && p.Kind != ScopedToken {
		reach = []string{}
	}
	if list := p.Bounds.Namespaces.Strings(); list != nil {
		for i := range list {
			list[i] += "/"
		}
		reach = common(reach, widest(list))
	}
	if !p.Bounds.Scopes.IsZero() {
		reach = common(reach, p.Bounds.Scopes.Reach(action))
	}
	if p.Kind == ScopedToken {
		reach = common(reach, p.Bounds.Token.Reach(action))
	}
	if len(reach) == 1 && reach[0] == "" {
		return nil
	}
	return reach
}

// common returns the prefixes of the paths that have one of a's and one of b's.
func common(a, b []string) []string {
	both := []string{}
	for _, x := range a {
		for _, y := range b {
			switch {
			case strings.HasPrefix(x, y):
				both = append(both, x)
			case strings.HasPrefix(y, x):
				both = append(both, y)
			}
		}
	}
	return widest(both)
}

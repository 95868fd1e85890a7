package identity

import (
	"errors"
	"slices"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// Limits of scopes.
const (
	MaxScopes     = 50  // of one agent or token
	MaxScopeBytes = 600 // of one scope
)

// NamespacesRead is the scope that lists namespaces and nothing else.
const NamespacesRead = "namespaces:read"

const secretsPrefix = "secrets:"

// Action is what a [Scope] lets be done to the secrets it names.
type Action string

// The actions, as scopes spell them.
const (
	Read      Action = "read"
	Write     Action = "write"
	Delete    Action = "delete"
	anyAction Action = "*"

	namespaces Action = "namespaces" // of the scope that has no path
)

// covers reports whether what a allows includes what b allows, on one path.
func (a Action) covers(b Action) bool { return a == b || a == anyAction && b != namespaces }

// ActionOf is the action that a right on a secret needs: reading for what shows
// a secret or uses its value, writing for what changes it. "" is none: no scope
// gives that right.
func ActionOf(right policy.Right) Action {
	switch right {
	case policy.List, policy.Use, policy.Reveal:
		return Read
	case policy.Set, policy.Rotate:
		return Write
	case policy.Delete:
		return Delete
	case policy.Token:
		return ""
	}
	return ""
}

// RequiredScope is the scope that a right on a path needs, as text for errors:
// "secrets:read:production/openai/api-key". "" when no scope gives it.
func RequiredScope(right policy.Right, p vault.Path) string {
	action := ActionOf(right)
	if action == "" {
		return ""
	}
	return secretsPrefix + string(action) + ":" + string(p)
}

// Scope is an action on the secrets that a glob names, as an agent or a token
// may be limited to. The grammar (CONTRACT §7, R10):
//
//	secrets:ACTION:GLOB   ACTION is read, write, delete or *; a * in GLOB matches
//	                      any run of characters, "/" included, in any place
//	*                     secrets:*:*
//	namespaces:read       list namespaces; secrets:read:* does so too
//	read:secrets          secrets:read:*   and so do the older write:secrets,
//	                      rotate:secrets and import:secrets with secrets:write:*
//
// GLOB is what a path is, in clear, with stars. One that no path can match is
// refused. The zero Scope allows nothing.
type Scope struct {
	action Action
	glob   vault.Glob
}

// older is what scopes of an earlier service are spelled as now.
var older = map[string]Scope{
	"*":              {anyAction, "*"},
	NamespacesRead:   {action: namespaces},
	"read:secrets":   {Read, "*"},
	"write:secrets":  {Write, "*"},
	"rotate:secrets": {Write, "*"},
	"import:secrets": {Write, "*"},
}

// ParseScope reads a scope. The error is a *[vault.InvalidError] of field
// "scope"; it does not repeat the text.
func ParseScope(s string) (Scope, error) {
	if len(s) > MaxScopeBytes {
		return Scope{}, &vault.InvalidError{Field: "scope", Rule: "is longer than 600 bytes"}
	}
	if known, ok := older[s]; ok {
		return known, nil
	}
	if s == "manage:agents" {
		return Scope{}, &vault.InvalidError{Field: "scope", Rule: "manage:agents is for admins only: leave it out, and give people who manage agents an admin's key"}
	}
	rest, ok := strings.CutPrefix(s, secretsPrefix)
	action, glob, colon := strings.Cut(rest, ":")
	if !ok || !colon {
		return Scope{}, &vault.InvalidError{Field: "scope", Rule: "is not of the form secrets:ACTION:PATH, such as secrets:read:production/*"}
	}
	if !slices.Contains([]Action{Read, Write, Delete, anyAction}, Action(action)) {
		return Scope{}, &vault.InvalidError{Field: "scope", Rule: "has an action that is not read, write, delete or *"}
	}
	for strings.Contains(glob, "**") {
		glob = strings.ReplaceAll(glob, "**", "*")
	}
	var bad *vault.InvalidError
	if _, err := vault.ParsePath(strings.ReplaceAll(glob, "*", "a")); errors.As(err, &bad) {
		return Scope{}, &vault.InvalidError{Field: "scope", Rule: "does not end in a path or a glob over paths: its " + bad.Error()}
	}
	return Scope{Action(action), vault.Glob(glob)}, nil
}

// String is the scope in its one form, which [ParseScope] reads back.
func (s Scope) String() string {
	if s.action == namespaces {
		return NamespacesRead
	}
	if s.action == "" {
		return ""
	}
	return secretsPrefix + string(s.action) + ":" + string(s.glob)
}

// scopeOf reads what [Scope.String] wrote. Another text allows nothing.
func scopeOf(text string) Scope {
	if text == NamespacesRead {
		return Scope{action: namespaces}
	}
	rest, _ := strings.CutPrefix(text, secretsPrefix)
	action, glob, _ := strings.Cut(rest, ":")
	return Scope{Action(action), vault.Glob(glob)}
}

// Allow reports whether s gives a right on a path. None gives [policy.Token].
func (s Scope) Allow(right policy.Right, p vault.Path) bool {
	action := ActionOf(right)
	return action != "" && s.action.covers(action) && s.glob.Match(string(p))
}

// allowNamespaces: who may read everything may see where it lies.
func (s Scope) allowNamespaces() bool {
	return s.action == namespaces || s.action.covers(Read) && s.glob == "*"
}

// cover reports whether s allows whatever o allows. A star of o stands for any
// text, so that only a star of s matches it, as Match has it: "*" is in no path.
func (s Scope) cover(o Scope) bool {
	if o.action == namespaces {
		return s.allowNamespaces()
	}
	return s.action.covers(o.action) && s.glob.Match(string(o.glob))
}

package rest

import (
	"errors"
	"slices"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// getQuery selects a version.
type getQuery struct {
	Version int `json:"version,omitzero" jsonschema:"minimum=1" jsonschema_description:"Left out: the latest."`
}

func (g *getQuery) read(q *query) { g.Version = q.number("version", 1) }

// getSecret gives a value, or the list of a namespace: edition B's clients ask
// for both at the same place (R2). A secret and a namespace never share a path,
// so that what is there decides, once the request does not:
//
//   - a version; a namespace in one segment and a key in the next, as the MCP
//     server and the command line send them; a token that names this very path, as
//     the SDK asks for one: the value
//   - one segment, sent by the command line; a token for what lies below and not for
//     the path itself: the list, also an empty one
//   - there is no value, and something that the caller may list lies below: the list
//   - else the value, and its error when there is none
func (h *Handler) getSecret(c *call, in *getQuery) (any, error) {
	var s vault.Secret
	var err error
	switch {
	case in.Version > 0 || len(c.named) == 2 && c.named[0].slashed() || c.namedByToken():
		s, err = h.desk.Reveal(c.ctx, c.who, c.path, in.Version)
	case len(c.named) == 1 && c.isCLI() || c.tokenForBelow():
		return h.wholeNamespace(c, string(c.path))
	default:
		s, err = h.desk.RevealUnlessNamespace(c.ctx, c.who, c.path)
	}
	if errors.Is(err, broker.ErrNamespace) {
		return h.wholeNamespace(c, string(c.path))
	}
	if err != nil {
		return c.read(err)
	}
	out, err := about(s.Metadata)
	if out.Encoding = ""; !s.Value.IsText() { // of this version, which may not be the current one
		out.Encoding = "base64"
	}
	return secretValue{secretMetadata: out, held: s}, err
}

// namedByToken reports that the caller's token names the path as it is.
func (c *call) namedByToken() bool {
	if c.who.Kind != identity.ScopedToken {
		return false
	}
	wanted := identity.RequiredScope(policy.Reveal, c.path)
	for scope := range c.who.Bounds.Token.All() {
		if scope.String() == wanted {
			return true
		}
	}
	return false
}

// tokenForBelow reports that the caller's token reads all below the path, and
// not the path.
func (c *call) tokenForBelow() bool {
	if c.who.Kind != identity.ScopedToken || c.who.Bounds.Token.Allow(policy.Reveal, c.path) {
		return false
	}
	all, err := identity.ParseScopes([]string{identity.RequiredScope(policy.List, c.path) + "/*"})
	return err == nil && c.who.Bounds.Token.Cover(all)
}

// versionList is the history of a secret, newest first.
type versionList struct {
	Path  string          `json:"path"`
	Items []secretVersion `json:"items"`
}

type secretVersion struct {
	Version       int    `json:"version"`
	Current       bool   `json:"current"`
	CreatedAt     stamp  `json:"created_at"`
	ReadableUntil *stamp `json:"readable_until" jsonschema:"nullable" jsonschema_description:"When a rotation ends this version, or ended it; null: no rotation has."`
}

// listVersions tells the history to those who may know it. versions is a name
// like any other too: where there is no secret above it, and to everybody else,
// it names the secret.
func (h *Handler) listVersions(c *call, in *getQuery) (any, error) {
	versions, err := h.desk.History(c.ctx, c.who, c.path)
	var denied *broker.Denied
	if errors.Is(err, vault.ErrNotFound) || errors.As(err, &denied) {
		c.named = append(slices.Clip(c.named), segment{"versions", "versions"})
		if c.path, err = vault.ParsePath(joined(c.named)); err == nil {
			return h.getSecret(c, in)
		}
	}
	if err != nil {
		return nil, err
	}
	out := versionList{Path: string(c.path), Items: make([]secretVersion, len(versions))}
	for i, v := range versions {
		out.Items[i] = secretVersion{v.Number, v.Current, stamp{v.CreatedAt}, at(v.ReadableUntil)}
	}
	return out, nil
}

package broker

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// IssueRequest asks for a handle.
type IssueRequest struct {
	Path    vault.Path
	Version int           // [vault.Latest] follows rotations; a number pins one
	TTL     time.Duration // 0: the policy's, else [handle.DefaultTTL]; never more than the policy allows
	Uses    int           // 0: the policy's; never more than the policy allows
	For     string        // owner only: the agent the handle is for
}

// terms are what an approval of a handle is bound to.
func (r IssueRequest) terms() (all []approval.Detail) {
	if r.Version != vault.Latest {
		all = append(all, approval.Detail{Name: "version", Text: strconv.Itoa(r.Version)})
	}
	if r.TTL != 0 {
		all = append(all, approval.Detail{Name: "ttl", Text: r.TTL.String()})
	}
	if r.Uses != 0 {
		all = append(all, approval.Detail{Name: "uses", Text: strconv.Itoa(r.Uses)})
	}
	return all
}

// Ticket is a handle with what its holder should know.
type Ticket struct {
	Text         string // the handle in the policy's shape: what stands in for the value
	ID           string // public name of the handle, for logs and revocation
	Metadata     vault.Metadata
	Version      int // the pinned version, [vault.Latest] when it follows rotations
	Destinations []vault.Destination
	ExpiresAt    time.Time
	Uses         int // 0: not counted
}

// Issue mints a handle; it opens nothing. Errors: *[Denied], [vault.ErrNotFound],
// [vault.ErrExpired], [vault.ErrVersionRetired].
func (b *Broker) Issue(ctx context.Context, who identity.Principal, r IssueRequest) (Ticket, error) {
	e := b.entry(who, "handle.issued")
	e.Path, e.Version = r.Path, r.Version
	if who.Kind == identity.Admin {
		return Ticket{}, b.refuse(ctx, &e, notForAdmins())
	}
	j := b.judge(who)
	decision, err := b.decide(ctx, j, &e, policy.Use, r.Path)
	if err != nil {
		return Ticket{}, b.refuse(ctx, &e, err)
	}
	if err := b.onTime(ctx); err != nil {
		return Ticket{}, b.refuse(ctx, &e, err)
	}
	var ticket Ticket
	err = b.record(ctx, who, &e, func(tx *sqldb.Tx) error {
		meta, err := b.found(tx, decision)
		if err != nil {
			return err
		}
		if err := usable(meta, r.Version, e.Time); err != nil {
			return err
		}
		destinations := narrowed(meta.Destinations, decision.To)
		if len(destinations) == 0 {
			return noDestination(meta)
		}
		if err := b.clear(tx, decision, meta, &e, plea{terms: r.terms()}); err != nil {
			return err
		}
		holder, err := holderOf(who, r.For)
		if err != nil {
			return err
		}
		if err := b.spendRate(tx, who, decision.Decision, e.Time); err != nil {
			return err
		}
		text, h, err := b.c.Handles.Mint(tx, handle.Spec{
			Principal: holder, Family: familyOf(who), Path: r.Path, Version: r.Version, Destinations: meta.Destinations,
			Shape: decision.Shape, TTL: lifetime(r.TTL, decision.Limits.TTL), Uses: fewer(r.Uses, decision.Limits.Uses),
			Rule: decision.Rule, Tier: meta.Tier, // it has passed as one
		}, e.Time)
		if err != nil {
			return err
		}
		e.Handle = h.ID
		ticket = Ticket{
			Text: shaped(decision.Shape, text), ID: h.ID, Metadata: meta, Version: r.Version, Destinations: destinations,
			ExpiresAt: h.ExpiresAt, Uses: h.MaxUses,
		}
		return nil
	})
	if err != nil { // also one of the commit, when the handle was made already
		return Ticket{}, err
	}
	return ticket, nil
}

// familyOf is what the ids of all tokens of one agent begin with, for a token.
func familyOf(who identity.Principal) string {
	if who.Kind != identity.ScopedToken {
		return ""
	}
	return tokensOf(who.Name)
}

// shaped makes a handle look as the policy says.
func shaped(shape, text string) string {
	if shape == "" {
		return text
	}
	return strings.Replace(shape, "{handle}", text, 1)
}

// usable tells early what opening the value would refuse later.
func usable(meta vault.Metadata, version int, now time.Time) error {
	switch {
	case !meta.ExpiresAt.IsZero() && !meta.ExpiresAt.After(now):
		return vault.ErrExpired
	case version < 0 || version > meta.Version:
		return vault.ErrNotFound
	default:
		return nil
	}
}

func noDestination(meta vault.Metadata) *Denied {
	if len(meta.Destinations) > 0 {
		return &Denied{
			Code: NoDestination, Reason: "The policy allows none of the destinations of this secret.",
			Next: "Ask the owner to widen the rule's `to` in the policy.",
		}
	}
	return &Denied{
		Code: NoDestination, Reason: "This secret has no destination yet, so it cannot be used anywhere.",
		Next: "Ask the owner to run: coatcheck secret set '" + string(meta.Path) + "' --keep-value --to HOST",
	}
}

// narrowed keeps the destinations that the policy's union of narrowings can
// reach at all; whether one request is allowed is decided when it is made.
func narrowed(all []vault.Destination, to []policy.Narrow) []vault.Destination {
	if to == nil {
		return all
	}
	var kept []vault.Destination
	for _, d := range all {
		for _, n := range to {
			if d.HTTP != nil && (vault.MatchHost(n.Host, d.HTTP.Host) || vault.MatchHost(d.HTTP.Host, n.Host)) {
				kept = append(kept, d)
				break
			}
		}
	}
	return kept
}

// holderOf says whose handle it becomes: the caller's, or that of an agent the
// owner names.
func holderOf(who identity.Principal, agent string) (string, error) {
	switch {
	case agent == "":
		return who.ID(), nil
	case who.Kind != identity.Owner:
		return "", ownerOnly()
	default:
		return identity.Principal{Kind: identity.Agent, Name: agent}.ID(), nil
	}
}

// lifetime is what was asked for, else the policy's limit, and within both that
// limit and [handle.MaxTTL]. 0 leaves it to the handle's default.
func lifetime(asked, allowed time.Duration) time.Duration {
	if asked == 0 || allowed != 0 && allowed < asked {
		asked = allowed
	}
	return min(asked, handle.MaxTTL)
}

// fewer is what was asked for, else the policy's limit, and within it.
func fewer(asked, allowed int) int {
	if asked == 0 || allowed != 0 && allowed < asked {
		return allowed
	}
	return asked
}

package broker

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redact"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Put creates or changes a secret. The owner and admins may change all of it. An
// agent with the right to set brings a value (no laundering, DESIGN §5): what is
// new gets what the agent says of it but no destination, and the type its value
// looks like if it says none; of what is there the value changes and nothing
// else (see [agentsChange]).
//
// Errors: those of [vault.Vault.Put], *[Denied]. An agent that may not list p
// learns nothing but whether its value was stored: it gets its own words back, as
// the first version of a new secret has them, and what stands in its way is always
// the same [Unavailable], in which nobody is asked to approve anything. A token to
// write is told what its agent would be.
func (b *Broker) Put(ctx context.Context, who identity.Principal, p vault.Path, c vault.Change) (vault.Metadata, error) {
	meta, _, err := b.put(ctx, who, p, c)
	if err == nil && !b.judge(who).asReader().showsThis(meta) {
		meta, err = c.Apply(vault.Metadata{Path: p}, b.now())
	}
	return meta, err
}

// put is [Broker.Put]. In a vault elsewhere a secret may come or go between the look
// and the change; who means either then has it looked at again.
func (b *Broker) put(ctx context.Context, who identity.Principal, p vault.Path, c vault.Change) (meta vault.Metadata, created bool, err error) {
	for range 3 {
		meta, created, err = b.putOnce(ctx, who, p, c)
		if b.far == nil || c.Mode != vault.Upsert || !errors.Is(err, errMeanwhile) {
			break
		}
	}
	return meta, created, err
}

func (b *Broker) putOnce(ctx context.Context, who identity.Principal, p vault.Path, c vault.Change) (meta vault.Metadata, created bool, err error) {
	e := b.entry(who, "secret.updated")
	e.Path = p
	j := b.judge(who)
	decision, err := b.decide(ctx, j, &e, policy.Set, p)
	if err != nil {
		return meta, false, b.refuse(ctx, &e, err)
	}
	shown, err := b.shows(ctx, j.asReader(), p)
	if err != nil {
		return meta, false, err
	}
	if err := b.overTrash(ctx, &decision); err != nil {
		return meta, false, veiled(shown, p, b.refuse(ctx, &e, err))
	}
	err = b.carryOut(ctx, j, &e, func(tx *sqldb.Tx) error {
		if !j.exempt() {
			if err := b.spendUse(tx, who, decision.Decision, e.Time); err != nil {
				return err
			}
		}
		created, err = b.store(tx, decision, &e, c, !shown, func(_ *sqldb.Tx, stored vault.Metadata) error {
			meta, e.Version = stored, stored.Version
			return nil
		})
		if created {
			e.Event = "secret.created"
		}
		return err
	})
	if err != nil {
		return vault.Metadata{}, false, veiled(shown, p, err)
	}
	return meta, created, nil
}

// store changes one secret inside a transaction, by the rules for who, and hands
// what it is then to then. Nobody is asked to approve it when closed.
func (b *Broker) store(tx *sqldb.Tx, r ruling, e *audit.Entry, c vault.Change, closed bool, then func(*sqldb.Tx, vault.Metadata) error) (created bool, err error) {
	j, p := r.judge, r.request.Path
	if err := checkValue(c.Value); err != nil {
		return false, err
	}
	old, err := j.known(tx, p, c)
	created = errors.Is(err, vault.ErrNotFound)
	if err != nil && !created {
		return false, err
	}
	if err := r.still(old, !created); err != nil {
		return false, err
	}
	switch {
	case !created && c.Mode == vault.Create:
		return false, vault.ErrExists
	case created && c.Mode == vault.Replace:
		return false, vault.ErrNotFound
	}
	if !j.exempt() {
		switch {
		case !c.Value.Given() || c.Destinations != nil || c.Generate != nil || c.Grace != nil:
			return false, ownersPart(p)
		// Also where there is a secret: that its name is not looked at would say so
		// to who may not list it.
		case b.givesAway(p, c.Value):
			return false, &vault.InvalidError{Field: "path", Rule: "has a key in it, or the value itself; names are shown in lists and logs"}
		case !created:
			if c, err = agentsChange(old, c); err != nil {
				return false, err
			}
		case c.Type == nil:
			kind := b.kindOf(c.Value)
			c.Type = &kind
		}
	}
	if !created {
		asks := plea{value: c.Value, closed: closed}
		if c.Tier != nil && c.Tier.Rank() < old.Tier.Rank() {
			asks.lowers, asks.terms = true, []approval.Detail{{Name: "tier", Text: string(*c.Tier)}}
		}
		if err := b.clear(tx, r, old, e, asks); err != nil {
			return false, err
		}
	}
	return created, j.put(tx, p, c, func(tx *sqldb.Tx, meta vault.Metadata) error {
		// The numbers of a path are never used twice: a new secret that does not
		// start at 1 stands where a deleted one can still be restored, and may do so
		// over those that were looked at.
		if created && !j.exempt() && b.far == nil && meta.Version > max(r.next, 1) {
			return inTheWay(p)
		}
		return then(tx, meta)
	})
}

// overTrash looks at what is deleted and can still be restored where an agent makes
// a secret, which is then the next version of that path (CONTRACT §19.12). What the
// agent could not have given another value while it was there, it does not take the
// place of either. A vault elsewhere that has no trash, or does not show it to this
// desk, sees to it itself.
func (b *Broker) overTrash(ctx context.Context, r *ruling) error {
	if r.judge.exempt() {
		return nil
	}
	p := r.request.Path
	if _, err := r.judge.outside(ctx)(p); !errors.Is(err, vault.ErrNotFound) {
		return err
	}
	err := b.eachTrashed(ctx, p, func(m vault.Metadata) error {
		asked := r.request
		if asked.Secret != nil {
			asked.Secret = factsOf(m)
		}
		if m.Tier != vault.Standard || asked.Secret != nil && !r.judge.rules.Decide(asked).Allowed {
			return inTheWay(p)
		}
		r.next = max(r.next, m.Version+1)
		return nil
	})
	if refused, ok := errors.AsType[*vault.RefusedError](err); errors.Is(err, vault.ErrUnsupported) || ok && refused.Final() {
		return nil
	}
	return err
}

// agentsChange is what an agent changes of a secret that is there: its value.
// Clients repeat the rest of it with each value, or say their defaults for it, so
// that what says nothing new is passed over: a type of custom, and a lower tier,
// since a tier is never lowered by the way (CONTRACT §19.27). The error is a
// *[Denied] for what would change something.
func agentsChange(old vault.Metadata, c vault.Change) (vault.Change, error) {
	if c.Type != nil && *c.Type != vault.Custom && *c.Type != old.Type ||
		c.Tier != nil && c.Tier.Rank() > old.Tier.Rank() ||
		c.Description != nil && *c.Description != old.Description ||
		c.Tags != nil && !maps.Equal(*c.Tags, old.Tags) ||
		c.Extra != nil && !sameExtra(*c.Extra, old.Extra) ||
		c.ExpiresAt != nil && !c.ExpiresAt.UTC().Truncate(time.Microsecond).Equal(old.ExpiresAt) {
		return c, ownersPart(old.Path)
	}
	return vault.Change{Mode: c.Mode, Value: c.Value}, nil
}

func sameExtra(said, old string) bool {
	canonical, err := vault.ParseExtra(said)
	return err == nil && canonical == old
}

// checkValue refuses, of anybody, what is no secret and would be taken for one.
func checkValue(v secret.Value) error {
	if !v.Given() {
		return nil
	}
	text := v.Reveal()
	defer clear(text)
	switch {
	case isHandle(string(text)):
		return &vault.InvalidError{Field: "value", Rule: "is or holds a handle (" + handle.Prefix + "…), which is worth nothing as a secret"}
	case bytes.HasPrefix(text, []byte(vault.ReferencePrefix)):
		return &vault.InvalidError{Field: "value", Rule: "is a reference (" + vault.ReferencePrefix + "…) and not a value"}
	default:
		return nil
	}
}

// givesAway reports that a name would show a secret: a key that a model took
// for a name, or the value, unless that is as plain as a word.
func (b *Broker) givesAway(p vault.Path, v secret.Value) bool {
	text := v.Reveal()
	defer clear(text)
	return b.tells(p) || redact.Maskable(v) && strings.Contains(string(p), string(text))
}

// isHandle reports that text is a handle, with mistakes perhaps, or holds a
// whole one: in a policy's shape, or with a word before it.
func isHandle(text string) bool {
	for _, found := range handle.Find(text) {
		if handle.Check(found.Text) == nil || found.Text == strings.TrimSpace(text) {
			return true
		}
	}
	return false
}

// tells reports that a path has a segment that looks like a provider's key: a
// model may have taken one for the other.
func (b *Broker) tells(p vault.Path) bool {
	for segment := range strings.SplitSeq(string(p), "/") {
		if b.c.Catalogue.Resembles(segment) {
			return true
		}
	}
	return false
}

// kindOf is the type of the providers whose key v is by prefix and by shape,
// where they agree.
func (b *Broker) kindOf(v secret.Value) vault.Type {
	kind := vault.Custom
	for i, p := range b.c.Catalogue.ForValue(v) {
		if i > 0 && p.Type != kind {
			return vault.Custom
		}
		kind = p.Type
	}
	return kind
}

// veiled hides what stood in the way of a change from an agent that may not
// list the path: tier, trash and neighbours say that something is there. What
// was recorded says it.
func veiled(shown bool, p vault.Path, err error) error {
	var denied *Denied
	tells := errors.Is(err, vault.ErrPathConflict) || errors.Is(err, vault.ErrExists) || errors.Is(err, vault.ErrNotFound) ||
		errors.As(err, &denied) && (denied.Code == ApprovalRequired || denied.Code == InTrash || denied.Code == OwnerOnly)
	if refused, ok := errors.AsType[*vault.RefusedError](err); ok { // by a desk, for the same reasons
		tells = refused.RetryAfter == 0
	}
	if shown || err == nil || !tells {
		return err
	}
	return &Denied{
		Code: Unavailable, Reason: "Nothing can be stored under this path by you.",
		Next: "Choose another path, ask the owner for the right to list this one, with which you are told what stands in the way, or to run: " + setCommand(p),
	}
}

func setCommand(p vault.Path) string { return "coatcheck secret set '" + string(p) + "'" }

func ownersPart(p vault.Path) *Denied {
	return &Denied{
		Code: OwnerOnly, Reason: "Of a secret that is there an agent changes the value and nothing else; where it may go and what it is say people.",
		Next: "Give the value alone, or ask the owner to run: " + setCommand(p) + " --keep-value --to HOST",
	}
}

func inTheWay(p vault.Path) *Denied {
	return &Denied{
		Code: InTrash, Reason: "A guarded secret of this path was deleted and can still be restored; a new one would stand in its place.",
		Next: "Choose another path, or ask the owner to run: coatcheck secret restore '" + string(p) + "'",
	}
}

package broker

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redact"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Put creates or changes a secret. The owner may change all of it. An agent
// with the right to set changes the value and nothing else (no laundering,
// DESIGN §5): c may hold a Value only, what is there keeps tier, type and
// destinations, and what is new is standard, has the type its value looks like,
// and no destination.
//
// Errors: those of [vault.Vault.Put], *[Denied]. An agent that may not list p
// learns nothing but whether its value was stored: what stands in its way is
// always the same [Unavailable].
func (b *Broker) Put(ctx context.Context, who identity.Principal, p vault.Path, c vault.Change) (vault.Metadata, error) {
	meta, _, err := b.put(ctx, who, p, c)
	return meta, err
}

func (b *Broker) put(ctx context.Context, who identity.Principal, p vault.Path, c vault.Change) (meta vault.Metadata, created bool, err error) {
	e := b.entry(who, "secret.updated")
	e.Path = p
	j := b.judge(who)
	decision, err := b.decide(ctx, j, &e, policy.Set, p)
	if err != nil {
		return meta, false, b.refuse(ctx, &e, err)
	}
	err = b.record(ctx, who, &e, func(tx *sqldb.Tx) error {
		if !j.owner() {
			if err := b.spendRate(tx, who, decision.Decision, e.Time); err != nil {
				return err
			}
		}
		meta, created, err = b.store(tx, decision, c)
		if created {
			e.Event = "secret.created"
		}
		e.Version = meta.Version
		return err
	})
	if err != nil {
		return vault.Metadata{}, false, b.veiled(ctx, j, p, err)
	}
	return meta, created, nil
}

// store changes one secret inside a transaction, by the rules for who.
func (b *Broker) store(tx *sqldb.Tx, r ruling, c vault.Change) (meta vault.Metadata, created bool, err error) {
	j, p := r.judge, r.request.Path
	if err := checkValue(c.Value); err != nil {
		return meta, false, err
	}
	view := b.c.Vault.InTx(tx)
	old, err := view.Describe(p)
	created = errors.Is(err, vault.ErrNotFound) && c.Mode != vault.Replace
	if err != nil && !errors.Is(err, vault.ErrNotFound) {
		return meta, false, err
	}
	if err := r.still(old, err == nil); err != nil {
		return meta, false, err
	}
	if !j.owner() {
		switch {
		case !valueOnly(c):
			return meta, false, ownersPart(p)
		// Also where there is a secret: that its name is not looked at would say so
		// to who may not list it.
		case b.givesAway(p, c.Value):
			return meta, false, &vault.InvalidError{Field: "path", Rule: "has a key in it, or the value itself; names are shown in lists and logs"}
		case !created && old.Tier != vault.Standard:
			return meta, false, approvalRequired(old.Tier)
		case created:
			kind := b.kindOf(c.Value)
			c.Type = &kind
		}
	}
	if meta, err = view.Put(p, c); err != nil {
		return meta, created, err
	}
	// The numbers of a path are never used twice: a new secret that does not
	// start at 1 stands where a deleted one can still be restored.
	if created && !j.owner() && meta.Version > 1 {
		return meta, created, inTheWay(p)
	}
	return meta, created, nil
}

// valueOnly reports that c gives a value and leaves the rest alone.
func valueOnly(c vault.Change) bool {
	return c.Value.Given() && c.Type == nil && c.Tier == nil && c.Description == nil && c.Tags == nil && c.Extra == nil &&
		c.Destinations == nil && c.Generate == nil && c.ExpiresAt == nil && c.Grace == nil
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
func (b *Broker) veiled(ctx context.Context, j judge, p vault.Path, err error) error {
	var denied *Denied
	tells := errors.Is(err, vault.ErrPathConflict) ||
		errors.As(err, &denied) && (denied.Code == ApprovalRequired || denied.Code == InTrash)
	if !tells {
		return err
	}
	switch shown, broken := b.shows(ctx, j, p); {
	case broken != nil:
		return broken
	case shown:
		return err
	}
	return &Denied{
		Code: Unavailable, Reason: "Nothing can be stored under this path by you.",
		Next: "Choose another path, or ask the owner to run: " + setCommand(p),
	}
}

func setCommand(p vault.Path) string { return "coatcheck secret set '" + string(p) + "'" }

func ownersPart(p vault.Path) *Denied {
	return &Denied{
		Code: OwnerOnly, Reason: "An agent sets the value of a secret and nothing else; where it may go and what it is say people.",
		Next: "Give the value alone, or ask the owner to run: " + setCommand(p) + " --keep-value --to HOST",
	}
}

func inTheWay(p vault.Path) *Denied {
	return &Denied{
		Code: InTrash, Reason: "A deleted secret of this path can still be restored, and a new one would stand in its place.",
		Next: "Choose another path, or ask the owner to run: coatcheck secret restore '" + string(p) + "'",
	}
}

package broker

import (
	"context"
	"strconv"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Restore brings a secret back from the trash, for the owner and admins. Errors:
// [vault.ErrNotFound], [vault.ErrExists], [vault.ErrPathConflict], *[Denied].
func (b *Broker) Restore(ctx context.Context, who identity.Principal, p vault.Path) (vault.Metadata, error) {
	var meta vault.Metadata
	e := b.entry(who, "secret.restored")
	e.Path = p
	j := b.judge(who)
	err := b.carryOut(ctx, j, &e, func(tx *sqldb.Tx) error {
		if !manages(who) {
			return managersOnly()
		}
		return j.restore(tx, p, func(m vault.Metadata) { meta, e.Version = m, m.Version })
	})
	return meta, err
}

// History lists the versions of a secret, newest first, for who may list it.
// Errors: [vault.ErrNotFound], *[Denied].
func (b *Broker) History(ctx context.Context, who identity.Principal, p vault.Path) ([]vault.Version, error) {
	if _, err := b.Describe(ctx, who, p); err != nil {
		return nil, err
	}
	return b.c.Vault.History(ctx, p)
}

// RotateRequest asks for a new version.
type RotateRequest struct {
	Path  vault.Path
	Value secret.Value  // zero: made here from the secret's recipe; else it also takes the right to set
	Grace time.Duration // how long the old version stays readable by number, 0 to [vault.MaxGrace]
}

// Rotated is the outcome of a rotation.
type Rotated struct {
	Metadata         vault.Metadata
	OldVersion       int
	OldReadableUntil time.Time
}

// Rotate makes a new version and retires the old ones after the grace period.
// A secret without a recipe needs its next value from a human: *[Denied] of
// code [HumanNeeded] names the command. Who may not list the path is told its
// versions and times and nothing else. Errors: *[Denied], *[vault.InvalidError],
// [vault.ErrNotFound].
func (b *Broker) Rotate(ctx context.Context, who identity.Principal, r RotateRequest) (Rotated, error) {
	e := b.entry(who, "secret.rotated")
	e.Path = r.Path
	j := b.judge(who)
	decision, err := b.decide(ctx, j, &e, policy.Rotate, r.Path)
	if err != nil {
		return Rotated{}, b.refuse(ctx, &e, err)
	}
	if !r.Value.IsZero() {
		if err := b.mayBring(ctx, j, r.Path); err != nil {
			return Rotated{}, b.refuse(ctx, &e, err)
		}
	}
	var out Rotated
	err = b.carryOut(ctx, j, &e, func(tx *sqldb.Tx) error {
		meta, err := b.found(tx, decision)
		if err != nil {
			return err
		}
		if err := checkValue(r.Value); err != nil {
			return err
		}
		if r.Value.IsZero() && meta.Generate == "" {
			return humanNeeded(r.Path, r.Grace)
		}
		if err := b.clear(tx, decision, meta, &e, plea{terms: []approval.Detail{{Name: "grace", Text: r.Grace.String()}}, value: r.Value}); err != nil {
			return err
		}
		if err := b.spendUse(tx, who, decision.Decision, e.Time); err != nil {
			return err
		}
		value := r.Value
		if value.IsZero() {
			if value, err = meta.Generate.Generate(); err != nil {
				return err
			}
		}
		return j.put(tx, r.Path, vault.Change{Mode: vault.Replace, Value: value, Grace: &r.Grace}, func(_ *sqldb.Tx, changed vault.Metadata) error {
			e.Version = changed.Version
			out = Rotated{Metadata: changed, OldVersion: meta.Version, OldReadableUntil: changed.UpdatedAt.Add(r.Grace)}
			return nil
		})
	})
	if err == nil && !j.asReader().showsThis(out.Metadata) {
		m := out.Metadata
		out.Metadata = vault.Metadata{Path: m.Path, Version: m.Version, CreatedAt: m.CreatedAt, UpdatedAt: m.UpdatedAt}
	}
	return out, err
}

// mayBring refuses a value for a rotation by who has not the right to set one, or
// is a model: what it would bring has been seen.
func (b *Broker) mayBring(ctx context.Context, j judge, p vault.Path) error {
	if j.exempt() {
		return nil
	}
	if j.who.Door != policy.DoorREST {
		return ownerOnly()
	}
	r, err := j.rule(j.outside(ctx), policy.Set, p, nil)
	if err == nil && !r.Allowed {
		err = r.denied()
	}
	return err
}

func humanNeeded(p vault.Path, grace time.Duration) *Denied {
	command := "coatcheck secret rotate '" + string(p) + "'"
	if grace > 0 {
		command += " --grace " + strconv.Itoa(int(grace.Seconds())) + "s"
	}
	return &Denied{
		Code:   HumanNeeded,
		Reason: "The next value of this secret comes from a human; this desk cannot make it.",
		Next:   "Ask the owner to run: " + command,
	}
}

package broker

import (
	"context"
	"strconv"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Restore brings a secret back from the trash, for the owner. Errors:
// [vault.ErrNotFound], [vault.ErrExists], [vault.ErrPathConflict], *[Denied].
func (b *Broker) Restore(ctx context.Context, who identity.Principal, p vault.Path) (vault.Metadata, error) {
	var meta vault.Metadata
	e := b.entry(who, "secret.restored")
	e.Path = p
	err := b.record(ctx, who, &e, func(tx *sqldb.Tx) (err error) {
		if who.Kind != identity.Owner {
			return ownerOnly()
		}
		meta, err = b.c.Vault.InTx(tx).Restore(p)
		e.Version = meta.Version
		return err
	})
	return meta, err
}

// History lists the versions of a secret, newest first, for the owner.
// Errors: [vault.ErrNotFound], *[Denied].
func (b *Broker) History(ctx context.Context, who identity.Principal, p vault.Path) ([]vault.Version, error) {
	if who.Kind != identity.Owner {
		return nil, ownerOnly()
	}
	return b.c.Vault.History(ctx, p)
}

// RotateRequest asks for a new version.
type RotateRequest struct {
	Path  vault.Path
	Value secret.Value  // owner only; zero: made here from the secret's recipe
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
// code [HumanNeeded] names the command. Errors: *[Denied], *[vault.InvalidError],
// [vault.ErrNotFound].
func (b *Broker) Rotate(ctx context.Context, who identity.Principal, r RotateRequest) (Rotated, error) {
	e := b.entry(who, "secret.rotated")
	e.Path = r.Path
	j := b.judge(who)
	decision, err := b.decide(ctx, j, &e, policy.Rotate, r.Path)
	if err != nil {
		return Rotated{}, b.refuse(ctx, &e, err)
	}
	var out Rotated
	err = b.record(ctx, who, &e, func(tx *sqldb.Tx) error {
		meta, err := b.guarded(tx, decision)
		if err != nil {
			return err
		}
		if who.Kind != identity.Owner && !r.Value.IsZero() {
			return ownerOnly()
		}
		if err := checkValue(r.Value); err != nil {
			return err
		}
		if err := b.spendRate(tx, who, decision.Decision, e.Time); err != nil {
			return err
		}
		value := r.Value
		if value.IsZero() {
			if meta.Generate == "" {
				return humanNeeded(r.Path, r.Grace)
			}
			if value, err = meta.Generate.Generate(); err != nil {
				return err
			}
		}
		changed, err := b.c.Vault.InTx(tx).Put(r.Path, vault.Change{Mode: vault.Replace, Value: value, Grace: &r.Grace})
		e.Version = changed.Version
		out = Rotated{Metadata: changed, OldVersion: meta.Version, OldReadableUntil: changed.UpdatedAt.Add(r.Grace)}
		return err
	})
	return out, err
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

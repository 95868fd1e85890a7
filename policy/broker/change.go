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

// Put creates or changes a secret, for the owner. Errors: those of
// [vault.Vault.Put], *[Denied].
func (b *Broker) Put(ctx context.Context, who identity.Principal, p vault.Path, c vault.Change) (vault.Metadata, error) {
	var meta vault.Metadata
	err := b.owned(ctx, who, "secret.updated", p, func(v vault.View) (string, int, error) {
		var err error
		meta, err = v.Put(p, c)
		if err == nil && meta.Version == 1 && meta.CreatedAt.Equal(meta.UpdatedAt) {
			return "secret.created", meta.Version, nil
		}
		return "", meta.Version, err
	})
	return meta, err
}

// Delete moves a secret to the trash, or with permanent destroys it, for the
// owner. Errors: [vault.ErrNotFound], *[Denied].
func (b *Broker) Delete(ctx context.Context, who identity.Principal, p vault.Path, permanent bool) error {
	event := "secret.deleted"
	if permanent {
		event = "secret.purged"
	}
	return b.owned(ctx, who, event, p, func(v vault.View) (string, int, error) {
		return "", 0, v.Delete(p, permanent)
	})
}

// Restore brings a secret back from the trash, for the owner. Errors:
// [vault.ErrNotFound], [vault.ErrExists], [vault.ErrPathConflict], *[Denied].
func (b *Broker) Restore(ctx context.Context, who identity.Principal, p vault.Path) (vault.Metadata, error) {
	var meta vault.Metadata
	err := b.owned(ctx, who, "secret.restored", p, func(v vault.View) (string, int, error) {
		var err error
		meta, err = v.Restore(p)
		return "", meta.Version, err
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

// owned is a change of the vault and its leaf in one transaction. act returns
// the event if it is another one than expected, and the version it made.
func (b *Broker) owned(ctx context.Context, who identity.Principal, event string, p vault.Path, act func(vault.View) (string, int, error)) error {
	e := b.entry(who, event)
	e.Path = p
	return b.record(ctx, who, &e, func(tx *sqldb.Tx) error {
		if who.Kind != identity.Owner {
			return ownerOnly()
		}
		name, version, err := act(b.c.Vault.InTx(tx))
		if name != "" {
			e.Event = name
		}
		e.Version = version
		return err
	})
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
	decision := j.decide(&e, policy.Rotate, r.Path, nil)
	if !decision.Allowed {
		return Rotated{}, b.refuse(ctx, &e, j.denied(policy.Rotate, r.Path, nil))
	}
	var out Rotated
	err := b.record(ctx, who, &e, func(tx *sqldb.Tx) error {
		meta, err := b.guarded(tx, who, policy.Rotate, r.Path)
		if err != nil {
			return err
		}
		if who.Kind != identity.Owner && !r.Value.IsZero() {
			return ownerOnly()
		}
		if err := b.spendRate(tx, who, decision, e.Time); err != nil {
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

package broker

import (
	"context"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Reveal returns the plaintext of one version to who has the right for it; the
// reading is on record before the value is opened. Errors: *[Denied],
// [vault.ErrNotFound] and its kin.
func (b *Broker) Reveal(ctx context.Context, who identity.Principal, p vault.Path, version int) (vault.Secret, error) {
	e := b.entry(who, "secret.read")
	e.Path, e.Version, e.Outcome = p, version, audit.Intent
	err := b.record(ctx, who, &e, func(tx *sqldb.Tx) error {
		decision, meta, err := b.permit(tx, who, policy.Reveal, p, nil)
		e.Rule, e.RuleHash = decision.Rule, decision.RuleHash
		if err != nil {
			return err
		}
		if version == vault.Latest {
			e.Version = meta.Version
		}
		if err := usable(meta, version, e.Time); err != nil {
			return err
		}
		return b.spendRate(tx, who, decision, e.Time)
	})
	if err != nil {
		return vault.Secret{}, err
	}
	return b.Vault.Get(ctx, p, version)
}

// Redacted is a secret as a model may see it.
type Redacted struct {
	Metadata vault.Metadata
	Mask     string // a provider's public prefix and a fixed run of dots; nothing of the value's length
}

// maskDots stands for every value, whatever its length.
const maskDots = "••••••••"

// Redacted returns metadata and mask. It takes the right to list and is
// recorded, since the value is opened to find a public prefix.
func (b *Broker) Redacted(ctx context.Context, who identity.Principal, p vault.Path) (Redacted, error) {
	e := b.entry(who, "secret.masked")
	e.Path = p
	var out Redacted
	err := b.record(ctx, who, &e, func(tx *sqldb.Tx) error {
		decision, meta, err := b.permit(tx, who, policy.List, p, nil)
		e.Rule, e.RuleHash = decision.Rule, decision.RuleHash
		out.Metadata = meta
		return err
	})
	if err != nil {
		return Redacted{}, err
	}
	s, err := b.Vault.Get(ctx, p, vault.Latest)
	if err != nil {
		return Redacted{}, err
	}
	out.Mask = b.Catalogue.PublicPrefix(s.Value) + maskDots
	return out, nil
}

package broker

import (
	"context"
	"errors"
	"strconv"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Reveal returns the plaintext of one version to who has the right for it. It
// is read in the transaction that records it, and handed out after the commit.
// Errors: *[Denied], [vault.ErrNotFound] and its kin.
func (b *Broker) Reveal(ctx context.Context, who identity.Principal, p vault.Path, version int) (vault.Secret, error) {
	e := b.entry(who, "secret.read")
	e.Version = version
	return b.opened(ctx, who, &e, policy.Reveal, p, func(err error) error { return b.refuse(ctx, &e, err) })
}

// ErrNamespace means that a path is the name of a namespace. List what is below it.
var ErrNamespace = errors.New("the path names a namespace")

// RevealUnlessNamespace is Reveal of the latest version where p may be the name of
// a namespace instead, since clients ask for both in the same words. That is looked
// at only once there is nothing to read: a secret and a namespace never share a
// path. If who may list something below p the error is [ErrNamespace], and nothing
// is recorded.
func (b *Broker) RevealUnlessNamespace(ctx context.Context, who identity.Principal, p vault.Path) (vault.Secret, error) {
	e := b.entry(who, "secret.read")
	return b.opened(ctx, who, &e, policy.Reveal, p, func(err error) error {
		below, failed := b.list(ctx, who, ListRequest{Prefix: string(p) + "/", Limit: 1})
		switch {
		case failed != nil:
			return failed
		case len(below.Items) > 0 || below.Next != "":
			return ErrNamespace
		}
		return b.refuse(ctx, &e, err)
	})
}

// opened reads one version of a secret and records it as e, all or nothing. Before
// it is known that there is a secret, refuse ends the request instead.
func (b *Broker) opened(ctx context.Context, who identity.Principal, e *audit.Entry, right policy.Right, p vault.Path, refuse func(error) error) (vault.Secret, error) {
	e.Path = p
	j := b.judge(who)
	decision, err := b.decide(ctx, j, e, right, p)
	if err != nil {
		return vault.Secret{}, refuse(err)
	}
	if who.Kind != identity.Owner {
		if err := b.onTime(ctx); err != nil {
			return vault.Secret{}, refuse(err)
		}
	}
	var s vault.Secret
	err = b.carryOut(ctx, j, e, func(tx *sqldb.Tx) (err error) {
		var terms []approval.Detail
		if e.Version != vault.Latest {
			terms = append(terms, approval.Detail{Name: "version", Text: strconv.Itoa(e.Version)})
		}
		meta, err := b.found(tx, decision)
		if errors.Is(err, vault.ErrNotFound) {
			return errAbsent
		}
		if err != nil {
			return err
		}
		if err = usable(meta, e.Version, e.Time); err != nil {
			return err
		}
		if err = b.clear(tx, decision, meta, e, plea{terms: terms}); err != nil {
			return err
		}
		if err = b.spendUse(tx, who, decision.Decision, e.Time); err != nil {
			return err
		}
		return j.get(tx, decision, e.Version, func(got vault.Secret) {
			s, e.Version = got, got.Version
			if right == policy.Reveal {
				s.AccessedAt = e.Time
				b.accesses.note(string(p), e.Time)
			}
		})
	})
	switch {
	case errors.Is(err, errAbsent):
		return vault.Secret{}, refuse(vault.ErrNotFound)
	case err != nil:
		return vault.Secret{}, err
	}
	return s, nil
}

// errAbsent undoes the transaction of a reading of nothing. It is no event.
var errAbsent = errors.New("there is no such secret")

// Redacted is a secret as a model may see it.
type Redacted struct {
	Metadata vault.Metadata
	Mask     string // a provider's public prefix and a fixed run of dots; nothing of the value's length
}

// maskDots stands for every value, whatever its length.
const maskDots = "••••••••"

// Redacted returns metadata and mask. It takes the right to list and is
// recorded, since the value is opened to find a public prefix. Errors: those of
// [Broker.Reveal].
func (b *Broker) Redacted(ctx context.Context, who identity.Principal, p vault.Path) (Redacted, error) {
	e := b.entry(who, "secret.masked")
	s, err := b.opened(ctx, who, &e, policy.List, p, func(err error) error { return b.refuse(ctx, &e, err) })
	if err != nil {
		return Redacted{}, err
	}
	return Redacted{Metadata: s.Metadata, Mask: b.c.Catalogue.PublicPrefix(s.Value) + maskDots}, nil
}

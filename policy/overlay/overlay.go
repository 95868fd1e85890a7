// Package overlay keeps here what a vault elsewhere has no words for: where a
// secret may go, and how its next value is made.
//
// The one rule: what is kept belongs to one secret of one vault, by the time it
// was made there. A secret that is deleted and made anew elsewhere goes nowhere
// until somebody says so again.
//
//	v := overlay.New(db, rows, client.Vault(), client.BaseURL())
//	v.Put(ctx, p, vault.Change{Value: key, Destinations: &to}) // the value there, to here
//	m, err := v.Describe(ctx, p)                               // of both
//
// A [Vault] is a whole [vault.Vault]. What it does takes two steps, there first:
// when the second one fails, the secret stands without what was to be kept. The
// broker takes the steps itself, to put its record between them.
//
// Choice: which secret it is shows by its time in microseconds: of a vault that tells
// seconds, one that somebody else made anew there within the second is taken for the
// one before.
//
// Choice: rows in clear with a MAC, as handles have (package rowmac, and what it
// does not do). They tell names, hosts and recipes, which the log and the handles
// tell as well. A row is left when its secret ends there unseen: it fits nothing
// any more.
//
// Not here: tiers, tags and the rest, which every vault so far carries itself.
package overlay

import (
	"context"
	"errors"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Far is the vault elsewhere.
type Far interface {
	vault.Vault
	vault.Restorer
	vault.Historian
}

// Vault is a vault elsewhere with what is kept of its secrets here. It is safe
// for concurrent use.
type Vault struct {
	far  Far
	name string
	db   *sqldb.DB
	rows *rowmac.Key
}

// New returns the vault far under a name that stays its own, such as its URL.
func New(db *sqldb.DB, rows *rowmac.Key, far Far, name string) *Vault {
	return &Vault{far: far, name: name, db: db, rows: rows}
}

// There returns the vault elsewhere by itself.
func (v *Vault) There() Far { return v.far }

// Split returns the part of a change that goes there, and whether that says
// anything.
func (v *Vault) Split(c vault.Change) (there vault.Change, says bool) {
	there = c
	there.Destinations, there.Generate = nil, nil
	says = there.Value.Given() || there.Type != nil || there.Tier != nil || there.Description != nil || there.Tags != nil ||
		there.Extra != nil || there.ExpiresAt != nil || there.Grace != nil
	return there, says
}

// Get implements [vault.Vault].
func (v *Vault) Get(ctx context.Context, p vault.Path, version int) (vault.Secret, error) {
	s, err := v.far.Get(ctx, p, version)
	if err == nil {
		s.Metadata, err = v.whole(ctx, s.Metadata)
	}
	if err != nil {
		return vault.Secret{}, err
	}
	return s, nil
}

// Describe implements [vault.Vault].
func (v *Vault) Describe(ctx context.Context, p vault.Path) (vault.Metadata, error) {
	m, err := v.far.Describe(ctx, p)
	if err != nil {
		return vault.Metadata{}, err
	}
	return v.whole(ctx, m)
}

// List implements [vault.Vault].
func (v *Vault) List(ctx context.Context, q vault.Query) (vault.Page, error) {
	page, err := v.far.List(ctx, q)
	if err != nil || len(page.Items) == 0 {
		return page, err
	}
	err = v.db.View(ctx, func(tx *sqldb.Tx) (err error) {
		for i, m := range page.Items {
			if page.Items[i], err = v.Complete(tx, m); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return vault.Page{}, err
	}
	return page, nil
}

// Put implements [vault.Vault].
func (v *Vault) Put(ctx context.Context, p vault.Path, c vault.Change) (m vault.Metadata, err error) {
	there, says := v.Split(c)
	switch {
	case says || c.Mode == vault.Create:
		// What would be refused here only after it was done there.
		if _, err := c.Apply(vault.Metadata{Path: p, Version: 1}, time.Now()); err != nil {
			return vault.Metadata{}, err
		}
		m, err = v.far.Put(ctx, p, there)
	default:
		m, err = v.far.Describe(ctx, p)
		if errors.Is(err, vault.ErrNotFound) && c.Mode == vault.Upsert { // a new one needs a value
			_, err = c.Apply(vault.Metadata{Path: p}, time.Now())
		}
	}
	if err != nil {
		return vault.Metadata{}, err
	}
	err = v.db.Update(ctx, func(tx *sqldb.Tx) error {
		m, err = v.Keep(tx, m, c)
		return err
	})
	return m, err
}

// Delete implements [vault.Vault].
func (v *Vault) Delete(ctx context.Context, p vault.Path, permanent bool) error {
	if err := v.far.Delete(ctx, p, permanent); err != nil || !permanent {
		return err
	}
	return v.db.Update(ctx, func(tx *sqldb.Tx) error { return v.Forget(tx, p) })
}

// Restore implements [vault.Restorer]. What was kept of the secret holds again.
func (v *Vault) Restore(ctx context.Context, p vault.Path) (vault.Metadata, error) {
	m, err := v.far.Restore(ctx, p)
	if err != nil {
		return vault.Metadata{}, err
	}
	return v.whole(ctx, m)
}

// History implements [vault.Historian].
func (v *Vault) History(ctx context.Context, p vault.Path) ([]vault.Version, error) {
	return v.far.History(ctx, p)
}

// Close closes the vault elsewhere.
func (v *Vault) Close() error { return v.far.Close() }

// whole is Complete in a transaction of its own.
func (v *Vault) whole(ctx context.Context, m vault.Metadata) (out vault.Metadata, err error) {
	err = v.db.View(ctx, func(tx *sqldb.Tx) error {
		out, err = v.Complete(tx, m)
		return err
	})
	return out, err
}

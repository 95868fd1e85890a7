package embedded

import (
	"context"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Vault keeps secrets in a database. It is safe for concurrent use.
type Vault struct {
	db   *sqldb.DB
	keys *Keyring
	now  func() time.Time
}

var (
	_ vault.Vault     = (*Vault)(nil)
	_ vault.Restorer  = (*Vault)(nil)
	_ vault.Historian = (*Vault)(nil)
)

// Options of [New].
type Options struct {
	Now func() time.Time // nil: time.Now
}

// New returns the vault of db. It does no I/O; db and keys outlive it.
func New(db *sqldb.DB, keys *Keyring, opts *Options) *Vault {
	v := &Vault{db: db, keys: keys, now: time.Now}
	if opts != nil && opts.Now != nil {
		v.now = opts.Now
	}
	return v
}

// InTx returns the vault as tx sees and changes it, valid as long as tx. The
// clock is read once.
func (v *Vault) InTx(tx *sqldb.Tx) vault.View { return v.in(tx) }

func (v *Vault) in(tx *sqldb.Tx) view {
	return view{tx: tx, keys: v.keys, now: v.now().UTC().Truncate(time.Microsecond)}
}

// Get implements [vault.Vault].
func (v *Vault) Get(ctx context.Context, p vault.Path, version int) (out vault.Secret, err error) {
	err = v.db.View(ctx, func(tx *sqldb.Tx) error {
		out, err = v.in(tx).Get(p, version)
		return err
	})
	return out, err
}

// Describe implements [vault.Vault].
func (v *Vault) Describe(ctx context.Context, p vault.Path) (out vault.Metadata, err error) {
	err = v.db.View(ctx, func(tx *sqldb.Tx) error {
		out, err = v.in(tx).Describe(p)
		return err
	})
	return out, err
}

// List implements [vault.Vault].
func (v *Vault) List(ctx context.Context, q vault.Query) (out vault.Page, err error) {
	err = v.db.View(ctx, func(tx *sqldb.Tx) error {
		out, err = v.in(tx).list(q)
		return err
	})
	return out, err
}

// History implements [vault.Historian].
func (v *Vault) History(ctx context.Context, p vault.Path) (out []vault.Version, err error) {
	err = v.db.View(ctx, func(tx *sqldb.Tx) error {
		out, err = v.in(tx).History(p)
		return err
	})
	return out, err
}

// Put implements [vault.Vault].
func (v *Vault) Put(ctx context.Context, p vault.Path, c vault.Change) (out vault.Metadata, err error) {
	err = v.update(ctx, func(w view) error {
		out, err = w.Put(p, c)
		return err
	})
	return out, err
}

// Delete implements [vault.Vault].
func (v *Vault) Delete(ctx context.Context, p vault.Path, permanent bool) error {
	return v.update(ctx, func(w view) error { return w.Delete(p, permanent) })
}

// Restore implements [vault.Restorer].
func (v *Vault) Restore(ctx context.Context, p vault.Path) (out vault.Metadata, err error) {
	err = v.update(ctx, func(w view) error {
		out, err = w.Restore(p)
		return err
	})
	return out, err
}

func (v *Vault) update(ctx context.Context, fn func(view) error) error {
	return v.db.Update(ctx, func(tx *sqldb.Tx) error { return fn(v.in(tx)) })
}

// Close releases nothing: the database belongs to whoever opened it.
func (v *Vault) Close() error { return nil }

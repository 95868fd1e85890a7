package embedded

import (
	"errors"
	"slices"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// view is the vault inside one transaction, at one moment.
type view struct {
	tx   *sqldb.Tx
	keys *Keyring
	now  time.Time
}

// live loads the secret that has the path now.
func (w view) live(p vault.Path) (row, error) {
	if r, ok := known(w.tx, p); ok {
		return r, nil
	}
	r, err := w.load(p, "SELECT first, deleted_at, record FROM vault_secrets WHERE path = ? AND deleted_at = 0")
	if err == nil {
		remember(w.tx, r)
	}
	return r, err
}

// trashed loads the secret of that path that was deleted last.
func (w view) trashed(p vault.Path) (row, error) {
	return w.load(p, "SELECT first, deleted_at, record FROM vault_secrets WHERE path = ? AND deleted_at <> 0 ORDER BY first DESC LIMIT 1")
}

func (w view) load(p vault.Path, query string) (row, error) {
	var first int
	var deletedAt int64
	var sealed []byte
	err := w.tx.QueryRow(query, string(p)).Scan(&first, &deletedAt, &sealed)
	if errors.Is(err, sqldb.ErrNoRows) {
		return row{}, vault.ErrNotFound
	}
	if err != nil {
		return row{}, err
	}
	if r, ok := w.keys.opened.get(p, first, deletedAt, sealed); ok {
		return r, nil
	}
	r, err := w.keys.openRecord(w.tx, string(p), first, deletedAt, sealed)
	if err == nil {
		w.keys.opened.put(r, deletedAt, sealed)
	}
	return r, err
}

// Describe implements [vault.View].
func (w view) Describe(p vault.Path) (vault.Metadata, error) {
	r, err := w.live(p)
	return r.Metadata, err
}

// Get implements [vault.View].
func (w view) Get(p vault.Path, version int) (vault.Secret, error) {
	r, err := w.live(p)
	if err != nil {
		return vault.Secret{}, err
	}
	if expired(r.Metadata, w.now) {
		return vault.Secret{}, vault.ErrExpired
	}
	current := r.Version
	if version == vault.Latest {
		version = current
	}
	if version < r.first || version > current {
		return vault.Secret{}, vault.ErrNotFound
	}
	var sealed, body []byte
	err = w.tx.QueryRow("SELECT head, body FROM vault_versions WHERE path = ? AND version = ?", string(p), version).Scan(&sealed, &body)
	if errors.Is(err, sqldb.ErrNoRows) { // the record says it is there
		return vault.Secret{}, damagedVersion(p, version)
	}
	if err != nil {
		return vault.Secret{}, err
	}
	h, err := w.keys.openHead(w.tx, p, version, sealed)
	if err != nil {
		return vault.Secret{}, err
	}
	defer clear(h.key[:])
	if version != current && !h.until.IsZero() && !h.until.After(w.now) {
		return vault.Secret{}, vault.ErrVersionRetired
	}
	value, err := w.keys.openBody(p, version, h, body)
	if err != nil {
		return vault.Secret{}, err
	}
	r.Version, r.Binary = version, !value.IsText()
	return vault.Secret{Metadata: r.Metadata, Value: value}, nil
}

func expired(m vault.Metadata, now time.Time) bool {
	return !m.ExpiresAt.IsZero() && !m.ExpiresAt.After(now)
}

// History implements [vault.View].
func (w view) History(p vault.Path) ([]vault.Version, error) {
	r, err := w.live(p)
	if err != nil {
		return nil, err
	}
	var all []vault.Version
	err = w.eachHead(p, r.first, r.Version, func(version int, h head) (bool, error) {
		all = append(all, vault.Version{Number: version, CreatedAt: h.created, Current: version == r.Version, ReadableUntil: h.until})
		return true, nil
	})
	if err == nil && len(all) != r.Version-r.first+1 {
		err = damagedVersion(p, r.Version-len(all))
	}
	if err != nil {
		return nil, err
	}
	return slices.Clip(all), nil
}

// errStop ends a query early.
var errStop = errors.New("stop")

// eachHead calls fn for the versions from last down to first, until it
// returns false.
func (w view) eachHead(p vault.Path, first, last int, fn func(version int, h head) (bool, error)) error {
	err := w.tx.Query("SELECT version, head FROM vault_versions WHERE path = ? AND version BETWEEN ? AND ? ORDER BY version DESC",
		[]any{string(p), first, last}, func(scan func(...any) error) error {
			var version int
			var sealed []byte
			if err := scan(&version, &sealed); err != nil {
				return err
			}
			h, err := w.keys.openHead(w.tx, p, version, sealed)
			if err != nil {
				return err
			}
			more, err := fn(version, h)
			if err == nil && !more {
				err = errStop
			}
			return err
		})
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

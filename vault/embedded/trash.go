package embedded

import (
	"errors"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Delete implements [vault.View].
func (w view) Delete(p vault.Path, permanent bool) error {
	if permanent {
		return w.destroy(p)
	}
	r, err := w.live(p)
	if err != nil {
		return err
	}
	r.DeletedAt = w.now
	return w.store(r, false)
}

// destroy removes all that is left of a path, live and in the trash. It opens
// nothing, so that what is damaged can be removed too.
func (w view) destroy(p vault.Path) error {
	w.tx.Erase()
	forget(w.tx, p)
	n, err := w.tx.Exec("DELETE FROM vault_secrets WHERE path = ?", string(p))
	if err != nil {
		return err
	}
	if n == 0 {
		return vault.ErrNotFound
	}
	_, err = w.tx.Exec("DELETE FROM vault_versions WHERE path = ?", string(p))
	return err
}

// Restore implements [vault.View].
func (w view) Restore(p vault.Path) (vault.Metadata, error) {
	found, err := w.found("SELECT 1 FROM vault_secrets WHERE path = ? AND deleted_at = 0", string(p))
	if err != nil {
		return vault.Metadata{}, err
	}
	if found {
		return vault.Metadata{}, vault.ErrExists
	}
	r, err := w.trashed(p)
	if err != nil {
		return vault.Metadata{}, err
	}
	if !r.DeletedAt.After(w.now.Add(-vault.TrashRetention)) {
		return vault.Metadata{}, vault.ErrNotFound // waits for Purge
	}
	if err := w.checkConflict(p); err != nil {
		return vault.Metadata{}, err
	}
	r.DeletedAt = time.Time{}
	return r.Metadata, w.store(r, false)
}

// purgeBatch bounds the work of one [Vault.Purge].
const purgeBatch = 100

// Purge destroys secrets that have been in the trash for longer than
// [vault.TrashRetention] at now, at most 100, and returns their paths, oldest
// deletion first. None means that nothing is left to purge.
func (v *Vault) Purge(tx *sqldb.Tx, now time.Time) ([]vault.Path, error) {
	w := view{tx: tx, keys: v.keys, now: now}
	type entry struct {
		path  string
		first int
	}
	var old []entry
	err := tx.Query("SELECT path, first FROM vault_secrets WHERE deleted_at <> 0 AND deleted_at <= ? ORDER BY deleted_at LIMIT ?",
		[]any{sqldb.Micros(now.Add(-vault.TrashRetention)), purgeBatch}, func(scan func(...any) error) error {
			var e entry
			err := scan(&e.path, &e.first)
			old = append(old, e)
			return err
		})
	if err != nil {
		return nil, err
	}
	if len(old) > 0 {
		tx.Erase()
	}
	paths := make([]vault.Path, 0, len(old))
	for _, e := range old {
		if err := w.purge(e.path, e.first); err != nil {
			return nil, err
		}
		paths = append(paths, vault.Path(e.path))
	}
	return paths, nil
}

// purge removes one deleted secret with its versions: those from its first to
// the one before the next secret of that path.
func (w view) purge(path string, first int) error {
	const all = int64(1) << 62
	var next int64
	err := w.tx.QueryRow("SELECT first FROM vault_secrets WHERE path = ? AND first > ? ORDER BY first LIMIT 1", path, first).Scan(&next)
	if errors.Is(err, sqldb.ErrNoRows) {
		next, err = all, nil
	}
	if err != nil {
		return err
	}
	if _, err := w.tx.Exec("DELETE FROM vault_versions WHERE path = ? AND version >= ? AND version < ?", path, first, next); err != nil {
		return err
	}
	_, err = w.tx.Exec("DELETE FROM vault_secrets WHERE path = ? AND first = ?", path, first)
	return err
}

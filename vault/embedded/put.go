package embedded

import (
	"errors"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Put implements [vault.View].
func (w view) Put(p vault.Path, c vault.Change) (vault.Metadata, error) {
	if _, err := vault.ParsePath(string(p)); err != nil {
		return vault.Metadata{}, err
	}
	old, err := w.live(p)
	isNew := errors.Is(err, vault.ErrNotFound)
	switch {
	case err != nil && !isNew:
		return vault.Metadata{}, err
	case isNew && c.Mode == vault.Replace:
		return vault.Metadata{}, vault.ErrNotFound
	case !isNew && c.Mode == vault.Create:
		return vault.Metadata{}, vault.ErrExists
	}
	m, err := c.Apply(old.Metadata, w.now)
	if err != nil {
		return vault.Metadata{}, err
	}
	next := row{Metadata: m, first: old.first}
	if isNew {
		if next, err = w.place(p, next); err != nil {
			return vault.Metadata{}, err
		}
	}
	if !c.Value.IsZero() {
		if err := w.addVersion(next, c); err != nil {
			return vault.Metadata{}, err
		}
	}
	return next.Metadata, w.store(next, isNew)
}

// place gives a new secret its path and its first version's number.
func (w view) place(p vault.Path, r row) (row, error) {
	if err := w.checkConflict(p); err != nil {
		return row{}, err
	}
	var used int
	if err := w.tx.QueryRow("SELECT COALESCE(MAX(version), 0) FROM vault_versions WHERE path = ?", string(p)).Scan(&used); err != nil {
		return row{}, err
	}
	r.Path, r.Version, r.first = p, used+1, used+1
	return r, nil
}

// checkConflict refuses p when a live secret lies above or below it.
func (w view) checkConflict(p vault.Path) error {
	for _, above := range p.Ancestors() {
		if found, err := w.found("SELECT 1 FROM vault_secrets WHERE path = ? AND deleted_at = 0", string(above)); found || err != nil {
			return errors.Join(err, conflictIf(found))
		}
	}
	low, high := prefixRange(string(p) + "/")
	found, err := w.found("SELECT 1 FROM vault_secrets WHERE path >= ? AND path < ? AND deleted_at = 0 LIMIT 1", low, high)
	return errors.Join(err, conflictIf(found))
}

func conflictIf(found bool) error {
	if found {
		return vault.ErrPathConflict
	}
	return nil
}

func (w view) found(query string, args ...any) (bool, error) {
	var one int
	err := w.tx.QueryRow(query, args...).Scan(&one)
	if errors.Is(err, sqldb.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (w view) addVersion(r row, c vault.Change) error {
	h, err := newHead(w.now)
	if err != nil {
		return err
	}
	defer clear(h.key[:])
	sealed, err := w.keys.sealHead(w.tx, r.Path, r.Version, h)
	if err != nil {
		return err
	}
	body, err := w.keys.sealBody(r.Path, r.Version, h, c.Value)
	if err != nil {
		return err
	}
	if _, err := w.tx.Exec("INSERT INTO vault_versions (path, version, head, body) VALUES (?, ?, ?, ?)",
		string(r.Path), r.Version, sealed, body); err != nil {
		return err
	}
	if c.Grace == nil {
		return nil
	}
	return w.retire(r, w.now.Add(*c.Grace))
}

// store writes the record of a new or a live secret.
func (w view) store(r row, isNew bool) error {
	forget(w.tx, r.Path)
	sealed, err := w.keys.sealRecord(w.tx, r)
	if err != nil {
		return err
	}
	if isNew {
		_, err = w.tx.Exec("INSERT INTO vault_secrets (path, first, deleted_at, tier, record) VALUES (?, ?, ?, ?, ?)",
			string(r.Path), r.first, sqldb.Micros(r.DeletedAt), r.Tier.Rank(), sealed)
	} else {
		_, err = w.tx.Exec("UPDATE vault_secrets SET deleted_at = ?, tier = ?, record = ? WHERE path = ? AND first = ?",
			sqldb.Micros(r.DeletedAt), r.Tier.Rank(), sealed, string(r.Path), r.first)
	}
	return err
}

package embedded

import (
	"time"
)

// retire ends every version before the current one at until, unless it ends
// earlier already. An older version never outlives a newer one, so the walk
// stops at the first that needs no change.
func (w view) retire(r row, until time.Time) error {
	type change struct {
		version int
		head    head
	}
	var changes []change
	err := w.eachHead(r.Path, r.first, r.Version-1, func(version int, h head) (bool, error) {
		if !h.until.IsZero() && !h.until.After(until) {
			return false, nil
		}
		h.until = until
		changes = append(changes, change{version, h})
		return true, nil
	})
	if err != nil {
		return err
	}
	for i := range changes {
		sealed, err := w.keys.sealHead(w.tx, r.Path, changes[i].version, changes[i].head)
		if err != nil {
			return err
		}
		if _, err := w.tx.Exec("UPDATE vault_versions SET head = ? WHERE path = ? AND version = ?",
			sealed, string(r.Path), changes[i].version); err != nil {
			return err
		}
		clear(changes[i].head.key[:])
	}
	return nil
}

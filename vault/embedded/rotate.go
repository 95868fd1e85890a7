package embedded

import (
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// change is a version with the head that it gets.
type change struct {
	path    vault.Path
	version int
	head    head
}

// retire ends every version before the current one at until, unless it ends
// earlier already. An older version never outlives a newer one, so the walk
// stops at the first that needs no change.
func (w view) retire(r row, until time.Time) error {
	var changes []change
	err := w.eachHead(r.Path, r.first, r.Version-1, func(version int, h head) (bool, error) {
		if !h.until.IsZero() && !h.until.After(until) {
			return false, nil
		}
		h.until = until
		changes = append(changes, change{r.Path, version, h})
		return true, nil
	})
	if err != nil {
		return err
	}
	return w.storeHeads(changes)
}

// storeHeads writes heads, and clears the keys in changes.
func (w view) storeHeads(changes []change) error {
	for i := range changes {
		c := &changes[i]
		sealed, err := w.keys.sealHead(w.tx, c.path, c.version, c.head)
		clear(c.head.key[:])
		if err != nil {
			return err
		}
		if _, err := w.tx.Exec("UPDATE vault_versions SET head = ? WHERE path = ? AND version = ?",
			sealed, string(c.path), c.version); err != nil {
			return err
		}
	}
	return nil
}

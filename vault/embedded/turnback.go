package embedded

import (
	"errors"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// TurnBack says that it is wall and not seen, which is later, so that nothing
// outlives what it was given by as much as time was ahead:
//
//   - a version that was retired at a time that has not come has the grace left
//     that it had at seen, counted from wall; one whose grace was over at seen, or
//     that had none, cannot be read from now on;
//   - a secret that was deleted at a time that has not come is in the trash since
//     wall.
//
// Graces and deletions of a time that has come, and the times at which people
// have secrets expire, stay as they are. What is damaged is left alone. It looks
// at every path that has more than one version, in one transaction.
func (v *Vault) TurnBack(tx *sqldb.Tx, wall, seen time.Time) error {
	w := view{tx: tx, keys: v.keys, now: wall.UTC().Truncate(time.Microsecond)}
	if err := w.turnGraces(seen); err != nil {
		return err
	}
	return w.turnTrash()
}

func (w view) turnGraces(seen time.Time) error {
	walk := turning{wall: w.now, seen: seen}
	err := w.tx.Query(`SELECT path, version, head FROM vault_versions
		WHERE path IN (SELECT path FROM vault_versions GROUP BY path HAVING count(*) > 1) ORDER BY path, version DESC`,
		nil, func(scan func(...any) error) error {
			var path string
			var version int
			var sealed []byte
			if err := scan(&path, &version, &sealed); err != nil {
				return err
			}
			h, err := w.keys.openHead(w.tx, vault.Path(path), version, sealed)
			switch {
			case errors.Is(err, vault.ErrCorrupt):
				walk.start(path)
				return nil
			case err != nil:
				return err
			case path != walk.path:
				walk.start(path)
			}
			if end := walk.next(h); !end.Equal(h.until) {
				h.until = end
				walk.changes = append(walk.changes, change{vault.Path(path), version, h})
			}
			clear(h.key[:])
			return nil
		})
	if err != nil {
		return err
	}
	return w.storeHeads(walk.changes)
}

// turning goes through the versions of each path from the newest to the oldest.
//
// A version was retired by the rotation that made the first version after it that
// has no end or a later one: a rotation ends all before it, unless they end
// earlier already.
type turning struct {
	wall, seen time.Time
	changes    []change

	path    string
	created time.Time // of the version after the one that comes,
	until   time.Time // and its end, zero for none
	retired time.Time // when the rotation that set that end was made
	bound   time.Time // of ends before it, zero for none
}

// start begins with a version of which nothing is known of the ones after it.
// Rotations that are not known were made as late as can be.
func (t *turning) start(path string) {
	t.path, t.created, t.until, t.bound = path, t.seen, time.Time{}, time.Time{}
}

// next returns the end that a version gets.
func (t *turning) next(h head) time.Time {
	if t.until.IsZero() || t.until.After(h.until) {
		t.retired = t.created
	}
	t.created, t.until = h.created, h.until
	if h.until.IsZero() {
		t.bound = time.Time{}
		return h.until
	}
	end := h.until
	if t.retired.After(t.wall) && end.After(t.wall) {
		left := min(end.Sub(t.retired), end.Sub(t.seen))
		end = t.wall.Add(max(0, left))
	}
	if !t.bound.IsZero() && end.After(t.bound) {
		end = t.bound
	}
	t.bound = end
	return end
}

// turnTrash takes what was deleted later than now for deleted now.
func (w view) turnTrash() error {
	var ahead []row
	err := w.tx.Query("SELECT path, first, deleted_at, record FROM vault_secrets WHERE deleted_at > ?", []any{sqldb.Micros(w.now)},
		func(scan func(...any) error) error {
			var path string
			var first int
			var deletedAt int64
			var sealed []byte
			if err := scan(&path, &first, &deletedAt, &sealed); err != nil {
				return err
			}
			r, err := w.keys.openRecord(w.tx, path, first, deletedAt, sealed)
			if errors.Is(err, vault.ErrCorrupt) {
				return nil
			}
			ahead = append(ahead, r)
			return err
		})
	if err != nil {
		return err
	}
	for _, r := range ahead {
		r.DeletedAt = w.now
		if err := w.store(r, false); err != nil {
			return err
		}
	}
	return nil
}

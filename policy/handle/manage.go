package handle

import (
	"errors"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Revoke ends a handle; one that is revoked already stays so since then. A
// damaged one is removed. Error: [ErrUnknown].
func (s *Store) Revoke(tx *sqldb.Tx, id string, now time.Time) error {
	found, err := rowsOf(tx, `id = ?`, id)
	if err == nil && len(found) == 0 {
		err = ErrUnknown
	}
	if err != nil || found[0].revoked != 0 && s.check(&found[0]) == nil {
		return err
	}
	return s.end(tx, found, now)
}

// RevokeAll ends every handle of a principal and returns how many there were
// left to end. Damaged ones are removed.
func (s *Store) RevokeAll(tx *sqldb.Tx, principal string, now time.Time) (int, error) {
	found, err := rowsOf(tx, `principal = ? AND revoked_at = 0`, principal)
	if err != nil {
		return 0, err
	}
	return len(found), s.end(tx, found, now)
}

// RemoveUnder removes every handle of the principals whose ids start with a prefix,
// in one statement: of all the tokens of an agent, which are refused themselves by
// then, there may be a million.
func (*Store) RemoveUnder(tx *sqldb.Tx, prefix string) error {
	_, err := tx.Exec(`DELETE FROM handles WHERE principal >= ? AND principal < ?`, prefix, after(prefix))
	forgetRings(tx)
	return err
}

// RevokeAfter ends every handle that was issued after a time, and returns how many
// there were left to end: the owner says that it has not come yet (package clock),
// and when it comes they must not be good again. Damaged ones are removed.
func (s *Store) RevokeAfter(tx *sqldb.Tx, issued, now time.Time) (int, error) {
	found, err := rowsOf(tx, `created_at > ? AND revoked_at = 0`, sqldb.Micros(issued))
	if err != nil {
		return 0, err
	}
	return len(found), s.end(tx, found, now)
}

// end revokes rows, and removes those that this desk did not write so.
func (s *Store) end(tx *sqldb.Tx, found []row, now time.Time) error {
	for i := range found {
		r := &found[i]
		err := s.check(r)
		if err != nil {
			_, err = tx.Exec(`DELETE FROM handles WHERE id = ?`, r.ID)
		} else {
			r.revoked = sqldb.Micros(now)
			err = s.update(tx, r, r.Used)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// List returns the handles of a principal that can be spent now, newest first;
// "" means everybody's. A damaged one that looks as if it could be has its ID and
// Damaged, and nothing else.
func (s *Store) List(tx *sqldb.Tx, principal string, now time.Time) ([]Handle, error) {
	where, args := spendable, []any{sqldb.Micros(now), sqldb.Micros(now.Add(maxSkew))}
	if principal != "" {
		where, args = where+` AND principal = ?`, append(args, principal)
	}
	found, err := rowsOf(tx, where+` ORDER BY created_at DESC, principal, seq DESC`, args...)
	if err != nil {
		return nil, err
	}
	handles := make([]Handle, 0, len(found))
	for i := range found {
		h, err := found[i].handle()
		if err != nil || s.check(&found[i]) != nil {
			h = Handle{ID: found[i].ID, Damaged: true}
		}
		handles = append(handles, h)
	}
	return handles, nil
}

// Adopt authenticates the rows that have no MAC, as a database from before
// there were any has them, and returns how many. Whether they may be believed is
// the caller's to know. A row that does not read is left as it is.
func (s *Store) Adopt(tx *sqldb.Tx) (int, error) {
	found, err := rowsOf(tx, `length(mac) = 0`)
	if err != nil {
		return 0, err
	}
	n := 0
	for i := range found {
		if found[i].hash == nil {
			continue
		}
		if err := s.update(tx, &found[i], found[i].Used); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// purgeSlice is how many handles one [Store.Purge] looks at: no index has them by
// their time, since each handle would write one page more, and nobody who waits to
// write should wait for a look at all of them.
const purgeSlice = 2000

// place is one in the order of the table.
type place struct {
	principal string
	seq       int64
}

// Purge removes handles that expired longer than [Keep] ago and returns how many
// there were. It looks at 2,000, less than a millisecond's worth, and the next call goes
// on with those that follow, from the first again after the last.
func (s *Store) Purge(tx *sqldb.Tx, now time.Time) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	where, args := `(principal, seq) > (?, ?)`, []any{s.purged.principal, s.purged.seq}
	var last place
	err := tx.QueryRow(`SELECT principal, seq FROM handles WHERE `+where+` ORDER BY principal, seq LIMIT 1 OFFSET ?`, append(args, purgeSlice-1)...).
		Scan(&last.principal, &last.seq)
	switch {
	case errors.Is(err, sqldb.ErrNoRows): // these are the last
	case err != nil:
		return 0, err
	default:
		where, args = where+` AND (principal, seq) <= (?, ?)`, append(args, last.principal, last.seq)
	}
	n, err := tx.Exec(`DELETE FROM handles WHERE `+where+` AND expires_at <= ?`, append(args, sqldb.Micros(now.Add(-Keep)))...)
	if err == nil {
		s.purged = last
	}
	if n > 0 {
		forgetRings(tx)
	}
	return int(n), err
}

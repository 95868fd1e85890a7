package handle

import (
	"time"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// sweepEvery is how long a full ring may count handles that have meanwhile
// expired: sweeping reads the whole ring, so that a principal which keeps it
// full with live ones does not pay for it at each mint.
const sweepEvery = time.Second

// ring is the key of a principal's [span] in [sqldb.Tx.Shared].
type ring string

// span is the numbers of a principal's handles.
type span struct{ newest, oldest int64 }

// nextSeq returns the number for a principal's next handle and that of the
// oldest one. Writers take turns (sqldb), so nobody mints in between.
func nextSeq(tx *sqldb.Tx, principal string) (newest, oldest int64, err error) {
	known, ok := tx.Shared()[ring(principal)].(span)
	if !ok {
		err = tx.QueryRow(`SELECT coalesce((SELECT max(seq) FROM handles WHERE principal = ?), 0),
			coalesce((SELECT min(seq) FROM handles WHERE principal = ?), 1)`, principal, principal).Scan(&known.newest, &known.oldest)
	}
	known.newest++
	tx.Shared()[ring(principal)] = known
	return known.newest, known.oldest, err
}

// makeRoom brings the ring of a principal, which spans the numbers oldest to
// newest, back to at most [MaxLive]. The span counts as many handles as there
// are, or more when some between have gone.
func (s *Store) makeRoom(tx *sqldb.Tx, principal string, oldest, newest int64, now time.Time) error {
	if s.sweepDue(principal, now) {
		var err error
		if newest, err = sweep(tx, principal, oldest, newest, now); err != nil {
			return err
		}
		delete(tx.Shared(), ring(principal)) // the numbers may be new ones
	}
	_, err := tx.Exec(`DELETE FROM handles WHERE principal = ? AND seq <= ?`, principal, newest-MaxLive)
	return err
}

// sweepDue remembers sweeps in this process only: forgetting costs one more.
func (s *Store) sweepDue(principal string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.swept[principal]
	if ok && now.Sub(last).Abs() < sweepEvery {
		return false
	}
	s.swept[principal] = now
	return true
}

// sweep removes what can no longer be spent and closes the gaps in the ring's
// numbers, so that its span is its count. It returns the newest number.
func sweep(tx *sqldb.Tx, principal string, oldest, newest int64, now time.Time) (int64, error) {
	_, err := tx.Exec(`DELETE FROM handles WHERE principal = ?
		AND (expires_at <= ? OR revoked_at <> 0 OR (max_uses <> 0 AND used >= max_uses))`, principal, sqldb.Micros(now))
	if err != nil {
		return 0, err
	}
	var count int64
	if err := tx.QueryRow(`SELECT count(*) FROM handles WHERE principal = ?`, principal).Scan(&count); err != nil {
		return 0, err
	}
	if count == newest-oldest+1 {
		return newest, nil
	}
	_, err = tx.Exec(`UPDATE handles SET seq = ring.n
		FROM (SELECT id, row_number() OVER (ORDER BY seq, created_at) AS n FROM handles WHERE principal = ?) AS ring
		WHERE handles.id = ring.id`, principal)
	return count, err
}

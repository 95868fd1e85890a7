package handle

import (
	"time"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// sweepEvery is how long a full ring may count handles that have meanwhile
// expired: sweeping reads the whole ring, so that a principal which keeps it
// full with live ones does not pay for it at each mint.
const sweepEvery = time.Second

// giveWay is how many of a full ring give way at once: removing them one by one
// would write as many pages again as the minting itself.
const giveWay = 32

// ring is the key of a principal's [span] in [sqldb.Tx.Shared].
type ring string

// span is the numbers of a principal's handles.
type span struct{ newest, oldest int64 }

// nextSeq returns the numbers of a principal's ring with the next handle in it.
// Writers take turns (sqldb), so nobody mints in between.
func nextSeq(tx *sqldb.Tx, principal string) (known span, err error) {
	known, ok := tx.Shared()[ring(principal)].(span)
	if !ok {
		err = tx.QueryRow(`SELECT coalesce((SELECT max(seq) FROM handles WHERE principal = ?), 0),
			coalesce((SELECT min(seq) FROM handles WHERE principal = ?), 1)`, principal, principal).Scan(&known.newest, &known.oldest)
	}
	known.newest++
	tx.Shared()[ring(principal)] = known
	return known, err
}

// forgetRings has the next handle of everybody ask the database.
func forgetRings(tx *sqldb.Tx) {
	for key := range tx.Shared() {
		if _, ok := key.(ring); ok {
			delete(tx.Shared(), key)
		}
	}
}

// makeRoom brings the ring of a principal, which spans more than [MaxLive]
// numbers, back below that. The span counts as many handles as there are, or
// more when some between have gone.
func (s *Store) makeRoom(tx *sqldb.Tx, principal string, known span, now time.Time) error {
	if s.sweepDue(principal, now) {
		var err error
		if known, err = sweep(tx, principal, known, now); err != nil {
			return err
		}
	}
	if last := known.newest - MaxLive; known.oldest <= last {
		last += giveWay - 1
		if _, err := tx.Exec(`DELETE FROM handles WHERE principal = ? AND seq <= ?`, principal, last); err != nil {
			return err
		}
		known.oldest = last + 1
	}
	tx.Shared()[ring(principal)] = known
	return nil
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
// numbers, so that its span is its count. The new numbers lie above the old
// ones: no two handles have the same one meanwhile.
func sweep(tx *sqldb.Tx, principal string, known span, now time.Time) (span, error) {
	_, err := tx.Exec(`DELETE FROM handles WHERE principal = ?
		AND (expires_at <= ? OR revoked_at <> 0 OR (max_uses <> 0 AND used >= max_uses))`, principal, sqldb.Micros(now))
	if err != nil {
		return known, err
	}
	var count int64
	if err := tx.QueryRow(`SELECT count(*) FROM handles WHERE principal = ?`, principal).Scan(&count); err != nil {
		return known, err
	}
	if count == known.newest-known.oldest+1 {
		return known, nil
	}
	_, err = tx.Exec(`UPDATE handles SET seq = ? + ring.n
		FROM (SELECT seq, row_number() OVER (ORDER BY seq) AS n FROM handles WHERE principal = ?) AS ring
		WHERE handles.principal = ? AND handles.seq = ring.seq`, known.newest, principal, principal)
	return span{newest: known.newest + count, oldest: known.newest + 1}, err
}

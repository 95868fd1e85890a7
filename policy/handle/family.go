package handle

import (
	"time"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// familyGiveWay is how many handles of a full family give way at once: which are the
// oldest takes a look at all of them.
const familyGiveWay = 100

// family is the key of how many handles a family has, in [sqldb.Tx.Shared]: not fewer
// than there are.
type family string

// after is the least text behind all ids that begin with a prefix.
func after(prefix string) string { return prefix + "\x7f" }

// familyRoom brings a family that has more than [MaxFamily] handles, with the one
// that was just made, below that.
func (s *Store) familyRoom(tx *sqldb.Tx, of, fresh string, now time.Time) (err error) {
	count, ok := tx.Shared()[family(of)].(int)
	if count++; !ok || count > MaxFamily {
		count, err = familyCount(tx, of)
	}
	if err == nil && count > MaxFamily && s.sweepDue(of, now) {
		if _, err = tx.Exec(`DELETE FROM handles WHERE principal >= ? AND principal < ?
			AND (expires_at <= ? OR revoked_at <> 0 OR (max_uses <> 0 AND used >= max_uses))`, of, after(of), sqldb.Micros(now)); err == nil {
			count, err = familyCount(tx, of)
		}
		forgetRings(tx)
	}
	if err == nil && count > MaxFamily {
		var gone int64
		gone, err = tx.Exec(`DELETE FROM handles WHERE (principal, seq) IN (SELECT principal, seq FROM handles
			WHERE principal >= ? AND principal < ? AND id <> ? ORDER BY created_at, principal, seq LIMIT ?)`,
			of, after(of), fresh, count-MaxFamily+familyGiveWay-1)
		count -= int(gone)
		forgetRings(tx)
	}
	tx.Shared()[family(of)] = count
	return err
}

func familyCount(tx *sqldb.Tx, of string) (n int, err error) {
	err = tx.QueryRow(`SELECT count(*) FROM handles WHERE principal >= ? AND principal < ?`, of, after(of)).Scan(&n)
	return n, err
}

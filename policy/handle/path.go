package handle

import (
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// RevokePath ends every handle on one secret, whoever holds it, and returns how
// many there were left to end. Damaged ones are removed. A secret that comes back
// under the same path is another one to their holders: they ask again. It looks
// at every handle there is, since they are few and secrets are rarely deleted; at
// those that have expired too, which a clock that is ahead says wrongly.
func (s *Store) RevokePath(tx *sqldb.Tx, p vault.Path, now time.Time) (int, error) {
	found, err := rowsOf(tx, `path = ? AND revoked_at = 0`, string(p))
	if err != nil {
		return 0, err
	}
	return len(found), s.end(tx, found, now)
}

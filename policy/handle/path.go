package handle

import (
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// RevokePath ends every handle on one secret, whoever holds it, and returns how
// many could still be spent. A secret that comes back under the same path is
// another one to their holders: they ask again. It looks at every handle there
// is, since they are few and secrets are rarely deleted.
func (*Store) RevokePath(tx *sqldb.Tx, p vault.Path, now time.Time) (int, error) {
	micros := sqldb.Micros(now)
	n, err := tx.Exec(`UPDATE handles SET revoked_at = ? WHERE path = ? AND revoked_at = 0 AND expires_at > ?`, micros, string(p), micros)
	return int(n), err
}

package identity

import (
	"maps"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// What the writes of one commit, and of those that follow while nobody else writes,
// ask the database for once: rows that checked, by keys of [sqldb.Tx.Shared].
// Whatever changes such a row forgets it.
type (
	tokenInTx string                       // a tokenRow by its id, whose agent is alive
	entryInTx struct{ table, name string } // an entry that is not revoked
)

func known[T any](tx *sqldb.Tx, key any) (row T, ok bool) {
	row, ok = tx.Shared()[key].(T)
	return row, ok
}

// changed forgets everything: an agent's entry is a part of its tokens' rows.
func changed(tx *sqldb.Tx) {
	maps.DeleteFunc(tx.Shared(), func(key, _ any) bool {
		switch key.(type) {
		case tokenInTx, entryInTx:
			return true
		}
		return false
	})
}

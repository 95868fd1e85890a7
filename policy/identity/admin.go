package identity

import (
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// AdminKeyPrefix starts every admin key made here.
const AdminKeyPrefix = "ass_admin_"

// adminColumns stand in the place of [agentColumns].
const adminColumns = `name, key_hash, created_at, revoked_at, '', '', '', '', mac`

// adminsOf is the registry of admins, who are not limited and not described.
func adminsOf(rows *rowmac.Key) registry {
	return registry{
		rows: rows, table: "admins", noun: "admin", prefix: AdminKeyPrefix, exists: ErrAdminExists, unknown: ErrUnknownAdmin,
		columns: adminColumns,
		write: func(tx *sqldb.Tx, e *entry, mac []byte) error {
			_, err := tx.Exec(`INSERT INTO admins (name, key_hash, created_at, revoked_at, mac) VALUES (?, ?, ?, ?, ?)
				ON CONFLICT (name) DO UPDATE SET key_hash = excluded.key_hash, created_at = excluded.created_at,
					revoked_at = excluded.revoked_at, mac = excluded.mac`, e.name, e.hash, e.created, e.revoked, mac)
			return err
		},
	}
}

// AddAdmin registers an admin and returns the key, which is not stored and
// cannot be shown again. A name is 1 to 64 of [A-Za-z0-9_-]; an agent may have
// the same. Errors: [ErrAdminExists], *[vault.InvalidError] of field "name",
// [vault.ErrCorrupt] when the name has a damaged row, which [Store.RevokeAdmin] ends.
func (s *Store) AddAdmin(tx *sqldb.Tx, name string, now time.Time) (key string, err error) {
	return s.admins.add(tx, entry{name: name}, true, now)
}

// RevokeAdmin ends an admin: from this transaction on the key is refused. A
// damaged row is replaced by that of a revoked admin. Error: [ErrUnknownAdmin].
func (s *Store) RevokeAdmin(tx *sqldb.Tx, name string, now time.Time) error {
	return s.admins.revoke(tx, name, now)
}

// Admins returns every admin by name, revoked and damaged ones included.
func (s *Store) Admins(tx *sqldb.Tx) ([]Registration, error) { return s.admins.list(tx) }

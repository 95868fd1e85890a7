package handle

import (
	"time"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Revoke ends a handle; one that is revoked already stays so since then.
// Error: [ErrUnknown].
func (*Store) Revoke(tx *sqldb.Tx, id string, now time.Time) error {
	n, err := tx.Exec(`UPDATE handles SET revoked_at = CASE WHEN revoked_at = 0 THEN ? ELSE revoked_at END WHERE id = ?`,
		sqldb.Micros(now), id)
	if err == nil && n == 0 {
		err = ErrUnknown
	}
	return err
}

// RevokeAll ends every handle of a principal and returns how many there were
// left to end.
func (*Store) RevokeAll(tx *sqldb.Tx, principal string, now time.Time) (int, error) {
	n, err := tx.Exec(`UPDATE handles SET revoked_at = ? WHERE principal = ? AND revoked_at = 0`, sqldb.Micros(now), principal)
	return int(n), err
}

// List returns the handles of a principal that can be spent now, newest first;
// "" means everybody's.
func (*Store) List(tx *sqldb.Tx, principal string, now time.Time) ([]Handle, error) {
	query, args := `SELECT `+columns+` FROM handles WHERE `+spendable, []any{sqldb.Micros(now), sqldb.Micros(now.Add(maxSkew))}
	if principal != "" {
		query, args = query+` AND principal = ?`, append(args, principal)
	}
	var handles []Handle
	err := tx.Query(query+` ORDER BY created_at DESC, principal, seq DESC`, args, func(scan func(...any) error) error {
		var r row
		if err := r.scan(scan); err != nil {
			return err
		}
		h, err := r.handle()
		if err != nil {
			return err
		}
		handles = append(handles, h)
		return nil
	})
	return handles, err
}

// Purge removes the handles that expired longer than [Keep] ago and returns
// how many there were.
func (*Store) Purge(tx *sqldb.Tx, now time.Time) (int, error) {
	n, err := tx.Exec(`DELETE FROM handles WHERE expires_at <= ?`, sqldb.Micros(now.Add(-Keep)))
	return int(n), err
}

package audit

import (
	"fmt"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Reseal hands every sealed key in the database to reseal and stores what comes
// back: the vault has a new key (embedded.Resealer).
func Reseal(tx *sqldb.Tx, reseal func(purpose string, sealed []byte) ([]byte, error)) error {
	type row struct {
		origin string
		sealed []byte
	}
	var rows []row
	err := tx.Query("SELECT origin, sealed FROM audit_keys", nil, func(scan func(...any) error) error {
		var r row
		err := scan(&r.origin, &r.sealed)
		rows = append(rows, r)
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range rows {
		sealed, err := reseal(keyPurpose, r.sealed)
		if err != nil {
			return fmt.Errorf("the log's key: %w", err)
		}
		if _, err := tx.Exec("UPDATE audit_keys SET sealed = ? WHERE origin = ?", sealed, r.origin); err != nil {
			return err
		}
	}
	return nil
}

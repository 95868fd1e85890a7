package identity

import (
	"errors"

	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// columns is what [agentRow.scan] reads, in its order.
const columns = `name, key_hash, created_at, revoked_at, mac`

type agentRow struct {
	name             string
	hash             []byte
	created, revoked int64
	mac              []byte
}

func (r *agentRow) scan(scan func(...any) error) error {
	return scan(&r.name, &r.hash, &r.created, &r.revoked, &r.mac)
}

func (r *agentRow) fields() rowmac.Fields {
	return rowmac.Row("agents").Text(r.name).Bytes(r.hash).Int(r.created).Int(r.revoked)
}

// load returns the row of a name. Errors: [sqldb.ErrNoRows], [vault.ErrCorrupt].
func (s *Store) load(tx *sqldb.Tx, name string) (row agentRow, err error) {
	if err = row.scan(tx.QueryRow(`SELECT `+columns+` FROM agents WHERE name = ?`, name).Scan); err != nil {
		return row, err
	}
	if !s.rows.Check(row.fields(), row.mac) {
		return row, rowmac.Damaged("agent", name)
	}
	return row, nil
}

// live returns the row of an agent that is not revoked.
func (s *Store) live(tx *sqldb.Tx, name string) (agentRow, error) {
	row, err := s.load(tx, name)
	if errors.Is(err, sqldb.ErrNoRows) || err == nil && row.revoked != 0 {
		err = ErrUnauthenticated
	}
	return row, err
}

// store writes a row, in place of the one its name has.
func (s *Store) store(tx *sqldb.Tx, row agentRow) error {
	_, err := tx.Exec(`INSERT INTO agents (`+columns+`) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET key_hash = excluded.key_hash, created_at = excluded.created_at,
			revoked_at = excluded.revoked_at, mac = excluded.mac`,
		row.name, row.hash, row.created, row.revoked, s.rows.Sum(row.fields()))
	return err
}

// Adopt authenticates the rows that have no MAC, as a database from before
// there were any has them, and returns how many. Whether they may be believed is
// the caller's to know. A row that does not read is left as it is.
func (s *Store) Adopt(tx *sqldb.Tx) (int, error) {
	var found []agentRow
	err := tx.Query(`SELECT `+columns+` FROM agents WHERE length(mac) = 0`, nil, func(scan func(...any) error) error {
		var row agentRow
		err := row.scan(scan)
		if err == nil {
			found = append(found, row)
		}
		if errors.Is(err, vault.ErrCorrupt) {
			return nil
		}
		return err
	})
	for i := range found {
		if err == nil {
			err = s.store(tx, found[i])
		}
	}
	return len(found), err
}

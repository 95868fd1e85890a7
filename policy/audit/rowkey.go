package audit

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// RowKey returns the key that authenticates rows. Errors: [ErrNoRowKey], those
// of the sealer and the database.
func (k *Key) RowKey(ctx context.Context) (*rowmac.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	text, err := k.lines(ctx)
	if errors.Is(err, ErrNoKey) {
		return nil, ErrNoRowKey
	}
	if err != nil {
		return nil, err
	}
	return rowKey(text)
}

// MakeRowKey makes the row key, and the log's key with it where there is none.
// made is false when another process was faster; then it is that one's. Errors:
// *[TamperError] when the log was signed and its key is gone.
func (k *Key) MakeRowKey(tx *sqldb.Tx) (rows *rowmac.Key, made bool, err error) {
	var sealed []byte
	var text []string
	switch err := k.read(tx, &sealed); {
	case errors.Is(err, sqldb.ErrNoRows):
		text, err = k.make(tx)
		if err != nil {
			return nil, false, err
		}
	case err != nil:
		return nil, false, err
	default:
		if text, err = k.unseal(tx, sealed); err != nil {
			return nil, false, err
		}
		if rows, err = rowKey(text); !errors.Is(err, ErrNoRowKey) {
			return rows, false, err
		}
		if text, err = k.store(tx, text[0], text[1]); err != nil {
			return nil, false, err
		}
	}
	rows, err = rowKey(text)
	return rows, true, err
}

func rowKey(text []string) (*rowmac.Key, error) {
	switch len(text) {
	case 2:
		return nil, ErrNoRowKey
	case 3:
		raw, err := hex.DecodeString(text[2])
		if err == nil && len(raw) == rowmac.KeySize {
			return rowmac.New([rowmac.KeySize]byte(raw)), nil
		}
	}
	return nil, errors.New("the key of the rows is damaged")
}

// Adopted is the event of rows that were authenticated as they were found, once
// in the life of a vault.
const Adopted = "rows.authenticated"

// Happened reports whether an event is on record. It reads the whole log.
func (*Log) Happened(tx *sqldb.Tx, event string) (bool, error) {
	var n int
	err := tx.QueryRow(`SELECT count(*) FROM (SELECT seq FROM audit_leaves WHERE instr(leaf, ?) > 0 LIMIT 1) AS found`,
		`,"event":"`+event+`",`).Scan(&n)
	return n > 0, err
}

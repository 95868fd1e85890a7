package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// OpenRows returns the key that authenticates the rows of the state database
// (package rowmac). What authenticates each table:
//
//	vault_keyring      sealed by the key source; the vault's id is associated data
//	vault_secrets      sealed records (package embedded)
//	vault_versions     sealed heads and bodies (package embedded)
//	agents, handles    a MAC in each row, under this key
//	admins, tokens     the same, since they exist: none is ever adopted
//	approvals          the same, with its votes in the row (package approval)
//	overlay            the same: where secrets of a vault elsewhere may go
//	clock              a MAC in its one row, under this key (package clock)
//	audit_leaves       signed checkpoints and the anchor
//	audit_tiles        the signed root, recomputed
//	audit_checkpoints  signatures
//	audit_keys         sealed by the vault's keyring
//	rates              nothing: a pace is no right, and a row can be removed as
//	                   well as changed; forgetting it gives one burst
//	accesses, activity nothing: they inform people, and the record says the same
//	webhooks           nothing: who can write the file can keep messages from
//	                   being sent; what is in them comes from the record
//
// A vault from before rows were authenticated has them adopted here, once, as
// they are found. The schema's version is in the file, so that it proves
// nothing: whoever writes the file could set it back and have rows of his own
// adopted. So adoption needs a log that is what was signed and anchored, from
// its first record on, and that says nothing of an adoption before; it is put on
// record itself. And a vault made since then has its row key sealed in one text
// with the log's key, which cannot go missing unnoticed while an anchor exists.
//
// Errors: *[audit.TamperError], those of the keyring and the database.
func OpenRows(ctx context.Context, db *sqldb.DB, key *audit.Key, anchor []byte, now func() time.Time) (*rowmac.Key, error) {
	rows, err := key.RowKey(ctx)
	if !errors.Is(err, audit.ErrNoRowKey) {
		return rows, err
	}
	if _, err := audit.Verify(ctx, db, key, anchor); err != nil {
		return nil, fmt.Errorf("agents and handles cannot be authenticated: %w", err)
	}
	err = db.Update(ctx, func(tx *sqldb.Tx) (err error) {
		var made bool
		if rows, made, err = key.MakeRowKey(tx); err != nil || !made {
			return err
		}
		return adopt(tx, audit.New(key, key), rows, now())
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// adopt authenticates what was written without a key.
func adopt(tx *sqldb.Tx, log *audit.Log, rows *rowmac.Key, now time.Time) error {
	if again, err := log.Happened(tx, audit.Adopted); err != nil || again {
		return errors.Join(err, onlyOnce(again))
	}
	agents, err := identity.New(rows).Adopt(tx)
	if err != nil {
		return err
	}
	handles, err := handle.New(rows).Adopt(tx)
	if err != nil || agents+handles == 0 {
		return err
	}
	_, err = log.Append(tx, audit.Entry{
		Time: now, Event: audit.Adopted, Actor: "coatcheck", Outcome: audit.OK,
		Target: fmt.Sprintf("%d agents, %d handles", agents, handles),
	})
	return err
}

func onlyOnce(again bool) error {
	if !again {
		return nil
	}
	return &audit.TamperError{What: audit.RowKeyGone}
}

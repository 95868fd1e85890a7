package audit

import (
	"context"

	"golang.org/x/mod/sumdb/note"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Checkpoint seals every record there is.
func (l *Log) Checkpoint(ctx context.Context, db *sqldb.DB) (signed []byte, err error) {
	return nil, nil
}

// Report of Verify.
type Report struct{ Leaves, Covered int64 }

// Verify verifies.
func Verify(ctx context.Context, db *sqldb.DB, verifier note.Verifier, anchor []byte) (Report, error) {
	return Report{}, nil
}

package sqldb_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

type lastKey struct{}

// next numbers a row by what the writes of this commit share.
func next(tx *sqldb.Tx) error {
	last, ok := tx.Shared()[lastKey{}].(int64)
	if !ok {
		if err := tx.QueryRow("SELECT coalesce(max(a), 0) FROM t").Scan(&last); err != nil {
			return err
		}
	}
	if _, err := tx.Exec("INSERT INTO t (a) VALUES (?)", last+1); err != nil {
		return err
	}
	tx.Shared()[lastKey{}] = last + 1
	return nil
}

// TestSharedIsForgottenWithAnUndoneWrite: numbers have no gap although every
// third write takes one and is undone.
func TestSharedIsForgottenWithAnUndoneWrite(t *testing.T) {
	db := open(t)
	boom := errors.New("boom")
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
				if err := next(tx); err != nil || i%3 != 0 {
					return err
				}
				return boom
			})
			if err != nil && !errors.Is(err, boom) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var rows, last int
	if err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow("SELECT count(*), max(a) FROM t").Scan(&rows, &last)
	}); err != nil {
		t.Fatal(err)
	}
	if rows != 200 || last != 200 {
		t.Fatalf("%d rows, the last is %d, want 200", rows, last)
	}
}

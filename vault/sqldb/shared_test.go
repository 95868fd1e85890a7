package sqldb_test

import (
	"errors"
	"fmt"
	"path/filepath"
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

// TestSharedOutlivesACommit until somebody else writes, a write is undone, or
// there is too much of it; a view has none.
func TestSharedOutlivesACommit(t *testing.T) {
	path := filepath.Join(privateDir(t), "x.db")
	db, other := openAt(t, path), openAt(t, path)
	nothing := func(*sqldb.Tx) error { return nil }
	row := func(tx *sqldb.Tx) error {
		_, err := tx.Exec("INSERT INTO t (a) SELECT coalesce(max(a), 0) + 1 FROM t")
		return err
	}
	boom := errors.New("boom")
	for name, test := range map[string]struct {
		between func() error
		lives   bool
	}{
		"nothing":         {func() error { return nil }, true},
		"its own write":   {func() error { return db.Update(t.Context(), row) }, true},
		"an empty one":    {func() error { return db.Update(t.Context(), nothing) }, true},
		"another's empty": {func() error { return other.Update(t.Context(), nothing) }, true},
		"another's write": {func() error { return other.Update(t.Context(), row) }, false},
		"one that is undone": {func() error {
			return boomed(db.Update(t.Context(), func(tx *sqldb.Tx) error { return errors.Join(row(tx), boom) }), boom)
		}, false},
		"much": {func() error {
			return db.Update(t.Context(), func(tx *sqldb.Tx) error {
				for i := range 1000 {
					tx.Shared()[i] = i
				}
				return nil
			})
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := db.Update(t.Context(), func(tx *sqldb.Tx) error { tx.Shared()[lastKey{}] = name; return row(tx) }); err != nil {
				t.Fatal(err)
			}
			if err := test.between(); err != nil {
				t.Fatal(err)
			}
			see := func(want bool) func(*sqldb.Tx) error {
				return func(tx *sqldb.Tx) error {
					if got := tx.Shared()[lastKey{}] == any(name); got != want {
						return fmt.Errorf("known: %v", got)
					}
					return nil
				}
			}
			if err := db.View(t.Context(), see(false)); err != nil {
				t.Error("view:", err)
			}
			if err := db.Update(t.Context(), see(test.lives)); err != nil {
				t.Error(err)
			}
		})
	}
}

func boomed(got, want error) error {
	if !errors.Is(got, want) {
		return fmt.Errorf("%w in place of %w", got, want)
	}
	return nil
}

package sqldb_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func TestScan(t *testing.T) {
	db := open(t)
	type name string
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		var (
			i    int
			i64  int64
			u8   uint8
			s    string
			n    name
			b    []byte
			null []byte
			yes  bool
			f    float64
			opt  sql.NullString
			a    any
		)
		if err := tx.QueryRow("SELECT ?, ?, ?, ?, ?, ?, NULL, ?, ?, NULL, ?", 1, int64(2), uint8(3), "four", name("five"), []byte("six"), true, 7.5, 8).
			Scan(&i, &i64, &u8, &s, &n, &b, &null, &yes, &f, &opt, &a); err != nil {
			return err
		}
		if i != 1 || i64 != 2 || u8 != 3 || s != "four" || n != "five" || string(b) != "six" || null != nil || !yes || f != 7.5 || opt.Valid || a != int64(8) {
			t.Errorf("got %v %v %v %q %q %q %v %v %v %v %v", i, i64, u8, s, n, b, null, yes, f, opt, a)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, query string
		dest        any
	}{
		{"NULL in a string", "SELECT NULL", new(string)},
		{"text in a number", "SELECT 'x'", new(int)},
		{"300 in 8 bits", "SELECT 300", new(uint8)},
		{"-1 without a sign", "SELECT -1", new(uint)},
		{"no pointer", "SELECT 1", 1},
		{"two columns", "SELECT 1, 2", new(int)},
		{"broken SQL", "SELECT FROM", new(int)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := db.View(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(tc.query).Scan(tc.dest) }); err == nil || errors.Is(err, sqldb.ErrNoRows) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// TestPanicInQuery: a function that panics over a row leaves the connection as
// fresh as it was, so that the next view sees what was written since.
func TestPanicInQuery(t *testing.T) {
	db := open(t)
	if err := db.Update(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	look := func(query string) (seen any) {
		defer func() { seen = recover() }()
		return db.View(t.Context(), func(tx *sqldb.Tx) error {
			return tx.Query(query, nil, func(func(...any) error) error { panic(errBoom) })
		})
	}
	if seen := look("SELECT a FROM t"); seen != errBoom { //nolint:errorlint // the value itself must arrive
		t.Fatalf("got %v", seen)
	}
	if err := db.Update(t.Context(), insert(2)); err != nil {
		t.Fatal(err)
	}
	if got := count(t, db); got != 2 { // on the same connection, which was idle
		t.Errorf("%d rows, want 2", got)
	}
}

func TestQuery(t *testing.T) {
	db := open(t)
	err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
		for i := range 5 {
			if err := insert(i)(tx); err != nil {
				return err
			}
		}
		const all = "SELECT a FROM t ORDER BY a"
		var got []int
		// A query that stops early inside another, and a write to what is being read.
		err := tx.Query(all, nil, func(scan func(...any) error) error {
			var a, inner int
			if err := scan(&a); err != nil {
				return err
			}
			if _, err := tx.Exec("UPDATE t SET b = ? WHERE a = ?", []byte("y"), a); err != nil {
				return err
			}
			got = append(got, a)
			return tx.Query(all, nil, func(func(...any) error) error {
				inner++
				if inner == 2 {
					return errBoom
				}
				return nil
			})
		})
		if !errors.Is(err, errBoom) || len(got) != 1 {
			t.Errorf("stopped with %v after %v", err, got)
		}
		got = nil
		err = tx.Query(all, nil, func(scan func(...any) error) error {
			var a, n int
			if err := scan(&a); err != nil {
				return err
			}
			got = append(got, a)
			if err := tx.QueryRow(all).Scan(&n); err != nil { // the same query inside itself
				return err
			}
			return tx.QueryRow("SELECT count(*) FROM t").Scan(&n)
		})
		if err != nil || len(got) != 5 {
			t.Errorf("got %v, %v", got, err)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestReturning(t *testing.T) {
	db := open(t)
	var a, left int
	err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
		if err := tx.QueryRow("INSERT INTO t (a) VALUES (1), (2) RETURNING a").Scan(&a); err != nil {
			return err
		}
		if err := tx.QueryRow("UPDATE t SET a = a + 10 WHERE a = 2 RETURNING a").Scan(&a); err != nil {
			return err
		}
		if err := tx.QueryRow("UPDATE t SET a = 0 WHERE a = 99 RETURNING a").Scan(&a); !errors.Is(err, sqldb.ErrNoRows) {
			t.Errorf("nothing changed: %v", err)
		}
		return tx.QueryRow("SELECT count(*) FROM t").Scan(&left)
	})
	if err != nil || a != 12 || left != 2 {
		t.Fatalf("a = %d, %d rows, %v", a, left, err)
	}
	if got := count(t, db); got != 2 {
		t.Fatalf("%d rows", got)
	}
}

func TestViewIsReadOnlyAndASnapshot(t *testing.T) {
	db := open(t)
	err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		var before, after int
		if err := tx.QueryRow("SELECT count(*) FROM t").Scan(&before); err != nil {
			return err
		}
		if err := db.Update(t.Context(), insert(1)); err != nil {
			return err
		}
		if err := tx.QueryRow("SELECT count(*) FROM t").Scan(&after); err != nil {
			return err
		}
		if before != after {
			t.Errorf("the snapshot moved from %d to %d", before, after)
		}
		return insert(2)(tx)
	})
	if !errors.Is(err, vault.ErrReadOnly) {
		t.Fatalf("writing in a view: %v", err)
	}
	if got := count(t, db); got != 1 {
		t.Fatalf("%d rows, want 1", got)
	}
}

func TestViewSurvivesPanic(t *testing.T) {
	db := open(t)
	for range 10 { // more than there are readers
		func() {
			defer func() { _ = recover() }()
			_ = db.View(t.Context(), func(*sqldb.Tx) error { panic(errBoom) })
		}()
	}
	if got := count(t, db); got != 0 {
		t.Fatalf("%d rows", got)
	}
}

func TestEraseEmptiesTheLog(t *testing.T) {
	dir := privateDir(t)
	db := openAt(t, filepath.Join(dir, "x.db"))
	if err := db.Update(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "x.db-wal")
	if info, err := os.Stat(log); err != nil || info.Size() == 0 {
		t.Fatalf("no log before: %v", err)
	}
	if err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
		tx.Erase()
		_, err := tx.Exec("DELETE FROM t")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(log); err != nil || info.Size() != 0 {
		t.Fatalf("the log holds %d bytes after: %v", info.Size(), err)
	}
}

func TestTimes(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.FixedZone("x", 3600))
	if got := sqldb.Time(sqldb.Micros(now)); !got.Equal(now.Truncate(time.Microsecond)) || got.Location() != time.UTC {
		t.Errorf("got %v", got)
	}
	if !sqldb.Time(sqldb.Micros(time.Time{})).IsZero() {
		t.Error("the zero time does not survive")
	}
}

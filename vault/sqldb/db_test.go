package sqldb_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

var migrations = []sqldb.Migration{{Name: "test/1", SQL: []string{"CREATE TABLE t (a BIGINT PRIMARY KEY, b {blob})"}}}

func open(t testing.TB) *sqldb.DB {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), filepath.Join(dir, "test.db"), migrations)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func insert(a int) func(*sqldb.Tx) error {
	return func(tx *sqldb.Tx) error {
		_, err := tx.Exec("INSERT INTO t (a, b) VALUES (?, ?)", a, []byte("x"))
		return err
	}
}

func count(t testing.TB, db *sqldb.DB) (n int) {
	t.Helper()
	if err := db.View(t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow("SELECT count(*) FROM t").Scan(&n)
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestFailedJobDoesNotTakeOthersAlong(t *testing.T) {
	db := open(t)
	boom := errors.New("boom")
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
				if err := insert(i)(tx); err != nil {
					return err
				}
				if i%3 == 0 {
					return boom
				}
				return nil
			})
			if want := i%3 == 0; errors.Is(err, boom) != want {
				t.Errorf("write %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if got := count(t, db); got != 133 {
		t.Fatalf("%d rows, want 133", got)
	}
}

func BenchmarkUpdate(b *testing.B) {
	db := open(b)
	b.Run("1", func(b *testing.B) {
		for i := range b.N {
			_ = db.Update(b.Context(), insert(1e9+i+b.N*1e6))
		}
	})
	b.Run("16", func(b *testing.B) {
		b.SetParallelism(8)
		var mu sync.Mutex
		n := 0
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				mu.Lock()
				n++
				k := n + b.N*1e5
				mu.Unlock()
				if err := db.Update(b.Context(), insert(k)); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

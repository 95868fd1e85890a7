package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

var errBoom = errors.New("boom")

// hold keeps the database in one write until release is called, so that what
// comes next waits in the queue.
func hold(t *testing.T, db *sqldb.DB) (release func()) {
	t.Helper()
	started, stop, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- db.Update(t.Context(), func(*sqldb.Tx) error {
			close(started)
			<-stop
			return nil
		})
	}()
	<-started
	return func() {
		close(stop)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func awaitQueue(db *sqldb.DB, n int) {
	for db.Waiting() != n {
		runtime.Gosched()
	}
}

func TestFailedJobDoesNotTakeOthersAlong(t *testing.T) {
	db := open(t)
	release := hold(t, db)
	const jobs = sqldb.MaxBatch + 10 // two commits
	var wg sync.WaitGroup
	for i := range jobs {
		wg.Go(func() {
			defer func() {
				if p := recover(); (p == errBoom) != (i%5 == 1) { //nolint:errorlint // the value itself must arrive
					t.Errorf("write %d panicked with %v", i, p)
				}
			}()
			err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
				if err := insert(i)(tx); err != nil {
					return err
				}
				switch i % 5 {
				case 0:
					return errBoom
				case 1:
					panic(errBoom)
				case 2:
					return insert(i)(tx) // breaks the primary key
				default:
					return nil
				}
			})
			if failed := i%5 < 3; (err != nil) != failed {
				t.Errorf("write %d: %v", i, err)
			}
		})
	}
	awaitQueue(db, jobs)
	release()
	wg.Wait()
	want := 0
	for i := range jobs {
		if i%5 >= 3 {
			want++
		}
	}
	if got := count(t, db); got != want {
		t.Fatalf("%d rows, want %d", got, want)
	}
}

func TestLoneFailureLeavesNothing(t *testing.T) {
	for name, end := range map[string]func() error{
		"error": func() error { return errBoom },
		"panic": func() error { panic(errBoom) },
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			func() {
				defer func() { _ = recover() }()
				err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
					if err := insert(1)(tx); err != nil {
						return err
					}
					return end()
				})
				if !errors.Is(err, errBoom) {
					t.Errorf("got %v", err)
				}
			}()
			if got := count(t, db); got != 0 {
				t.Fatalf("%d rows left", got)
			}
			if err := db.Update(t.Context(), insert(1)); err != nil {
				t.Fatalf("the next write: %v", err)
			}
		})
	}
}

func TestEndedGoroutineLeavesTheQueueAlive(t *testing.T) {
	db := open(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = db.Update(t.Context(), func(tx *sqldb.Tx) error {
			if err := insert(1)(tx); err != nil {
				return err
			}
			runtime.Goexit()
			return nil
		})
	}()
	<-done
	if err := db.Update(t.Context(), insert(2)); err != nil {
		t.Fatal(err)
	}
	if got := count(t, db); got != 1 {
		t.Fatalf("%d rows, want 1", got)
	}
}

func TestCancelWhileQueued(t *testing.T) {
	db := open(t)
	release := hold(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error)
	go func() { errs <- db.Update(ctx, insert(1)) }()
	awaitQueue(db, 1)
	cancel()
	if err := <-errs; !errors.Is(err, context.Canceled) { // although the queue stands still
		t.Fatalf("got %v", err)
	}
	go func() { errs <- db.Update(t.Context(), insert(2)) }()
	awaitQueue(db, 1)
	release()
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	if err := db.Update(ctx, insert(3)); !errors.Is(err, context.Canceled) {
		t.Fatalf("ended before the call: %v", err)
	}
	if got := count(t, db); got != 1 {
		t.Fatalf("%d rows, want 1", got)
	}
}

func TestStorageFull(t *testing.T) {
	db := open(t)
	limit := func(pages int) {
		t.Helper()
		if err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
			var n int
			return tx.QueryRow(fmt.Sprintf("PRAGMA max_page_count=%d", pages)).Scan(&n)
		}); err != nil {
			t.Fatal(err)
		}
	}
	big := func(a int) func(*sqldb.Tx) error {
		return func(tx *sqldb.Tx) error {
			_, err := tx.Exec("INSERT INTO t (a, b) VALUES (?, zeroblob(100000))", a)
			return err
		}
	}
	limit(10)
	if err := db.Update(t.Context(), big(1)); !errors.Is(err, vault.ErrStorageFull) {
		t.Fatalf("got %v", err)
	}
	// In a batch: SQLite has undone everything, so everybody is told, also
	// those whose function swallowed the error.
	release := hold(t, db)
	errs := make(chan error, 3)
	for i, fn := range []func(*sqldb.Tx) error{
		insert(10),
		func(tx *sqldb.Tx) error {
			_ = big(11)(tx)
			_ = insert(12)(tx)
			return nil
		},
		insert(13),
	} {
		go func() { errs <- db.Update(t.Context(), fn) }()
		awaitQueue(db, i+1)
	}
	release()
	for range cap(errs) {
		if err := <-errs; !errors.Is(err, vault.ErrStorageFull) {
			t.Errorf("got %v", err)
		}
	}
	if got := count(t, db); got != 0 {
		t.Fatalf("%d rows of failed writes", got)
	}
	limit(1 << 20)
	if err := db.Update(t.Context(), big(1)); err != nil {
		t.Fatalf("with room again: %v", err)
	}
}

func TestTwoHandles(t *testing.T) {
	path := filepath.Join(privateDir(t), "x.db")
	one, two := openAt(t, path), openAt(t, path)
	release := hold(t, one)
	if err := two.Update(t.Context(), insert(1)); !errors.Is(err, vault.ErrBusy) {
		t.Fatalf("got %v", err)
	}
	if got := count(t, two); got != 0 { // reading does not wait
		t.Fatalf("%d rows", got)
	}
	release()
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			db := []*sqldb.DB{one, two}[i%2]
			for err := vault.ErrBusy; errors.Is(err, vault.ErrBusy); {
				if err = db.Update(t.Context(), insert(i)); err != nil && !errors.Is(err, vault.ErrBusy) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if a, b := count(t, one), count(t, two); a != 40 || b != 40 {
		t.Fatalf("%d and %d rows, want 40", a, b)
	}
}

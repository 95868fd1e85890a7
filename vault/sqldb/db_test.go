package sqldb_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var migrations = []sqldb.Migration{{Name: "test/1", SQL: []string{"CREATE TABLE t (a BIGINT PRIMARY KEY, b {blob}, c {text})"}}}

func privateDir(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	return dir
}

func open(tb testing.TB) *sqldb.DB {
	tb.Helper()
	return openAt(tb, filepath.Join(privateDir(tb), "test.db"))
}

// openAt opens a database that gives up soon when another one writes.
func openAt(tb testing.TB, path string) *sqldb.DB {
	tb.Helper()
	return openBusy(tb, path, 50*time.Millisecond)
}

// openPatient opens one that waits as the program does.
func openPatient(tb testing.TB, path string) *sqldb.DB {
	tb.Helper()
	return openBusy(tb, path, sqldb.BusyTimeout)
}

func openBusy(tb testing.TB, path string, busy time.Duration) *sqldb.DB {
	tb.Helper()
	db, err := sqldb.OpenBusy(tb.Context(), path, migrations, busy)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
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

func count(tb testing.TB, db *sqldb.DB) (n int) {
	tb.Helper()
	if err := db.View(tb.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow("SELECT count(*) FROM t").Scan(&n)
	}); err != nil {
		tb.Fatal(err)
	}
	return n
}

// files returns the names in a folder, sorted.
func files(tb testing.TB, dir string) (names []string) {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestFilesArePrivate(t *testing.T) {
	dir := privateDir(t)
	db := openAt(t, filepath.Join(dir, "test.db"))
	if err := db.Update(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 5 { // database, log, index of the log, two locks
		t.Fatalf("%d files, want 5", len(entries))
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %04o", e.Name(), info.Mode().Perm())
		}
	}
}

func TestCloseFoldsTheLog(t *testing.T) {
	dir := privateDir(t)
	path := filepath.Join(dir, "odd name? #1 %41.db")
	db := openAt(t, path)
	for i := range 10 {
		if err := db.Update(t.Context(), insert(i)); err != nil {
			t.Fatal(err)
		}
	}
	if got := count(t, db); got != 10 {
		t.Fatalf("%d rows, want 10", got)
	}
	for range 2 { // the second call has nothing to do
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// The locks stay: removing them would part those who hold one from those who come.
	gate, floor := sqldb.TurnFiles(path)
	if got := files(t, dir); !slices.Equal(got, []string{filepath.Base(path), filepath.Base(gate), filepath.Base(floor)}) {
		t.Fatalf("left behind: %v", got)
	}
	if got := count(t, openAt(t, path)); got != 10 {
		t.Fatalf("%d rows after opening again, want 10", got)
	}
}

func TestCloseWaits(t *testing.T) {
	db := open(t)
	inView, inUpdate, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	results := make(chan error, 2)
	go func() {
		results <- db.View(t.Context(), func(tx *sqldb.Tx) error {
			close(inView)
			<-release
			var n int
			return tx.QueryRow("SELECT count(*) FROM t").Scan(&n)
		})
	}()
	go func() {
		results <- db.Update(t.Context(), func(tx *sqldb.Tx) error {
			close(inUpdate)
			<-release
			return insert(1)(tx)
		})
	}()
	<-inView
	<-inUpdate
	closed := make(chan error)
	go func() { closed <- db.Close() }()
	for !db.Closing() {
		runtime.Gosched()
	}
	if err := db.Update(t.Context(), insert(2)); !errors.Is(err, sqldb.ErrClosed) {
		t.Fatalf("update while closing: %v", err)
	}
	select {
	case err := <-closed:
		t.Fatalf("closed under a running view and update: %v", err)
	default:
	}
	close(release)
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if err := db.View(t.Context(), func(*sqldb.Tx) error { return nil }); !errors.Is(err, sqldb.ErrClosed) {
		t.Fatalf("view after close: %v", err)
	}
}

func TestDetailNamesNoValue(t *testing.T) {
	db := open(t)
	const canary = "cnry-4Jx81kQ2"
	err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
		if err := insert(1)(tx); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO t (a, b, c) VALUES (?, ?, ?)", 1, []byte(canary), canary)
		return err
	})
	if err == nil || strings.Contains(err.Error(), canary) {
		t.Fatalf("want an error without the value, got %v", err)
	}
	var n int
	err = db.View(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow("SELECT ?", canary).Scan(&n) })
	if err == nil || strings.Contains(err.Error(), canary) {
		t.Fatalf("want an error without the value, got %v", err)
	}
}

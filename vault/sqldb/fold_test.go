package sqldb_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

var bulkRows = flag.Int("bulk", 30_000/scale, "rows of a bulk write of 600 bytes each")

// enough rows for more pages than are left in the log.
const enough = 8000

// bulk writes many rows of half a kilobyte in one go.
func bulk(rows int) func(*sqldb.Tx) error {
	return func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO t (a, b, c) SELECT 1000000 + i, randomblob(500), i FROM n`, rows)
		return err
	}
}

// logSize is the length of a database's log in bytes.
func logSize(tb testing.TB, path string) int64 {
	tb.Helper()
	info, err := os.Stat(path + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		tb.Fatal(err)
	}
	return info.Size()
}

// firstRead is how long it takes until a database is open and read.
func firstRead(tb testing.TB, path string) time.Duration {
	tb.Helper()
	began := time.Now()
	db, err := sqldb.Open(tb.Context(), path, migrations)
	if err != nil {
		tb.Fatal(err)
	}
	if err := db.View(tb.Context(), func(tx *sqldb.Tx) error {
		var n int
		return tx.QueryRow("SELECT a FROM t LIMIT 1").Scan(&n)
	}); err != nil {
		tb.Fatal(err)
	}
	took := time.Since(began)
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
	return took
}

// TestStartAfterBulkWork: a process writes very much in one go and is killed as
// soon as that is acknowledged; the next start has no long log to read, whether
// another process has the database open or not.
func TestStartAfterBulkWork(t *testing.T) {
	for name, open := range map[string]bool{"alone": false, "opened by another": true} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(privateDir(t), "x.db")
			db := openAt(t, path)
			if err := db.Update(t.Context(), insert(1)); err != nil {
				t.Fatal(err)
			}
			if !open {
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			}
			before := firstRead(t, path)
			p := startProcess(t, order{Path: path, Bulk: max(*bulkRows, enough)})
			if err := p.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = p.cmd.Wait()
			if n := logSize(t, path); n > 1<<20 {
				t.Errorf("a log of %d bytes is left", n)
			}
			after := firstRead(t, path)
			t.Logf("%v before, %v after", before, after)
			if after > 5*before+200*time.Millisecond { // a busy machine; reading the whole log takes seconds
				t.Errorf("the start took %v, before it %v", after, before)
			}
			check := openAt(t, path)
			if got, want := count(t, check), 1+max(*bulkRows, enough); got != want {
				t.Errorf("%d rows, want %d", got, want)
			}
		})
	}
}

// TestLogStaysShort: writers that never pause do not let the log grow.
func TestLogStaysShort(t *testing.T) {
	path := filepath.Join(privateDir(t), "x.db")
	one, two := openPatient(t, path), openPatient(t, path)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var longest int64
	for w := range 8 {
		wg.Go(func() {
			db := []*sqldb.DB{one, two}[w%2]
			for i := range 100 {
				if err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
					_, err := tx.Exec("INSERT INTO t (a, b) VALUES (?, zeroblob(100000))", w*1000+i)
					return err
				}); err != nil {
					t.Error(err)
				}
				mu.Lock()
				longest = max(longest, logSize(t, path))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if longest > 40<<20 { // of 80 MB written
		t.Errorf("the log grew to %d bytes", longest)
	}
	t.Logf("the log grew to %d bytes", longest)
}

// TestLogIsEmptiedOnceNobodyReadsIt: a reader keeps the log of a bulk write, and
// closing empties it although the reader's process stays.
func TestLogIsEmptiedOnceNobodyReadsIt(t *testing.T) {
	path := filepath.Join(privateDir(t), "x.db")
	writer, reader := openAt(t, path), openAt(t, path)
	reading, stop, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- reader.View(t.Context(), func(tx *sqldb.Tx) error {
			var n int
			err := tx.QueryRow("SELECT count(*) FROM t").Scan(&n)
			close(reading)
			<-stop
			return err
		})
	}()
	<-reading
	if err := writer.Update(t.Context(), bulk(enough)); err != nil {
		t.Fatal(err)
	}
	if n := logSize(t, path); n < 1<<20 {
		t.Fatalf("a log of %d bytes; the reader should have kept it", n)
	}
	if err := writer.Update(t.Context(), insert(1)); err != nil { // nobody waits for the reader
		t.Fatal(err)
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if n := logSize(t, path); n > 0 {
		t.Errorf("a log of %d bytes is left", n)
	}
	if got := count(t, reader); got != enough+1 {
		t.Errorf("%d rows", got)
	}
}

// TestErasureMeetsFolding: the one who empties the log stands in the queue behind
// a write that must wait for the log to be emptied too. Neither waits for the other
// for ever, and both find it empty.
func TestErasureMeetsFolding(t *testing.T) {
	path := filepath.Join(privateDir(t), "x.db")
	db := openPatient(t, path)
	other, err := sqldb.OpenTurn(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	began, end := make(chan struct{}), make(chan struct{})
	erased := make(chan error, 2)
	go func() {
		erased <- db.Update(t.Context(), func(tx *sqldb.Tx) error {
			tx.Erase()
			close(began)
			<-end
			return insert(1)(tx)
		})
	}()
	<-began
	go func() {
		erased <- db.Update(t.Context(), func(tx *sqldb.Tx) error {
			tx.Erase()
			return insert(2)(tx)
		})
	}()
	awaitQueue(db, 1)
	got := make(chan error)
	go func() { got <- other.Take(t.Context(), time.Minute) }() // so that the second write stands still
	for !other.Asks() {
		runtime.Gosched()
	}
	close(end)
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	awaitQueue(db, 2) // the second write, and the emptying that the first one owes
	release(t, other)
	for range 2 {
		if err := <-erased; err != nil {
			t.Error(err)
		}
	}
	if n := logSize(t, path); n > 0 {
		t.Errorf("a log of %d bytes is left", n)
	}
}

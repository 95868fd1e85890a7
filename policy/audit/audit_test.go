package audit_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 123456000, time.UTC)

// state is a log in a database of its own.
type state struct {
	*sqldb.DB
	log  *audit.Log
	sign note.Signer
	key  note.Verifier
	path string
	n    int // records added, so that no two are the same
}

func open(tb testing.TB) *state {
	tb.Helper()
	skey, vkey, err := audit.NewKey("coatcheck.test/log")
	if err != nil {
		tb.Fatal(err)
	}
	return openWith(tb, skey, vkey)
}

// openWith opens a new log with a given key.
func openWith(tb testing.TB, skey, vkey string) *state {
	tb.Helper()
	signer, err := note.NewSigner(skey)
	if err != nil {
		tb.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	s := &state{log: audit.New(signer, verifier), sign: signer, key: verifier, path: filepath.Join(dir, "test.db")}
	s.DB = reopen(tb, s)
	return s
}

// reopen opens the same file once more, as another process would.
func reopen(tb testing.TB, s *state) *sqldb.DB {
	tb.Helper()
	db, err := sqldb.Open(tb.Context(), s.path, audit.Migrations())
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

// entry is a typical record, different for each n.
func entry(n int) audit.Entry {
	return audit.Entry{
		Time: noon.Add(time.Duration(n) * time.Second), Event: "handle.issued", Actor: "agent:claude-desktop", Door: "mcp",
		Client: "claude-ai 0.1.0", Path: "production/openai/api-key", Handle: fmt.Sprintf("h_%010d", n), Outcome: audit.OK,
		Rule: "inference", RuleHash: "0123456789ab",
	}
}

// add appends n records.
func (s *state) add(tb testing.TB, n int) {
	tb.Helper()
	s.update(tb, func(tx *sqldb.Tx) error {
		for i := range n {
			if _, err := s.log.Append(tx, entry(s.n+i)); err != nil {
				return err
			}
		}
		return nil
	})
	s.n += n
}

func (s *state) update(tb testing.TB, fn func(tx *sqldb.Tx) error) {
	tb.Helper()
	if err := s.Update(tb.Context(), fn); err != nil {
		tb.Fatal(err)
	}
}

func (s *state) checkpoint(tb testing.TB) []byte {
	tb.Helper()
	signed, err := s.log.Checkpoint(tb.Context(), s.DB, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

func (s *state) tail(tb testing.TB, after int64, limit int) (records []audit.Record) {
	tb.Helper()
	if err := s.View(tb.Context(), func(tx *sqldb.Tx) (err error) {
		records, err = s.log.Tail(tx, after, limit)
		return err
	}); err != nil {
		tb.Fatal(err)
	}
	return records
}

func numbers(records []audit.Record) (seqs []int64) {
	for _, r := range records {
		seqs = append(seqs, r.Seq)
	}
	return seqs
}

func TestRecordsAreReadBackInOrder(t *testing.T) {
	s := open(t)
	s.add(t, 5)
	all := s.tail(t, 0, 10)
	if got := numbers(all); !slices.Equal(got, []int64{1, 2, 3, 4, 5}) {
		t.Fatalf("numbers %v", got)
	}
	for i, r := range all {
		if r.Entry != entry(i) {
			t.Errorf("record %d is %+v", r.Seq, r.Entry)
		}
	}
	if got := numbers(s.tail(t, 2, 2)); !slices.Equal(got, []int64{3, 4}) {
		t.Errorf("tail after 2: %v", got)
	}
	if err := s.View(t.Context(), func(tx *sqldb.Tx) error {
		last, err := s.log.Last(tx, 2)
		if got := numbers(last); !slices.Equal(got, []int64{4, 5}) {
			t.Errorf("last 2: %v", got)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestARollbackLeavesNoGap(t *testing.T) {
	s := open(t)
	boom := errors.New("boom")
	for i := range 3 {
		s.add(t, 1)
		err := s.Update(t.Context(), func(tx *sqldb.Tx) error {
			seq, err := s.log.Append(tx, entry(i))
			if err != nil || seq != int64(i+2) {
				t.Errorf("append: %d, %v", seq, err)
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
	}
	if got := numbers(s.tail(t, 0, 10)); !slices.Equal(got, []int64{1, 2, 3}) {
		t.Errorf("numbers %v", got)
	}
}

func TestIncompleteEntryIsRefused(t *testing.T) {
	s := open(t)
	for name, e := range map[string]audit.Entry{
		"no event": {Time: noon}, "no time": {Event: "secret.read"}, "year 0": {Event: "secret.read", Time: time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)},
		"year 10000": {Event: "secret.read", Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"version":    {Event: "secret.read", Time: noon, Version: -1}, "ref": {Event: "secret.read", Time: noon, Ref: -1},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.Update(t.Context(), func(tx *sqldb.Tx) error {
				_, err := s.log.Append(tx, e)
				return err
			})
			if !errors.Is(err, audit.ErrEntry) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestManyProcessesAppendAndSeal(t *testing.T) {
	s := open(t)
	dbs := []*sqldb.DB{s.DB, reopen(t, s), reopen(t, s)}
	const each = 60
	var wg sync.WaitGroup
	for _, db := range dbs {
		for range 4 {
			wg.Go(func() {
				for i := range each / 4 {
					err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
						_, err := s.log.Append(tx, entry(i))
						return err
					})
					if err == nil && i%5 == 0 {
						_, err = s.log.Checkpoint(t.Context(), db, nil)
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	anchor := s.checkpoint(t)
	report, err := audit.Verify(t.Context(), s.DB, s.key, anchor)
	if err != nil {
		t.Fatal(err)
	}
	if n := int64(len(dbs) * each); report != (audit.Report{Records: n, Sealed: n, Anchored: n}) {
		t.Errorf("report %+v", report)
	}
}

// TestOlderTable: the records of a database from before they lay in one tree
// verify as ever, and the next one follows them.
func TestOlderTable(t *testing.T) {
	s := open(t)
	path := filepath.Join(filepath.Dir(s.path), "older.db")
	var anchor []byte
	for i, schema := range [][]sqldb.Migration{audit.Migrations()[:1], audit.Migrations()} {
		db, err := sqldb.Open(t.Context(), path, schema)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 300 {
			if err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
				seq, err := s.log.Append(tx, entry(n))
				if want := int64(300*i + n + 1); err == nil && seq != want {
					t.Errorf("number %d, want %d", seq, want)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		if anchor, err = s.log.Checkpoint(t.Context(), db, anchor); err != nil {
			t.Fatal(err)
		}
		if _, err := audit.Verify(t.Context(), db, s.key, anchor); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

package sqldb_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb/faults"
)

var (
	ioRounds = flag.Int("io.rounds", 1, "times that the workload of the I/O faults is repeated in one database")
	ioAll    = flag.Bool("io.all", false, "fail each call in four ways, not in two")
)

// script is a workload on a database whose disk fails somewhere, and what is
// known of it: each step writes an effect and its record in one transaction.
type script struct {
	t      *testing.T
	path   string
	acked  map[int]bool // steps that were acknowledged
	failed map[int]bool // steps that were not
	erased map[int]bool // steps whose effect was to be deleted for good, and whether that was acknowledged
	next   int
}

var effects = []sqldb.Migration{
	{Name: "test/1", SQL: []string{"CREATE TABLE effects (n {key} PRIMARY KEY, b {blob})"}},
	{Name: "test/2", SQL: []string{"CREATE TABLE records (n {key} PRIMARY KEY)"}},
}

// faultIsNamed: every failing call returns an error of package vault.
func (s *script) faultIsNamed(what string, err error) {
	s.t.Helper()
	if err != nil && !errors.Is(err, vault.ErrStorageFailed) && !errors.Is(err, vault.ErrStorageFull) && !errors.Is(err, vault.ErrReadOnly) {
		s.t.Errorf("%s: %v", what, err)
	}
}

func (s *script) run() {
	db, err := sqldb.Open(context.Background(), s.path, effects)
	s.faultIsNamed("open", err)
	if err != nil {
		return
	}
	for range *ioRounds {
		s.step(db, 10)
		s.step(db, 9_000) // some pages
		s.erase(db, s.next)
		s.step(db, 10)
	}
	s.faultIsNamed("close", db.Close())
}

// step writes one effect with its record, and looks what is visible of it.
func (s *script) step(db *sqldb.DB, size int) {
	s.next++
	n := s.next
	err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
		if _, err := tx.Exec("INSERT INTO effects (n, b) VALUES (?, zeroblob(?))", n, size); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO records (n) VALUES (?)", n)
		return err
	})
	s.faultIsNamed("write", err)
	if err == nil {
		s.acked[n] = true
	} else {
		s.failed[n] = true
	}
	var there bool
	if err := db.View(context.Background(), func(tx *sqldb.Tx) error {
		return tx.QueryRow("SELECT EXISTS (SELECT 1 FROM effects WHERE n = ?)", n).Scan(&there)
	}); err == nil && there != s.acked[n] {
		s.t.Errorf("step %d: acknowledged %v, visible %v", n, s.acked[n], there)
	}
}

// erase deletes an effect for good, which folds and empties the log.
func (s *script) erase(db *sqldb.DB, n int) {
	if !s.acked[n] {
		return
	}
	err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
		tx.Erase()
		_, err := tx.Exec("DELETE FROM effects WHERE n = ?", n)
		return err
	})
	s.faultIsNamed("erase", err)
	s.erased[n] = err == nil
}

// check opens what is left on a disk that works again.
func (s *script) check(path, call string) {
	s.t.Helper()
	db, err := sqldb.Open(context.Background(), path, effects)
	if err != nil {
		s.t.Fatalf("%s: the next open: %v", call, err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			s.t.Errorf("%s: %v", call, err)
		}
	}()
	found := map[int]bool{}
	var records int
	var verdict string
	if err := db.View(context.Background(), func(tx *sqldb.Tx) error {
		if err := tx.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil {
			return err
		}
		if err := tx.QueryRow("SELECT count(*) FROM records").Scan(&records); err != nil {
			return err
		}
		return tx.Query("SELECT r.n, e.n IS NOT NULL FROM records AS r LEFT JOIN effects AS e ON e.n = r.n", nil, func(scan func(...any) error) error {
			var n int
			var effect bool
			err := scan(&n, &effect)
			found[n] = true
			if gone, asked := s.erased[n]; !effect && !asked || effect && gone {
				s.t.Errorf("%s: step %d: its effect is there: %v", call, n, effect)
			}
			return err
		})
	}); err != nil || verdict != "ok" {
		s.t.Fatalf("%s: %v, %s", call, err, verdict)
	}
	for n := range s.acked {
		if !found[n] {
			s.t.Errorf("%s: step %d was acknowledged and is lost", call, n)
		}
	}
	for n := range found {
		if !s.acked[n] && !s.failed[n] {
			s.t.Errorf("%s: step %d was never tried", call, n)
		}
	}
	if err := db.Update(context.Background(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec("INSERT INTO records (n) VALUES (1000000)")
		return err
	}); err != nil {
		s.t.Errorf("%s: the next write: %v", call, err)
	}
}

// copyDatabase copies the files as a power cut would leave them.
func copyDatabase(t *testing.T, from, to string) {
	t.Helper()
	for _, end := range []string{"", "-wal"} {
		data, err := os.ReadFile(from + end)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(to+end, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestFailingDisk fails every call of a small workload that changes a file,
// because the disk is broken for a moment and because it is full and stays so;
// with -io.all also the other way round.
func TestFailingDisk(t *testing.T) {
	ways := []faults.Fault{{}, {Full: true, Stay: true}}
	if *ioAll {
		ways = append(ways, faults.Fault{Stay: true}, faults.Fault{Full: true})
	}
	for _, how := range ways {
		t.Run(fmt.Sprintf("full %v, stays %v", how.Full, how.Stay), func(t *testing.T) {
			dir := privateDir(t)
			disk, err := faults.Install(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := disk.Remove(); err != nil {
					t.Error(err)
				}
			}()
			for n := 0; ; n += (scale + 1) / 2 {
				s := &script{t: t, path: filepath.Join(dir, fmt.Sprint(n, ".db")), acked: map[int]bool{}, failed: map[int]bool{}, erased: map[int]bool{}}
				disk.Fail(n, how)
				s.run()
				cut := filepath.Join(dir, fmt.Sprint(n, "-cut.db"))
				copyDatabase(t, s.path, cut) // nobody wrote any more
				call, hit := disk.Heal()
				if !hit {
					t.Logf("%d calls", n)
					return
				}
				s.check(s.path, call)
				s.check(cut, call+", then a power cut")
				if t.Failed() {
					return
				}
			}
		})
	}
}

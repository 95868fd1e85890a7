package faults_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb/faults"
)

// TestDisk fails each call of one write, and only that: what the calls before it
// did is done, and the write after it goes through, unless the fault stays.
func TestDisk(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	disk, err := faults.Install(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := disk.Remove(); err != nil {
			t.Error(err)
		}
	}()
	db, err := sqldb.Open(t.Context(), filepath.Join(dir, "x.db"), []sqldb.Migration{{Name: "x/1", SQL: []string{"CREATE TABLE t (a BIGINT)"}}})
	if err != nil {
		t.Fatal(err)
	}
	write := func() error {
		return db.Update(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec("INSERT INTO t (a) VALUES (1)")
			return err
		})
	}
	seen := map[string]bool{}
	for n := 0; ; n++ {
		disk.Fail(n, faults.Fault{Full: n%2 == 0, Stay: n%3 == 0})
		first, second := write(), write()
		call, hit := disk.Heal()
		if !hit {
			break
		}
		_, what, _ := strings.Cut(call, ", ")
		seen[what] = true
		for _, err := range []error{first, second} {
			if err != nil && !errors.Is(err, vault.ErrStorageFull) && !errors.Is(err, vault.ErrStorageFailed) {
				t.Errorf("%s: %v", call, err)
			}
		}
		if n%3 == 0 && second == nil {
			t.Errorf("%s: it should stay", call)
		}
		if n%3 != 0 && first != nil && second != nil {
			t.Errorf("%s: it should have passed: %v", call, second)
		}
		if err := write(); err != nil {
			t.Fatalf("after %s: %v", call, err)
		}
	}
	if !seen["write"] || !seen["sync"] {
		t.Errorf("failed only %v", seen)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

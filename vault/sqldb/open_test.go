package sqldb_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// sqliteFile makes a database of somebody else, by a coatcheck one that loses
// its mark.
func sqliteFile(t *testing.T, statements ...string) string {
	t.Helper()
	path := filepath.Join(privateDir(t), "other.db")
	db := openAt(t, path)
	for _, s := range append([]string{"PRAGMA application_id=0", "PRAGMA user_version=0"}, statements...) {
		if err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(s)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenRefuses(t *testing.T) {
	write := func(t *testing.T, data string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(privateDir(t), "x.db")
		if err := os.WriteFile(path, []byte(data), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tc := range []struct {
		name string
		path func(t *testing.T) string
		want error
	}{
		{"a file that is no database", func(t *testing.T) string {
			t.Helper()
			return write(t, string(bytes.Repeat([]byte("not a database\n"), 100)), 0o600)
		}, vault.ErrForeign},
		{"a database of another program", func(t *testing.T) string { t.Helper(); return sqliteFile(t) }, vault.ErrForeign},
		{"a database of another program with a version", func(t *testing.T) string {
			t.Helper()
			return sqliteFile(t, "DROP TABLE t", "PRAGMA user_version=7")
		}, vault.ErrForeign},
		{"a newer database", func(t *testing.T) string {
			t.Helper()
			return sqliteFile(t, "PRAGMA application_id=0x636f6174", "PRAGMA user_version=2")
		}, vault.ErrNewer},
		{"a schema with a number below zero", func(t *testing.T) string {
			t.Helper()
			return sqliteFile(t, "PRAGMA application_id=0x636f6174", "PRAGMA user_version=-1")
		}, vault.ErrCorrupt},
		{"a file that others read", func(t *testing.T) string { t.Helper(); return write(t, "", 0o640) }, vault.ErrLoosePermissions},
		{"a folder that others enter", func(t *testing.T) string {
			t.Helper()
			path := write(t, "", 0o600)
			if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			return path
		}, vault.ErrLoosePermissions},
		{"a folder that is not there", func(t *testing.T) string { t.Helper(); return filepath.Join(privateDir(t), "no", "x.db") }, os.ErrNotExist},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := tc.path(t)
			before, _ := os.ReadFile(path)
			var beside []string
			if tc.want != os.ErrNotExist { //nolint:errorlint // a field of the table
				beside = files(t, filepath.Dir(path))
			}
			db, err := sqldb.Open(t.Context(), path, migrations)
			if err == nil {
				_ = db.Close()
			}
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the refused file was changed")
			}
			if beside == nil {
				return
			}
			if got := files(t, filepath.Dir(path)); !slices.Equal(got, beside) {
				t.Errorf("left behind: %v, before: %v", got, beside)
			}
		})
	}
}

func TestOpenWithEndedContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sqldb.Open(ctx, filepath.Join(privateDir(t), "x.db"), migrations); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestDamagedFile(t *testing.T) {
	path := filepath.Join(privateDir(t), "x.db")
	db := openAt(t, path)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(data[4096:]) // every page but the first
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	err = openAt(t, path).Update(t.Context(), insert(1))
	if !errors.Is(err, vault.ErrCorrupt) {
		t.Fatalf("got %v", err)
	}
}

func TestMigrations(t *testing.T) {
	path := filepath.Join(privateDir(t), "x.db")
	db := openAt(t, path)
	if err := db.Update(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	second := append(migrations[:1:1], sqldb.Migration{Name: "test/2", SQL: []string{
		"ALTER TABLE t ADD COLUMN d BIGINT NOT NULL DEFAULT 7", "CREATE TABLE u (a BIGINT)",
	}})
	broken := append(second[:2:2], sqldb.Migration{Name: "test/3", SQL: []string{"CREATE TABLE v (a BIGINT)", "CREATE TABLE u (a BIGINT)"}})

	if _, err := sqldb.Open(t.Context(), path, broken); err == nil {
		t.Fatal("a broken migration was applied")
	}
	if db, err := sqldb.Open(t.Context(), path, migrations); err != nil {
		t.Fatalf("a broken migration left something: %v", err)
	} else if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		db, err := sqldb.Open(t.Context(), path, second)
		if err != nil {
			t.Fatal(err)
		}
		var d int
		if err := db.View(t.Context(), func(tx *sqldb.Tx) error {
			return tx.QueryRow("SELECT d FROM t, (SELECT count(*) FROM u) WHERE a = 1").Scan(&d)
		}); err != nil || d != 7 {
			t.Fatalf("d = %d, %v", d, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sqldb.Open(t.Context(), path, migrations); !errors.Is(err, vault.ErrNewer) {
		t.Fatalf("older program: %v", err)
	}
}

func TestOpenTogether(t *testing.T) {
	path := filepath.Join(privateDir(t), "x.db")
	errs := make(chan error, 8)
	for range cap(errs) {
		go func() {
			db, err := sqldb.Open(t.Context(), path, migrations)
			if err == nil {
				err = db.Close()
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

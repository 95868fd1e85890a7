package sqldb_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// asUser runs fn without the rights of root, to which modes of files mean
// nothing. Only the thread of fn changes its user, and it ends with fn.
func asUser(t *testing.T, dir string, fn func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		fn()
		return
	}
	const nobody = 65534
	err := filepath.WalkDir(filepath.Dir(dir), func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, nobody, nobody))
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), nobody, ^uintptr(0)); errno != 0 {
			t.Error(errno)
			return
		}
		fn()
	}()
	<-done
}

func TestReadOnlyFolder(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, path string){
		"new database": func(*testing.T, string) {},
		"existing database": func(t *testing.T, path string) {
			t.Helper()
			if err := openAt(t, path).Close(); err != nil {
				t.Fatal(err)
			}
		},
		"read-only database": func(t *testing.T, path string) {
			t.Helper()
			if err := openAt(t, path).Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, 0o400); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(privateDir(t), "x.db")
			prepare(t, path)
			before, _ := os.ReadFile(path)
			if err := os.Chmod(filepath.Dir(path), 0o500); err != nil {
				t.Fatal(err)
			}
			asUser(t, filepath.Dir(path), func() {
				db, err := sqldb.Open(t.Context(), path, migrations)
				if err == nil {
					err = errors.Join(db.Update(t.Context(), insert(1)), db.Close())
				}
				if !errors.Is(err, vault.ErrReadOnly) {
					t.Errorf("got %v", err)
				}
			})
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the file was changed")
			}
			if err := os.Chmod(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
		})
	}
}

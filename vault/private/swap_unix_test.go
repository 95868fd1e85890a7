//go:build unix

package private_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault/private"
)

// only fails when a folder holds something else than these files.
func only(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if len(got) != len(names) {
		t.Fatalf("%v in the folder, want %v", got, names)
	}
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("holds %q, %v; want %q", got, err, want)
	}
}

func TestSwap(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, ".env"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(".env", link); err != nil {
		t.Fatal(err)
	}
	s, err := private.NewSwap(link, []byte("old"), []byte("new"))
	if err != nil {
		t.Fatal(err)
	}
	holds(t, file, "old")
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	holds(t, file, "new")
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	only(t, dir, ".env", "link")
}

func TestSwapLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, ".env")
	write := func(text string, mode fs.FileMode) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	write("other", 0o600)
	if _, err := private.NewSwap(file, []byte("old"), []byte("new")); !errors.Is(err, private.ErrChanged) {
		t.Errorf("another content: %v", err)
	}
	only(t, dir, ".env")
	s, err := private.NewSwap(file, []byte("other"), []byte("new"))
	if err != nil {
		t.Fatal(err)
	}
	write("edited", 0o600)
	if err := s.Commit(); !errors.Is(err, private.ErrChanged) {
		t.Errorf("edited meanwhile: %v", err)
	}
	holds(t, file, "edited")
	only(t, dir, ".env")
	if s, err = private.NewSwap(file, []byte("edited"), []byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := s.Discard(); err != nil {
		t.Error(err)
	}
	only(t, dir, ".env")
	write("edited", 0o400)
	if _, err := private.NewSwap(file, []byte("edited"), []byte("new")); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("read-only: %v", err)
	}
	if _, err := private.NewSwap(dir, nil, nil); err == nil {
		t.Error("a folder was taken")
	}
	if _, err := private.NewSwap(filepath.Join(dir, "none"), nil, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	only(t, dir, ".env")
	write("edited", 0o600)
	if err := os.Link(file, filepath.Join(dir, "also")); err != nil {
		t.Fatal(err)
	}
	if s, err := private.NewSwap(file, []byte("edited"), []byte("new")); err == nil {
		t.Error("a file was taken that keeps its content under another name", s.Discard())
	}
	only(t, dir, ".env", "also")
}

// TestSwapChangesNothingElse: whoever may write to the folder puts a link to
// somebody else's file in place of the new one, as soon as its name shows. The
// mode that the old file had, and its owner, must not go there.
func TestSwapChangesNothingElse(t *testing.T) {
	dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	file := filepath.Join(dir, ".env")
	if err := errors.Join(os.WriteFile(victim, nil, 0o600), os.WriteFile(file, []byte("old"), 0o600), os.Chmod(file, 0o666)); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			found, _ := filepath.Glob(filepath.Join(dir, "..env-*"))
			for _, name := range found {
				if os.Remove(name) == nil {
					_ = os.Symlink(victim, name)
				}
			}
		}
	}()
	for range 50 {
		if s, err := private.NewSwap(file, []byte("old"), []byte("new")); err == nil {
			_ = s.Discard() // the other may have been there first
		}
	}
	close(stop)
	<-stopped
	if info, err := os.Stat(victim); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the other file has mode %v, %v", info.Mode(), err)
	}
}

//go:build unix

package private_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/private"
)

func file(t *testing.T, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "it's a file")
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestModes(t *testing.T) {
	for _, tc := range []struct {
		mode                os.FileMode
		file, owned, folder bool
	}{
		{0o600, true, true, true},
		{0o400, true, true, true},
		{0o700, true, true, true},
		{0o000, true, true, true},
		{0o640, false, true, false},
		{0o604, false, true, false},
		{0o644, false, true, false},
		{0o755, false, true, false},
		{0o620, false, false, false},
		{0o602, false, false, false},
		{0o666, false, false, false},
		{0o610, false, true, false},
		{0o777, false, false, false},
	} {
		path := file(t, tc.mode)
		dir := t.TempDir()
		if err := os.Chmod(dir, tc.mode); err != nil {
			t.Fatal(err)
		}
		for _, check := range []struct {
			name   string
			err    error
			want   bool
			remedy string
		}{
			{"CheckFile", private.CheckFile(path), tc.file, "chmod 600 '"},
			{"CheckOwned", private.CheckOwned(path), tc.owned, "chmod go-w '"},
			{"CheckDir", private.CheckDir(dir), tc.folder, "chmod 700 '"},
		} {
			switch {
			case (check.err == nil) != check.want:
				t.Errorf("%s at %04o: %v", check.name, tc.mode, check.err)
			case check.err != nil && (!errors.Is(check.err, vault.ErrLoosePermissions) || !strings.Contains(check.err.Error(), check.remedy)):
				t.Errorf("%s at %04o: %v", check.name, tc.mode, check.err)
			}
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKinds(t *testing.T) {
	path, dir := file(t, 0o600), t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"folder as file": private.CheckFile(dir), "file as folder": private.CheckDir(path), "pipe": private.CheckFile(pipe), "device": private.CheckFile("/dev/null"),
	} {
		if err == nil || errors.Is(err, vault.ErrLoosePermissions) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := private.ReadFile(pipe, 10); err == nil {
		t.Error("a pipe was read")
	}
	missing := filepath.Join(dir, "missing")
	_, readErr := private.ReadFile(missing, 10)
	for name, err := range map[string]error{
		"file": private.CheckFile(missing), "folder": private.CheckDir(missing), "owned": private.CheckOwned(missing), "read": readErr,
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("missing %s: %v", name, err)
		}
	}
}

func TestLinksAreJudgedByWhatTheyLeadTo(t *testing.T) {
	for mode, want := range map[os.FileMode]bool{0o600: true, 0o644: false} {
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(file(t, mode), link); err != nil {
			t.Fatal(err)
		}
		if err := private.CheckFile(link); (err == nil) != want {
			t.Errorf("link to %04o: %v", mode, err)
		}
	}
}

func TestOwner(t *testing.T) {
	const other = 65534
	path := file(t, 0o600)
	if os.Geteuid() != 0 { // a file of root that everybody may read
		if err := private.CheckFile("/etc/passwd"); !errors.Is(err, vault.ErrLoosePermissions) {
			t.Errorf("CheckFile: %v", err)
		}
		if err := private.CheckOwned("/etc/passwd"); err != nil {
			t.Errorf("CheckOwned: %v", err)
		}
		return
	}
	if err := os.Chown(path, other, other); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"CheckFile": private.CheckFile(path), "CheckOwned": private.CheckOwned(path)} {
		if !errors.Is(err, vault.ErrLoosePermissions) {
			t.Errorf("%s of another user's file: %v", name, err)
		}
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, content := range []string{"first", "second and longer", ""} {
		if err := private.WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("%q, %v", got, err)
		}
		if err := private.CheckFile(path); err != nil {
			t.Error(err)
		}
	}
	if err := private.WriteFile(filepath.Join(dir, "no", "file"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without its folder: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := private.WriteFile(filepath.Join(dir, "folder"), []byte("x")); err == nil {
		t.Error("a folder was replaced")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestCreateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := private.CreateFile(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := private.CreateFile(path, []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second time: %v", err)
	}
	if got, err := private.ReadFile(path, 5); err != nil || string(got) != "first" {
		t.Errorf("%q, %v", got, err)
	}
}

// After a process is killed while it writes, the file is whole or not there,
// and what else is left is in nobody's way.
func TestCreateFileKilled(t *testing.T) {
	const size = 16 << 20
	if path := os.Getenv("CREATE_UNTIL_KILLED"); path != "" {
		t.Fatal(private.CreateFile(path, make([]byte, size)))
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCreateFileKilled$")
	cmd.Env = append(os.Environ(), "CREATE_UNTIL_KILLED="+path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var left []fs.DirEntry
	for start := time.Now(); len(left) == 0; { // until it has begun
		var err error
		if left, err = os.ReadDir(dir); err != nil || time.Since(start) > time.Minute {
			t.Fatal("nothing begun: ", err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for _, e := range left {
		if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && info.Mode() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
	if err := private.CreateFile(path, make([]byte, size)); err != nil && !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	if got, err := private.ReadFile(path, size); err != nil || len(got) != size {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// Of several who create at once one does, and whoever finds the file finds all of it.
func TestCreateFileAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	var made atomic.Int32
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			content := bytes.Repeat([]byte{'a' + byte(i)}, 1<<20)
			switch err := private.CreateFile(path, content); {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
			if got, err := private.ReadFile(path, 1<<20); err != nil || len(got) != 1<<20 || bytes.Count(got, got[:1]) != len(got) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
	if entries, _ := os.ReadDir(filepath.Dir(path)); made.Load() != 1 || len(entries) != 1 {
		t.Errorf("made %d times: %v", made.Load(), entries)
	}
}

// The name changes all the time between a good file and a loose one: what was
// opened is the good one.
func TestOpenIsOfWhatWasChecked(t *testing.T) {
	good, loose := file(t, 0o600), file(t, 0o666)
	if err := os.WriteFile(loose, []byte("planted"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "link")
	swap := func(to string) {
		if err := errors.Join(os.Symlink(to, path+".new"), os.Rename(path+".new", path)); err != nil {
			t.Error(err)
		}
	}
	swap(good)
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !stop.Load() {
			swap(loose)
			swap(good)
		}
	})
	opened := 0
	for range 5000 {
		f, err := private.OpenOwned(path)
		if err != nil {
			if !errors.Is(err, vault.ErrLoosePermissions) {
				t.Error(err)
			}
			continue
		}
		opened++
		if got, err := io.ReadAll(f); string(got) != "content" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			break
		}
	}
	stop.Store(true)
	wg.Wait()
	if opened == 0 {
		t.Error("never opened")
	}
}

// TestOpenRegular: a pipe that takes the file's place between the look at it and
// its opening is refused, and nobody waits for its other end.
func TestOpenRegular(t *testing.T) {
	dir := t.TempDir()
	pipe, path := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"folder": dir, "pipe": pipe, "device": "/dev/null"} {
		if f, err := private.OpenRegular(path); !errors.Is(err, private.ErrNotRegular) {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	if _, err := private.OpenRegular(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	good := file(t, 0o644)
	swap := func(to string) {
		if err := errors.Join(os.Symlink(to, path+".new"), os.Rename(path+".new", path)); err != nil {
			t.Error(err)
		}
	}
	swap(good)
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !stop.Load() {
			swap(pipe)
			swap(good)
		}
	})
	opened := make(chan int, 1)
	go func() {
		n := 0
		for range 5000 {
			f, err := private.OpenRegular(path)
			if err == nil {
				n++
				_ = f.Close()
			} else if !errors.Is(err, private.ErrNotRegular) {
				t.Error(err)
				break
			}
		}
		opened <- n
	}()
	select {
	case n := <-opened:
		if n == 0 {
			t.Error("never opened")
		}
	case <-time.After(time.Minute):
		t.Error("it waits for the other end of the pipe")
	}
	stop.Store(true)
	wg.Wait()
}

func TestReadFile(t *testing.T) {
	if got, err := private.ReadFile(file(t, 0o600), 7); err != nil || string(got) != "content" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := private.ReadFile(file(t, 0o600), 6); err == nil {
		t.Error("a longer file was read")
	}
	if _, err := private.ReadFile(file(t, 0o644), 7); !errors.Is(err, vault.ErrLoosePermissions) {
		t.Errorf("a loose file: %v", err)
	}
}

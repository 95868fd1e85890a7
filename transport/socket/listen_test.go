//go:build linux || darwin

package socket_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/socket"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// TestOwnUser: both ends know each other, the modes are tight, and nothing but
// the lock stays behind.
func TestOwnUser(t *testing.T) {
	path := filepath.Join(folder(t), "run", "desk.sock")
	ln := listen(t, path, nil)
	greet(t, ln)
	if got := fmt.Sprintf("%o %o", mode(t, path), mode(t, filepath.Dir(path))); got != "600 700" {
		t.Errorf("modes %s", got)
	}
	text, peer, err := read(t.Context(), path)
	if err != nil || text != "hello" || int(peer.UID) != os.Geteuid() || peer.PID != os.Getpid() {
		t.Errorf("%q, %+v, %v", text, peer, err)
	}
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || !slices.Equal(left, []string{path + ".lock"}) {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestOtherUsers: the listed user is let in, a third is closed unread. Without
// root there is one user to be, who is let in or not.
func TestOtherUsers(t *testing.T) {
	var mu sync.Mutex
	var refused []uint32
	path := filepath.Join(folder(t), "run", "desk.sock")
	ln := listen(t, path, &socket.Options{Users: []uint32{agentUID}, Refused: func(uid uint32, err error) {
		mu.Lock()
		defer mu.Unlock()
		refused = append(refused, uid)
		if err != nil {
			t.Error(err)
		}
	}})
	if !root() {
		ln.LetIn(agentUID)
	}
	greet(t, ln)
	if got := fmt.Sprintf("%o %o", mode(t, path), mode(t, filepath.Dir(path))); got != "666 711" {
		t.Errorf("modes %s", got)
	}
	want := uint32(os.Geteuid())
	if root() {
		want = thirdUID
		if got := readAs(t, agentUID, path); got != `"hello" from 0` {
			t.Errorf("the listed user: %s", got)
		}
		if got := readAs(t, thirdUID, path); got != `"" from 0` {
			t.Errorf("a third user: %s", got)
		}
	} else if got, _, err := read(t.Context(), path); err != nil || got != "" {
		t.Errorf("a user who is not listed: %q, %v", got, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(refused, []uint32{want}) {
		t.Errorf("refused: %v", refused)
	}
}

// TestTaken: what lives is left alone, what is dead is replaced, and what is no
// socket stays.
func TestTaken(t *testing.T) {
	t.Run("by a desk", func(t *testing.T) {
		path := filepath.Join(folder(t), "desk.sock")
		greet(t, listen(t, path, nil))
		if _, err := socket.Listen(path, nil); !errors.Is(err, socket.ErrInUse) {
			t.Errorf("a second one: %v", err)
		}
		if text, _, err := read(t.Context(), path); err != nil || text != "hello" {
			t.Errorf("the first: %q, %v", text, err)
		}
	})
	foreign := func(t *testing.T, path string) *net.UnixListener {
		t.Helper()
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		return ln
	}
	t.Run("by another program", func(t *testing.T) {
		path := filepath.Join(folder(t), "desk.sock")
		foreign(t, path)
		if _, err := socket.Listen(path, nil); !errors.Is(err, socket.ErrInUse) {
			t.Errorf("got %v", err)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	})
	t.Run("by a dead one", func(t *testing.T) {
		path := filepath.Join(folder(t), "desk.sock")
		dead := foreign(t, path)
		dead.SetUnlinkOnClose(false)
		if err := dead.Close(); err != nil {
			t.Fatal(err)
		}
		greet(t, listen(t, path, nil))
		if text, _, err := read(t.Context(), path); err != nil || text != "hello" {
			t.Errorf("%q, %v", text, err)
		}
	})
	t.Run("by a file", func(t *testing.T) {
		path := filepath.Join(folder(t), "desk.sock")
		if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := socket.Listen(path, nil); !errors.Is(err, socket.ErrPath) {
			t.Errorf("got %v", err)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
			t.Errorf("%q, %v", text, err)
		}
	})
}

// TestLooseFolder: a folder that others may write to is no place for a socket.
func TestLooseFolder(t *testing.T) {
	for _, bits := range []os.FileMode{0o770, 0o702, 0o777, 0o777 | os.ModeSticky} {
		dir := filepath.Join(folder(t), "run")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, bits)); err != nil {
			t.Fatal(err)
		}
		_, err := socket.Listen(filepath.Join(dir, "desk.sock"), nil)
		if !errors.Is(err, vault.ErrLoosePermissions) {
			t.Errorf("%v: %v", bits, err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%v: left %v", bits, left)
		}
	}
}

func TestCheckPath(t *testing.T) {
	long := "/" + string(make([]byte, socket.MaxPath-1))
	for path, good := range map[string]bool{
		"/run/desk.sock": true, "/s": true, "/run/a b/c": true,
		"": false, "desk.sock": false, "@desk": false, "\x00desk": false, "/": false, "/run/": false, "/run//s": false,
		"/run/../s": false, "/run/./s": false, long: false, "/" + fmt.Sprintf("%0*d", socket.MaxPath-1, 1): true,
		"/" + fmt.Sprintf("%0*d", socket.MaxPath, 1): false,
	} {
		if err := socket.CheckPath(path); (err == nil) != good || err != nil && !errors.Is(err, socket.ErrPath) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

//go:build linux || darwin

package socket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/socket"
)

// Users of no account, for tests that run as root.
const (
	agentUID = 12_345
	thirdUID = 23_456
)

func root() bool { return os.Geteuid() == 0 }

// folder is a folder that every user may pass through.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := filepath.EvalSymlinks(dir) // /var is a link on macOS
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func listen(t *testing.T, path string, opts *socket.Options) *socket.Listener {
	t.Helper()
	ln, err := socket.Listen(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// greet says hello to everybody who is let in, until the listener is closed.
func greet(t *testing.T, ln *socket.Listener) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "hello")
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
}

// read dials and returns all that the server says.
func read(ctx context.Context, path string) (string, socket.Peer, error) {
	c, peer, err := socket.Dial(ctx, path)
	if err != nil {
		return "", peer, err
	}
	text, err := io.ReadAll(c)
	if errors.Is(err, syscall.ECONNRESET) {
		err = nil // closed with nothing said
	}
	return string(text), peer, errors.Join(err, c.Close())
}

func dialAndRead(path string) int {
	text, peer, err := read(context.Background(), path)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Printf("%q from %d", text, peer.UID)
	return 0
}

// readAs is read in a process of another user.
func readAs(t *testing.T, uid uint32, path string) string {
	t.Helper()
	program := filepath.Join(folder(t), "dial")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(self) // where it is, other users may not go
	if err == nil {
		err = os.WriteFile(program, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = []string{"DIAL=" + path}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

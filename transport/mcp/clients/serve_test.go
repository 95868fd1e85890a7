package clients_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// remote is a desk that is served, and the key of an agent that it knows.
type remote struct{ url, key string }

// bridge serves the desk on a unix socket too, and returns an agent's key and the
// program that takes a client there.
func (d *desk) bridge(t *testing.T) (key string, command []string) {
	t.Helper()
	socket := filepath.Join(d.dir, "run", "desk.sock")
	if err := os.WriteFile(filepath.Join(d.home, "config.yaml"), []byte("socket: "+socket+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return d.serve(t).key, []string{d.binary, "mcp", "--server", "unix://" + socket}
}

var servedAt = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// serve starts the desk's server with an agent that may use everything, and
// ends it with the test.
func (d *desk) serve(t *testing.T) remote {
	t.Helper()
	add := exec.CommandContext(t.Context(), d.binary, "agent", "add", "framework")
	add.Env = d.env()
	var rule strings.Builder
	add.Stderr = &rule
	key, err := add.Output()
	if err != nil {
		t.Fatalf("agent add: %v\n%s", err, rule.String())
	}
	// As the command says: its rule goes into the policy.
	policy := "version: 1\nrules:\n" + rule.String()[strings.Index(rule.String(), "  - name:"):]
	if err := os.WriteFile(filepath.Join(d.home, "policy.yaml"), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}

	server := exec.CommandContext(context.WithoutCancel(t.Context()), d.binary, "serve", "--listen", "127.0.0.1:0")
	server.Env = d.env()
	stderr, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		if err := server.Wait(); err != nil {
			t.Errorf("serve ended with %v", err)
		}
	})
	said := bufio.NewScanner(stderr)
	for said.Scan() {
		if url := servedAt.FindString(said.Text()); url != "" {
			go func() { // the pipe stays drained
				for said.Scan() {
				}
			}()
			return remote{url, strings.TrimSpace(string(key))}
		}
	}
	t.Fatal("serve does not say where")
	return remote{}
}

package cli_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault/embedded"
)

// client is a program of an MCP client that stays.
type client struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
}

// startClient starts 'coatcheck mcp' on the home, with COATCHECK_KEY_SOURCE or "".
func startClient(t *testing.T, h rekeyHome, source string) *client {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "coatcheck", "mcp")
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "HOME="+h.dir, "COATCHECK_HOME="+h.home(), "COATCHECK_KEY_SOURCE="+source)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	c.ask(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`)
	return c
}

// ask sends a line and returns the next one.
func (c *client) ask(line string) string {
	c.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.t.Fatal(err)
	}
	answer, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	return answer
}

func (c *client) list() string {
	c.t.Helper()
	return c.ask(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"list_secrets","arguments":{}}}`)
}

// TestRekeyBesideAClient: a client's program goes on over a rekey, also to a source
// that it can open by itself, and says what to do when it cannot.
func TestRekeyBesideAClient(t *testing.T) {
	t.Parallel()
	h := newRekeyHome(t, 20)
	c, pinned := startClient(t, h, ""), startClient(t, h, h.old())
	goesOn := func(c *client, what string) {
		t.Helper()
		if got := c.list(); !strings.Contains(got, "s/000001") {
			t.Fatalf("%s: %s", what, got)
		}
	}
	stops := func(c *client, what string) {
		t.Helper()
		if got := c.list(); strings.Contains(got, "s/000001") || !strings.Contains(got, "key_changed") || !strings.Contains(got, "start it anew") {
			t.Errorf("%s: %s", what, got)
		}
	}
	goesOn(c, "before")
	goesOn(pinned, "before, with the variable")
	for range 2 {
		h.must(t, "rekey")
		goesOn(c, "after a rekey")
		goesOn(pinned, "after a rekey, with the variable")
	}
	for _, to := range []string{h.other(), "passphrase:" + h.words(t), h.old()} {
		out := h.must(t, "rekey", "--to", to)
		if strings.Contains(out, "anew") {
			t.Errorf("nothing need be started anew: %s", out)
		}
		goesOn(c, "after a change to "+to)
		if to != h.old() {
			stops(pinned, "with the variable, after a change to "+to)
		}
	}

	// A descriptor was not handed to it.
	cmd := exec.CommandContext(t.Context(), "coatcheck", "rekey", "--to", "passphrase:fd:3")
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "HOME="+h.dir, "COATCHECK_HOME="+h.home(), "COATCHECK_KEY_SOURCE=")
	words, err := os.Open(filepath.Join(h.dir, "words"))
	if err != nil {
		t.Fatal(err)
	}
	defer words.Close() //nolint:errcheck // opened for reading only
	cmd.ExtraFiles = []*os.File{words}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "clients anew") {
		t.Fatalf("%v: %s", err, out)
	}
	stops(c, "after a change to a descriptor")
}

// words makes a file with a passphrase and returns its URI.
func (h rekeyHome) words(t *testing.T) string {
	t.Helper()
	path := filepath.Join(h.dir, "words")
	if err := os.WriteFile(path, []byte("correct horse battery staple\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return embedded.FileURI(path)
}

// TestRekeyBesideStarts: whenever a command starts while the source is changed to
// and fro, it finds the one that opens.
func TestRekeyBesideStarts(t *testing.T) {
	h := newRekeyHome(t, 2)
	var wg sync.WaitGroup
	var ended atomic.Bool
	wg.Go(func() {
		defer ended.Store(true)
		for i := range 30 {
			to := []string{h.other(), h.old()}[i%2]
			if code, out := h.here(t, "rekey", "--to", to); code != 0 {
				t.Errorf("rekey: code %d: %s", code, out)
				return
			}
		}
	})
	starts := 0
	for ; !ended.Load(); starts++ {
		if code, out := h.here(t, "secret", "list"); code != 0 {
			t.Errorf("start %d: code %d: %s", starts, code, out)
			break
		}
	}
	wg.Wait()
	if starts < 10 {
		t.Errorf("%d starts", starts)
	}
}

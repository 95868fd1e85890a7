package cli_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// client is a program of an MCP client that stays.
type client struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
}

// startClient starts 'coatcheck mcp' on the home.
func startClient(t *testing.T, h rekeyHome) *client {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "coatcheck", "mcp")
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "HOME="+h.dir, "COATCHECK_HOME="+h.home(), "COATCHECK_KEY_SOURCE=")
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

// TestRekeyBesideAClient: a client's program goes on over a rekey, and says what
// to do when it cannot.
func TestRekeyBesideAClient(t *testing.T) {
	h := newRekeyHome(t, 20)
	c := startClient(t, h)
	if got := c.list(); !strings.Contains(got, "s/000001") {
		t.Fatalf("before: %s", got)
	}
	for range 2 {
		h.must(t, "rekey")
		if got := c.list(); !strings.Contains(got, "s/000001") {
			t.Fatalf("after a rekey: %s", got)
		}
	}
	h.must(t, "rekey", "--to", h.other())
	got := c.list()
	if strings.Contains(got, "s/000001") || !strings.Contains(got, "key_changed") || !strings.Contains(got, "start it anew") {
		t.Errorf("after the source has changed: %s", got)
	}
	if got := startClient(t, h).list(); !strings.Contains(got, "s/000001") {
		t.Errorf("started anew: %s", got)
	}
}

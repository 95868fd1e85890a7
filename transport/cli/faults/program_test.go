package faults_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait for a program; none takes it unless it is broken.
const patience = 60 * time.Second

// home is a home with its command; programs of it that run can be killed.
type home struct {
	dir string

	mu    sync.Mutex
	alive map[*exec.Cmd]bool // true: it is being killed
}

func newHome(t *testing.T) *home {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return &home{dir: dir, alive: map[*exec.Cmd]bool{}}
}

func (h *home) path(name string) string { return filepath.Join(h.dir, "home", name) }

// command is the command on this home, not started yet.
func (h *home) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "GORACE=atexit_sleep_ms=0",
		"COATCHECK_HOME="+filepath.Join(h.dir, "home"), "HOME="+h.dir, "TMPDIR="+h.dir)
	return cmd
}

func (h *home) start(cmd *exec.Cmd) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := cmd.Start()
	if err == nil {
		h.alive[cmd] = false
	}
	return err
}

// wait waits for a program that was started, and reports whether it was killed.
func (h *home) wait(cmd *exec.Cmd) (killed bool) {
	_ = cmd.Wait() // the state says it
	h.mu.Lock()
	defer h.mu.Unlock()
	killed = h.alive[cmd]
	delete(h.alive, cmd)
	return killed
}

// kill kills one of the programs that run, if there is one.
func (h *home) kill() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	skip := rand.IntN(len(h.alive) + 1)
	for cmd, dying := range h.alive { // in no order
		if skip--; skip < 0 && !dying {
			h.alive[cmd] = true
			return cmd.Process.Kill() == nil
		}
	}
	return false
}

// ended is how a command ended.
type ended struct {
	code        int
	killed      bool
	out, stderr string
}

// run runs one command to its end; it may be killed.
func (h *home) run(ctx context.Context, stdin string, args ...string) (ended, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var out, stderr bytes.Buffer
	cmd := h.command(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &stderr
	if err := h.start(cmd); err != nil {
		return ended{}, err
	}
	killed := h.wait(cmd)
	if ctx.Err() != nil {
		return ended{}, fmt.Errorf("%s hangs", strings.Join(args, " "))
	}
	return ended{cmd.ProcessState.ExitCode(), killed && cmd.ProcessState.ExitCode() < 0, out.String(), stderr.String()}, nil
}

// must runs one command that nobody kills; it ends with a code.
func (h *home) must(t *testing.T, code int, stdin string, args ...string) ended {
	t.Helper()
	got, err := h.run(context.WithoutCancel(t.Context()), stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	if got.code != code {
		t.Fatalf("coatcheck %s ended with %d, want %d\n%s", strings.Join(args, " "), got.code, code, got.stderr)
	}
	return got
}

// client is an MCP client of a program of its own.
type client struct {
	home   *home
	cmd    *exec.Cmd
	in     io.WriteCloser
	lines  *bufio.Reader
	stderr bytes.Buffer
	id     int
}

// errDied means that the program ended before it answered: what it did is not known.
var errDied = errors.New("the program died")

// connect starts coatcheck mcp and greets it.
func (h *home) connect(ctx context.Context) (*client, error) {
	c := &client{home: h, cmd: h.command(ctx, "mcp", "--log-level", "warn")}
	c.cmd.Stderr = &c.stderr
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.lines = bufio.NewReader(out)
	if err := h.start(c.cmd); err != nil {
		return nil, err
	}
	_, err = c.call("initialize", map[string]any{
		"protocolVersion": "2025-06-18", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "faults", "version": "1"},
	})
	return c, err
}

// call makes one request and returns its result.
func (c *client) call(method string, params any) (map[string]any, error) {
	c.id++
	text, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": c.id, "method": method, "params": params})
	if err != nil {
		return nil, err
	}
	if _, err := c.in.Write(append(text, '\n')); err != nil {
		return nil, errDied
	}
	line, err := c.lines.ReadBytes('\n')
	if err != nil {
		return nil, errDied
	}
	var answer struct {
		ID     int
		Result map[string]any
		Error  *struct{ Message string }
	}
	if err := json.Unmarshal(line, &answer); err != nil || answer.ID != c.id || answer.Error != nil {
		return nil, fmt.Errorf("answer %s to request %d: %w", line, c.id, err)
	}
	return answer.Result, nil
}

// refused is a tool's failure.
type refused struct{ code string }

func (r refused) Error() string { return r.code }

// tool calls a tool and returns its structured result, or a [refused].
func (c *client) tool(name string, args any) (map[string]any, error) {
	result, err := c.call("tools/call", map[string]any{"name": name, "arguments": args})
	if err != nil {
		return nil, err
	}
	if broken, _ := result["isError"].(bool); broken {
		var said struct{ Code, Message string }
		content, _ := result["content"].([]any)
		if len(content) > 0 {
			text, _ := content[0].(map[string]any)["text"].(string)
			if err := json.Unmarshal([]byte(text), &said); err != nil {
				return nil, fmt.Errorf("a failure that does not read: %s", text)
			}
		}
		return nil, refused{said.Code}
	}
	structured, _ := result["structuredContent"].(map[string]any)
	return structured, nil
}

// close ends the program by its standard input; one that was not killed ends well.
func (c *client) close() error {
	_ = c.in.Close()
	killed := c.home.wait(c.cmd)
	if code := c.cmd.ProcessState.ExitCode(); code != 0 && !killed {
		return fmt.Errorf("mcp ended by itself with %d: %s", code, c.stderr.String())
	}
	return nil
}

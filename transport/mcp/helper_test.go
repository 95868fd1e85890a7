package mcp_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/transport/mcp"
)

// canary stands for a value: it must not come back in any error or log line.
const canary = "CANARY-7f3a91"

var one = identity.Principal{Kind: identity.Agent, Name: "one", Door: policy.DoorMCP}

// desk is a server with tools that misbehave on request.
type desk struct {
	*mcp.Server
	log  *safeBuffer
	held chan struct{} // closed or fed: "hold" goes on

	handler http.Handler // of the door in front, if there is one

	mu      sync.Mutex
	seen    []identity.Principal
	running int
	most    int
	stopped int // calls of "hold" that were cancelled
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b = bytes.Buffer{}
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// newDesk has the tools
//
//	echo   returns its arguments
//	hold   waits for d.held or the end of its context
//	panic  panics with the canary
//	fail   fails with a cause that has the canary in its text
//	refuse fails in an orderly way
//
// and those that are given.
func newDesk(opts mcp.Options, more ...tools.Tool) *desk {
	d := &desk{log: &safeBuffer{}, held: make(chan struct{})}
	opts.Log = slog.New(slog.NewJSONHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	tool := func(name string, fn func(ctx context.Context, args json.RawMessage) tools.Result) tools.Tool {
		return tools.Tool{
			Name: name, Title: "T " + name, Description: "D " + name,
			Input: json.RawMessage(`{"type":"object"}`), Output: json.RawMessage(`{"type":"object"}`),
			Call: func(ctx context.Context, who identity.Principal, args json.RawMessage) tools.Result {
				d.mu.Lock()
				d.seen = append(d.seen, who)
				d.mu.Unlock()
				return fn(ctx, args)
			},
		}
	}
	ok := func(structured string) tools.Result {
		return tools.Result{Structured: json.RawMessage(structured), Text: structured}
	}
	d.Server = mcp.NewServer(append([]tools.Tool{
		tool("echo", func(_ context.Context, args json.RawMessage) tools.Result { return ok(`{"got":` + string(args) + `}`) }),
		tool("fail", func(context.Context, json.RawMessage) tools.Result {
			return tools.Result{Failure: tools.Broken(), Cause: errors.Join(errors.New(canary), &json.SyntaxError{})}
		}),
		tool("hold", func(ctx context.Context, _ json.RawMessage) tools.Result { return d.hold(ctx, ok) }),
		tool("panic", func(context.Context, json.RawMessage) tools.Result { panic(canary) }),
		tool("refuse", func(context.Context, json.RawMessage) tools.Result {
			return tools.Result{Failure: &tools.Failure{Code: "no", Message: "No.", Next: "Ask."}}
		}),
	}, more...), &opts)
	return d
}

func (d *desk) hold(ctx context.Context, ok func(string) tools.Result) tools.Result {
	d.mu.Lock()
	d.running++
	d.most = max(d.most, d.running)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.running--
		d.mu.Unlock()
	}()
	select {
	case <-d.held:
		return ok(`{"held":true}`)
	case <-ctx.Done():
		d.mu.Lock()
		d.stopped++
		d.mu.Unlock()
		return tools.Result{Failure: &tools.Failure{Code: "cancelled", Message: "Cancelled."}}
	}
}

func (d *desk) count() (running, most, stopped int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.running, d.most, d.stopped
}

func (d *desk) clients() (out []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, who := range d.seen {
		out = append(out, who.Client)
	}
	return out
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("it never came about that %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// wire is a raw client on stdio.
type wire struct {
	t    *testing.T
	in   *os.File
	from *bufio.Reader
	done chan error
}

// pipe is one of the operating system, with its buffer.
func pipe(tb testing.TB) (r, w *os.File) {
	tb.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	return r, w
}

// serve starts a stdio session as who. It ends with the test.
func (d *desk) serve(ctx context.Context, t *testing.T, who identity.Principal) *wire {
	t.Helper()
	inRead, inWrite := pipe(t)
	outRead, outWrite := pipe(t)
	w := &wire{t: t, in: inWrite, from: bufio.NewReaderSize(outRead, 1<<20), done: make(chan error, 1)}
	go func() {
		err := d.ServeStdio(ctx, who, inRead, outWrite)
		_ = outWrite.Close()
		w.done <- err
	}()
	t.Cleanup(func() {
		_ = inWrite.Close()
		_ = inRead.Close()
		_ = outRead.Close()
	})
	return w
}

func (w *wire) send(lines ...string) {
	w.t.Helper()
	for _, line := range lines {
		if _, err := io.WriteString(w.in, line+"\n"); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *wire) read() string {
	w.t.Helper()
	line, err := w.from.ReadString('\n')
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\n")
}

// end closes the input and returns what was still to come.
func (w *wire) end() (rest []string, err error) {
	w.t.Helper()
	_ = w.in.Close()
	text, readErr := io.ReadAll(w.from)
	if readErr != nil {
		w.t.Fatal(readErr)
	}
	for line := range strings.Lines(string(text)) {
		rest = append(rest, strings.TrimSuffix(line, "\n"))
	}
	return rest, <-w.done
}

func initialize(version, name string) string {
	return `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"` + version +
		`","capabilities":{},"clientInfo":{"name":"` + name + `","version":"1"}}}`
}

func toolCall(id, tool, args string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + args + `}}`
}

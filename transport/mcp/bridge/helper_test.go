//go:build linux || darwin

package bridge_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/bridge"
	"github.com/coatcheck-dev/coatcheck/transport/socket"
)

// TestMain names a proxy in the environment, where there is nobody.
func TestMain(m *testing.M) {
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"} {
		if err := os.Setenv(name, "http://127.0.0.1:1"); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

const key = "ass_live_bridge"

// patience bounds every wait; nothing takes it unless it is broken.
const patience = 20 * time.Second

// desk is whatever serves the socket.
type desk struct {
	path string
	stop func()
}

// serve has h serve a socket until the test ends or stop is called.
func serve(t *testing.T, path string, h http.Handler) *desk {
	t.Helper()
	ln, err := socket.Listen(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: patience}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln)
	}()
	d := &desk{path: path, stop: sync.OnceFunc(func() {
		_ = srv.Close()
		<-done
	})}
	t.Cleanup(d.stop)
	return d
}

func socketPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "run", "desk.sock")
}

// client is what started the bridge.
type client struct {
	t     *testing.T
	in    *os.File // towards the bridge
	out   *bufio.Reader
	done  chan error
	ended func() error
	stop  context.CancelFunc // as SIGTERM does
}

// start bridges to the desk at path.
func start(t *testing.T, server string, change func(*bridge.Options)) *client {
	t.Helper()
	at, err := bridge.ParseServer(server)
	if err != nil {
		t.Fatal(err)
	}
	opts := bridge.Options{Patience: 5 * time.Second}
	if change != nil {
		change(&opts)
	}
	inRead, inWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	c := &client{t: t, in: inWrite, out: bufio.NewReaderSize(outRead, 1<<16), done: make(chan error, 1), stop: cancel}
	go func() {
		err := bridge.New(bridge.NewRemote(at, key), &opts).Serve(ctx, inRead, outWrite)
		_ = outWrite.Close()
		c.done <- err
	}()
	c.ended = sync.OnceValue(func() error {
		_ = c.in.Close()
		select {
		case err := <-c.done:
			return err
		case <-time.After(patience):
			return fmt.Errorf("the bridge does not end")
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = c.ended()
		_ = inRead.Close()
		_ = outRead.Close()
	})
	return c
}

func (c *client) send(format string, args ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.in, format+"\n", args...); err != nil {
		c.t.Fatal(err)
	}
}

// line is a message that came back.
type line struct {
	ID     json.RawMessage
	Method string
	Result json.RawMessage
	Params json.RawMessage
	Error  *struct {
		Code    int
		Message string
		Data    struct{ Code, Next string }
	}
	text string
}

func (l line) code() string {
	if l.Error == nil {
		return ""
	}
	return l.Error.Data.Code
}

// next returns the next message; the test ends when there is none.
func (c *client) next() (l line) {
	c.t.Helper()
	text, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatalf("no message: %v", err)
	}
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		c.t.Fatalf("%v: %q", err, text)
	}
	l.text = text
	return l
}

// rest returns what came until the bridge ended.
func (c *client) rest() string {
	c.t.Helper()
	text, err := io.ReadAll(c.out)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(text)
}

const initialize = `{"jsonrpc":"2.0","id":"hello","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`

// open opens a session.
func (c *client) open() {
	c.t.Helper()
	c.send(initialize)
	if l := c.next(); l.Error != nil {
		c.t.Fatalf("initialize: %s", l.text)
	}
	c.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
}

// request is what a fake desk was sent.
type request struct {
	*http.Request
	body string
	msg  struct {
		ID     json.RawMessage
		Method string
		Params struct {
			Name      string
			RequestID json.RawMessage
		}
		Result json.RawMessage
	}
}

// fake is a desk of the test's own making. It opens sessions; the rest is said
// by each test.
type fake struct {
	mu       sync.Mutex
	seen     []request
	sessions int

	call func(w http.ResponseWriter, r request) // a request that is not initialize
	get  func(w http.ResponseWriter, r request)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, raw *http.Request) {
	r := request{Request: raw}
	body, _ := io.ReadAll(raw.Body)
	r.body = string(body)
	_ = json.Unmarshal(body, &r.msg)
	f.mu.Lock()
	f.seen = append(f.seen, r)
	f.mu.Unlock()
	switch {
	case raw.Method == http.MethodGet && f.get != nil:
		f.get(w, r)
	case raw.Method == http.MethodGet:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case raw.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case r.msg.Method == "initialize":
		f.mu.Lock()
		f.sessions++
		w.Header().Set("Mcp-Session-Id", fmt.Sprintf("s%d", f.sessions))
		f.mu.Unlock()
		answer(w, r, `{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"fake","version":"1"}}`)
	case r.msg.ID == nil || r.msg.Method == "":
		w.WriteHeader(http.StatusAccepted)
	default:
		f.call(w, r)
	}
}

// list tells what was asked: method, and session.
func (f *fake) list() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.seen {
		what := r.msg.Method
		if what == "" && r.msg.Result != nil {
			what = "answer"
		}
		all = append(all, strings.TrimSpace(r.Method+" "+what+" "+r.Header.Get("Mcp-Session-Id")))
	}
	return all
}

func answer(w http.ResponseWriter, r request, result string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, r.msg.ID, result)
}

package httpd_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/httpd"
	"github.com/coatcheck-dev/coatcheck/transport/httperror"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	key      = "ass_live_right"
	otherKey = "ass_live_other"
)

// authenticate knows two agents.
func authenticate(_ context.Context, k, _ string) (identity.Principal, error) {
	switch k {
	case key:
		return identity.Principal{Kind: identity.Agent, Name: "one"}, nil
	case otherKey:
		return identity.Principal{Kind: identity.Agent, Name: "two"}, nil
	case "ass_live_fault":
		return identity.Principal{}, errors.New("the database is away")
	case "ass_live_nobody":
		return identity.Principal{}, nil
	}
	return identity.Principal{}, identity.ErrUnauthenticated
}

func alive(context.Context, identity.Principal) error { return nil }

func ready(context.Context) error { return nil }

// desk is a served server.
type desk struct {
	addr, port string
	url        string
	calls      atomic.Int64 // that reached a mounted handler
	logs       *buffer
	stop       func() error // ends Serve and returns its error
}

// buffer is a log that many may write.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// start serves until the test ends. Without handlers of its own, /mcp, /sse,
// /messages and all below /v1/ answer 200 with the body's length; /v1/health does
// so to anybody.
func start(t *testing.T, change func(*httpd.Config)) *desk {
	t.Helper()
	d := &desk{logs: &buffer{}}
	cfg := httpd.Config{
		Listen: ":0", Authenticate: authenticate, Alive: alive, Version: "1.2.3", Ready: ready,
		Log: slog.New(slog.NewTextHandler(d.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		MCP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				w.WriteHeader(http.StatusTeapot)
				return
			}
			_, _ = fmt.Fprintf(w, "%d", len(body))
		}),
	}
	cfg.SSE, cfg.REST, cfg.RESTOpen = cfg.MCP, cfg.MCP, []string{"/v1/health"}
	if change != nil {
		change(&cfg)
	}
	for _, h := range []*http.Handler{&cfg.MCP, &cfg.SSE, &cfg.REST} {
		if inner := *h; inner != nil {
			*h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				d.calls.Add(1)
				inner.ServeHTTP(w, r)
			})
		}
	}
	srv, err := httpd.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.addr, d.url = srv.Addr().String(), srv.URL()
	_, d.port, _ = net.SplitHostPort(d.addr)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context())) // the clean-up ends it, and waits
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx) }()
	d.stop = sync.OnceValue(func() error {
		cancel()
		return <-served
	})
	t.Cleanup(func() {
		if err := d.stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return d
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// raw sends bytes as they are; {port} stands for the port.
func (d *desk) raw(t *testing.T, text string) answer {
	t.Helper()
	c := dial(t, d.addr)
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, strings.ReplaceAll(text, "{port}", d.port)); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(text, " ")
	return read(t, c, method)
}

func read(t *testing.T, c io.Reader, method string) answer {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("read the answer: %v", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) { // a server that does not read all it was sent resets
		t.Fatalf("read the answer's body: %v", err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

// request is the text of a good request with further fields. One that has the
// name of its own Host, Content-Type or Authorization stands in place of it;
// "-Name" only leaves it out.
func request(method, target, body string, fields ...string) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", method, target)
	own := []string{"Host: 127.0.0.1:{port}", "Content-Type: application/json", "Authorization: Bearer " + key}
	for _, f := range own {
		name, _, _ := strings.Cut(f, ":")
		replaced := false
		for _, g := range fields {
			replaced = replaced || g == "-"+name || strings.HasPrefix(strings.ToLower(g), strings.ToLower(name)+":")
		}
		if !replaced {
			b.WriteString(f + "\r\n")
		}
	}
	for _, f := range fields {
		if f[0] != '-' {
			b.WriteString(f + "\r\n")
		}
	}
	_, _ = fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return b.String()
}

// code reads the envelope, and fails when it is anything else.
func (a answer) code(t *testing.T) string {
	t.Helper()
	var e httperror.Body
	dec := json.NewDecoder(strings.NewReader(a.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil || e.Error.Code == "" || e.Error.Message == "" || e.Detail != e.Error.Message {
		t.Fatalf("not an error envelope: %q", a.body)
	}
	return e.Error.Code
}

func want(t *testing.T, a answer, status int, code string) {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d; body %q", a.status, status, a.body)
	}
	if code != "" {
		if got := a.code(t); got != code {
			t.Fatalf("code %s, want %s", got, code)
		}
	}
}

package mcp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/transport/httpd"
	"github.com/coatcheck-dev/coatcheck/transport/mcp"
)

// newDoor is newWebWith behind the network door, as it is served. stop begins the
// shutdown; the door is closed when the test ends.
func newDoor(t *testing.T, limits httpd.Limits, more ...tools.Tool) (w *web, stop func(), stopped <-chan error) {
	t.Helper()
	return newDoorFor(t, httpd.Config{
		Limits: limits,
		Authenticate: func(_ context.Context, key, _ string) (identity.Principal, error) {
			return identity.Principal{Kind: identity.Agent, Name: key}, nil
		},
		Alive: func(context.Context, identity.Principal) error { return nil },
	}, more...)
}

// newDoorFor is newDoor with limits and agents of another kind.
func newDoorFor(t *testing.T, cfg httpd.Config, more ...tools.Tool) (w *web, stop func(), stopped <-chan error) {
	t.Helper()
	d := newDesk(mcp.Options{}, more...)
	caller := func(r *http.Request) (identity.Principal, bool) { return httpd.PrincipalFrom(r.Context()) }
	d.handler = d.HTTPHandler(caller)
	cfg.Listen, cfg.MCP, cfg.Ready = "127.0.0.1:0", d.handler, func(context.Context) error { return nil }
	cfg.SSE = d.SSEHandler(caller, func(r *http.Request) <-chan struct{} { return httpd.Stopping(r.Context()) })
	server, err := httpd.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	served := make(chan struct{})
	go func() {
		defer close(served)
		done <- server.Serve(ctx)
	}()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		<-served
	})
	return &web{d, t, server.URL() + "/mcp"}, stop, done
}

// TestHTTPNeverReads: a client that does not read its stream is cut, its call is
// cancelled, and what waited for it was never more than the way holds.
func TestHTTPNeverReads(t *testing.T) {
	var sent atomic.Int64
	failed := make(chan error, 1)
	pad := strings.Repeat("p", 64<<10)
	w, _, _ := newDoor(t, httpd.Limits{WriteTime: 300 * time.Millisecond}, doing("flood", func(ctx context.Context) string {
		for {
			if err := mcp.Notify(ctx, "notifications/progress", pad); err != nil {
				<-ctx.Done() // the call is told
				failed <- err
				return "cut"
			}
			sent.Add(int64(len(pad)))
		}
	}))
	session := w.open("2025-11-25")
	w.deaf("POST", toolCall("1", "flood", "{}"), session)
	if err := <-failed; err == nil {
		t.Error("no error")
	}
	if got := sent.Load(); got > 64<<20 {
		t.Errorf("%d bytes were taken for a client that does not read", got)
	}
	if a := w.do("POST", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, session); a.status != 200 {
		t.Errorf("the session went with the stream: %+v", a)
	}
}

// deaf sends a request and reads nothing of its answer.
func (w *web) deaf(method, body, session string) {
	w.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(w.t.Context(), "tcp", strings.TrimSuffix(strings.TrimPrefix(w.url, "http://"), "/mcp"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	if _, err := fmt.Fprintf(conn, "%s /mcp HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer one\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\n%s\r\nContent-Length: %d\r\n\r\n%s",
		method, conn.RemoteAddr(), session, len(body), body); err != nil {
		w.t.Fatal(err)
	}
}

// TestHTTPNeverReadsSession: the same for the stream of a session. Whoever says
// more than may wait hears of it, the stream is cut, and the next one has what
// waited.
func TestHTTPNeverReadsSession(t *testing.T) {
	calls := make(chan context.Context, 1)
	pad := strings.Repeat("p", 64<<10)
	w, _, _ := newDoor(t, httpd.Limits{WriteTime: 300 * time.Millisecond}, doing("leave", func(ctx context.Context) string {
		calls <- context.WithoutCancel(ctx)
		return "left"
	}))
	session := w.open("2025-11-25")
	w.do("POST", toolCall("1", "leave", "{}"), session)
	call := <-calls
	w.deaf("GET", "", session)
	eventually(t, "the stream is open", func() bool { return mcp.OpenRequests(w.handler) == 1 })
	said := 0
	eventually(t, "no more is taken", func() bool {
		err := mcp.Notify(call, "notifications/message", pad)
		if err == nil {
			said++
		}
		return errors.Is(err, mcp.ErrNotRead)
	})
	if said > 1024 {
		t.Errorf("%d messages of 64 KiB were taken for a client that does not read", said)
	}
	eventually(t, "the stream is cut", func() bool { return mcp.OpenRequests(w.handler) == 0 })
	if got := w.begin("GET", "", session).next(); !strings.Contains(got, pad) {
		t.Errorf("%.100s", got)
	}
}

// TestHTTPGone: a client that goes away in the middle of a stream cancels its call.
func TestHTTPGone(t *testing.T) {
	ended := make(chan struct{})
	w, _, _ := newDoor(t, httpd.Limits{}, doing("wait", func(ctx context.Context) string {
		_ = mcp.Notify(ctx, "notifications/progress", nil)
		<-ctx.Done()
		close(ended)
		return ""
	}))
	e := w.begin("POST", toolCall("1", "wait", "{}"), w.open("2025-11-25"))
	e.next()
	e.close()
	<-ended
}

// TestHTTPShutdown: when the desk stops, the streams of sessions end and calls
// under way are answered, on their streams too.
func TestHTTPShutdown(t *testing.T) {
	goOn := make(chan struct{})
	w, stop, stopped := newDoor(t, httpd.Limits{}, doing("slow", func(ctx context.Context) string {
		_ = mcp.Notify(ctx, "notifications/progress", nil)
		<-goOn
		return "answered"
	}))
	mine := w.open("2025-11-25")
	stream := w.begin("GET", "", mine)
	call := w.begin("POST", toolCall("1", "slow", "{}"), mine)
	call.next()
	stop()
	if got := stream.next(); got != "EOF" {
		t.Errorf("the session's stream: %s", got)
	}
	close(goOn)
	if got := call.next(); !strings.Contains(got, "answered") {
		t.Errorf("the call under way: %s", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestHTTPPlainAnswer: an answer with nothing before it is one piece of JSON, with
// its length, also for clients that take streams.
func TestHTTPPlainAnswer(t *testing.T) {
	w, _, _ := newDoor(t, httpd.Limits{})
	e := w.begin("POST", toolCall("1", "echo", "{}"), w.open("2025-11-25"))
	text, err := bufio.NewReader(e.res.Body).ReadString('\n')
	if err != nil || e.res.ContentLength != int64(len(text)) || e.res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v, %d of %d bytes, %v", err, e.res.ContentLength, len(text), e.res.Header)
	}
}

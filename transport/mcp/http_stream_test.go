package mcp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/transport/mcp"
)

// doing is a tool that does what the test says.
func doing(name string, do func(ctx context.Context) string) tools.Tool {
	return tools.Tool{
		Name: name, Title: name, Description: name, Input: json.RawMessage(`{"type":"object"}`), Output: json.RawMessage(`{"type":"object"}`),
		Call: func(ctx context.Context, _ identity.Principal, _ json.RawMessage) tools.Result {
			text, err := json.Marshal(do(ctx))
			if err != nil {
				panic(err)
			}
			return tools.Result{Structured: json.RawMessage(`{"said":` + string(text) + `}`), Text: string(text)}
		},
	}
}

func newWebWith(t *testing.T, opts mcp.Options, more ...tools.Tool) *web {
	t.Helper()
	d := newDesk(opts, more...)
	s := httptest.NewServer(d.HTTPHandler(byKey))
	t.Cleanup(s.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return &web{d, t, s.URL}
}

// feed is an event stream as it comes in.
type feed struct {
	t   *testing.T
	res *http.Response
	in  *bufio.Reader
	end context.CancelFunc
}

// begin sends a request and returns once the header of its answer is there.
func (w *web) begin(method, body string, fields ...string) *feed {
	w.t.Helper()
	ctx, end := context.WithCancel(w.t.Context())
	r, err := http.NewRequestWithContext(ctx, method, w.url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range append([]string{"Content-Type: application/json", "Accept: application/json, text/event-stream", "Authorization: Bearer one"}, fields...) {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(r) //nolint:bodyclose // feed.close does
	if err != nil {
		w.t.Fatal(err)
	}
	e := &feed{w.t, res, bufio.NewReaderSize(res.Body, 1<<16), end}
	w.t.Cleanup(e.close)
	return e
}

func (e *feed) close() {
	e.end()
	_ = e.res.Body.Close()
}

// next returns the data of the next event, or io.EOF as text.
func (e *feed) next() string {
	e.t.Helper()
	var data string
	for {
		line, err := e.in.ReadString('\n')
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return "EOF"
		case err != nil:
			e.t.Fatal(err)
		case line == "\n" && data != "":
			return data
		case strings.HasPrefix(line, "data: "):
			data = strings.TrimSuffix(line[len("data: "):], "\n")
		case line != "\n" && line != "event: message\n" && line != ":\n":
			e.t.Fatalf("an odd line in the stream: %q", line)
		}
	}
}

var modernCallTo = func(tool string) (body string, fields []string) {
	return modernCall("1", tool, "{}"), []string{"Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: " + tool}
}

// TestHTTPProgress: what a call says comes before its answer, in order, and all
// of it, in both eras, also when it is more than fits on the way.
func TestHTTPProgress(t *testing.T) {
	const many = 2000
	pad := strings.Repeat("p", 1000)
	w := newWebWith(t, mcp.Options{}, doing("talk", func(ctx context.Context) string {
		for i := range many {
			if err := mcp.Notify(ctx, "notifications/progress", map[string]any{"progressToken": 1, "progress": i, "message": pad}); err != nil {
				return err.Error()
			}
		}
		return "done"
	}))
	legacy := func() *feed { return w.begin("POST", toolCall("1", "talk", "{}"), w.open("2025-11-25")) }
	batch := func() *feed { return w.begin("POST", "["+toolCall("1", "talk", "{}")+"]", w.open("2025-03-26")) }
	modern := func() *feed {
		body, fields := modernCallTo("talk")
		return w.begin("POST", body, fields...)
	}
	for name, start := range map[string]func() *feed{"2025-11-25": legacy, "2025-03-26 batch": batch, "2026-07-28": modern} {
		t.Run(name, func(t *testing.T) {
			e := start()
			if e.res.StatusCode != 200 || e.res.Header.Get("Content-Type") != "text/event-stream" {
				t.Fatalf("%d %v", e.res.StatusCode, e.res.Header)
			}
			for i := range many {
				if got := e.next(); !strings.Contains(got, fmt.Sprintf(`"progress":%d,`, i)) {
					t.Fatalf("event %d: %.200s", i, got)
				}
			}
			if got := e.next(); !strings.Contains(got, `"said":"done"`) || !strings.Contains(got, `"id":1`) {
				t.Errorf("the answer: %s", got)
			}
			if got := e.next(); got != "EOF" {
				t.Errorf("after the answer: %s", got)
			}
		})
	}
}

// TestHTTPJSONOnly: a client that takes no event stream gets its answer, and the
// call hears that nothing else was sent.
func TestHTTPJSONOnly(t *testing.T) {
	w := newWebWith(t, mcp.Options{}, doing("talk", func(ctx context.Context) string {
		_, err := mcp.Ask(ctx, "ping", nil)
		if !errors.Is(err, mcp.ErrNoStream) {
			return fmt.Sprint("asked: ", err)
		}
		return fmt.Sprint(errors.Is(mcp.Notify(ctx, "notifications/progress", nil), mcp.ErrNoStream))
	}))
	a := w.do("POST", toolCall("1", "talk", "{}"), w.open("2025-06-18"), "Accept: application/json")
	if a.status != 200 || !strings.Contains(a.body, `"said":"true"`) || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%+v", a)
	}
}

// capableInit opens a session of a client that can be asked.
const capableInit = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{},"sampling":{}},"clientInfo":{"name":"x","version":"1"}}}`

func (w *web) openCapable(fields ...string) string {
	w.t.Helper()
	a := w.do("POST", capableInit, fields...)
	if a.status != 200 {
		w.t.Fatalf("%+v", a)
	}
	return "Mcp-Session-Id: " + a.header.Get("Mcp-Session-Id")
}

func asking(method string) tools.Tool {
	return doing("ask", func(ctx context.Context) string {
		got, err := mcp.Ask(ctx, method, map[string]any{"message": "?"})
		return fmt.Sprintf("%s %v", got, err)
	})
}

// TestHTTPAsk: a request of the server goes out on the stream of its call, and
// takes its answer only from the same session of the same principal.
func TestHTTPAsk(t *testing.T) {
	w := newWebWith(t, mcp.Options{}, asking("elicitation/create"))
	mine, other := w.openCapable(), w.openCapable()
	theirs := w.openCapable("Authorization: Bearer two")
	e := w.begin("POST", toolCall("7", "ask", "{}"), mine)
	var request struct {
		ID     json.RawMessage
		Method string
		Params struct{ Message string }
	}
	if err := json.Unmarshal([]byte(e.next()), &request); err != nil || request.Method != "elicitation/create" || request.Params.Message != "?" {
		t.Fatalf("%+v, %v", request, err)
	}
	response := func(text string) string {
		return `{"jsonrpc":"2.0","id":` + string(request.ID) + `,"result":{"action":"accept","content":{"by":"` + text + `"}}}`
	}
	for name, test := range map[string]struct {
		fields []string
		status int
	}{
		"another session":              {[]string{other}, 202},
		"another's session":            {[]string{theirs, "Authorization: Bearer two"}, 202},
		"mine, by another":             {[]string{mine, "Authorization: Bearer two"}, 404},
		"another's, by me":             {[]string{theirs}, 404},
		"no session":                   {nil, 400},
		"2026-07-28":                   {[]string{mine, "Mcp-Protocol-Version: 2026-07-28"}, 400},
		"invented":                     {[]string{"Mcp-Session-Id: AAAAAAAAAAAAAAAAAAAAAAAAAA"}, 404},
		"mine, with a name for the id": {[]string{mine}, 202},
	} {
		text := response(name)
		if strings.Contains(name, "a name") {
			text = strings.Replace(text, string(request.ID), `"`+string(request.ID)+`"`, 1)
		}
		if a := w.do("POST", text, test.fields...); a.status != test.status {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if a := w.do("POST", response("me"), mine); a.status != 202 {
		t.Fatalf("%+v", a)
	}
	if got := e.next(); !strings.Contains(got, `"id":7`) || !strings.Contains(got, `by\":\"me`) {
		t.Errorf("the answer: %s", got)
	}
	if a := w.do("POST", response("again"), mine); a.status != 202 {
		t.Errorf("a response that came late: %+v", a)
	}
}

// TestHTTPAskRefused: who may not or does not answer.
func TestHTTPAskRefused(t *testing.T) {
	modern, modernFields := modernCallTo("ask")
	for name, test := range map[string]struct {
		method, body string
		fields       []string
		want         error
	}{
		"capability not declared": {"roots/list", toolCall("1", "ask", "{}"), nil, mcp.ErrNoCapability},
		"not a client's method":   {"tools/call", toolCall("1", "ask", "{}"), nil, mcp.ErrNoCapability},
		"2026-07-28":              {"elicitation/create", modern, modernFields, mcp.ErrNoRequests},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWebWith(t, mcp.Options{}, asking(test.method))
			a := w.do("POST", test.body, append(test.fields, w.openCapable())...)
			if !strings.Contains(a.body, test.want.Error()) {
				t.Errorf("%+v", a)
			}
		})
	}
	t.Run("the client refuses", func(t *testing.T) {
		w := newWebWith(t, mcp.Options{}, asking("sampling/createMessage"))
		mine := w.openCapable()
		e := w.begin("POST", toolCall("1", "ask", "{}"), mine)
		e.next()
		w.do("POST", `{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"`+canary+`"}}`, mine)
		if got := e.next(); !strings.Contains(got, "error -1") || strings.Contains(got, canary) {
			t.Errorf("%s", got)
		}
	})
	t.Run("too many", func(t *testing.T) {
		w := newWebWith(t, mcp.Options{}, doing("ask", func(ctx context.Context) string {
			ctx, stop := context.WithCancel(ctx)
			var all sync.WaitGroup
			var mu sync.Mutex
			refused := 0
			for range 70 {
				all.Go(func() {
					_, err := mcp.Ask(ctx, "ping", nil)
					mu.Lock()
					defer mu.Unlock()
					if errors.Is(err, mcp.ErrTooManyAsked) {
						if refused++; refused == 6 {
							stop()
						}
					}
				})
			}
			all.Wait()
			stop()
			return fmt.Sprint(refused)
		}))
		e := w.begin("POST", toolCall("1", "ask", "{}"), w.openCapable())
		asked, given := 0, 0
		for got := e.next(); got != "EOF"; got = e.next() {
			switch {
			case strings.Contains(got, `"said":"6"`), !strings.Contains(got, `"method"`):
				t.Log(got)
			case strings.Contains(got, "notifications/cancelled"):
				given++
			default:
				asked++
			}
		}
		if asked != 64 || given != 64 {
			t.Errorf("%d asked, %d given up", asked, given)
		}
	})
}

// TestHTTPLate: what is said after the answer goes to the stream of the session,
// once it has one, waits between two streams, and is refused beyond the bound.
func TestHTTPLate(t *testing.T) {
	var mu sync.Mutex
	var call context.Context
	w := newWebWith(t, mcp.Options{}, doing("leave", func(ctx context.Context) string {
		mu.Lock()
		defer mu.Unlock()
		call = context.WithoutCancel(ctx)
		return "left"
	}))
	mine := w.open("2025-11-25")
	w.do("POST", toolCall("1", "leave", "{}"), mine)
	say := func(text string) error {
		mu.Lock()
		defer mu.Unlock()
		return mcp.Notify(call, "notifications/elicitation/complete", map[string]string{"elicitationId": text})
	}
	if err := say("early"); !errors.Is(err, mcp.ErrNoStream) {
		t.Errorf("before there was a stream: %v", err)
	}
	first := w.begin("GET", "", mine)
	if first.res.StatusCode != 200 || first.res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", first.res.StatusCode, first.res.Header)
	}
	if err := say("one"); err != nil {
		t.Fatal(err)
	}
	if got := first.next(); !strings.Contains(got, `"one"`) {
		t.Errorf("%s", got)
	}
	second := w.begin("GET", "", mine, "Last-Event-ID: 1")
	if got := first.next(); got != "EOF" {
		t.Errorf("the first stream goes on: %s", got)
	}
	if err := say("two"); err != nil {
		t.Fatal(err)
	}
	if got := second.next(); !strings.Contains(got, `"two"`) {
		t.Errorf("%s", got)
	}
	second.close()
	eventually(t, "the outbox is full", func() bool { return errors.Is(say("x"), mcp.ErrNotRead) })
	third := w.begin("GET", "", mine)
	eventually(t, "there is room again", func() bool { return say("last") == nil })
	waited := 0
	for got := third.next(); !strings.Contains(got, `"last"`); got = third.next() {
		if waited++; !strings.Contains(got, `"x"`) {
			t.Fatalf("%s", got)
		}
	}
	if waited < mcp.MaxOutbox-1 || waited > mcp.MaxOutbox+1 { // one may have been under way on the stream that closed
		t.Errorf("%d messages waited, at most %d may", waited, mcp.MaxOutbox)
	}
	if a := w.do("DELETE", "", mine); a.status != 204 {
		t.Errorf("%+v", a)
	}
	if got := third.next(); got != "EOF" {
		t.Errorf("after the end of the session: %s", got)
	}
	if err := say("late"); !errors.Is(err, mcp.ErrEnded) {
		t.Errorf("after the session: %v", err)
	}
	if a := w.do("GET", "", mine); a.status != 404 {
		t.Errorf("%+v", a)
	}
}

// TestHTTPBusySession: a session with an open stream or a running call is not
// idle; ending it ends both.
func TestHTTPBusySession(t *testing.T) {
	var mu sync.Mutex
	now := time.Date(2026, 7, 28, 12, 0, 0, 0, time.UTC)
	w := newWebWith(t, mcp.Options{MaxSessions: 2, SessionIdle: time.Minute, Heartbeat: time.Millisecond, Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Second)
		return now
	}})
	pass := func() {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Hour)
	}
	listening, calling := w.open("2025-11-25"), w.open("2025-11-25")
	stream := w.begin("GET", "", listening)
	answered := make(chan answer)
	go func() { answered <- w.do("POST", toolCall("1", "hold", "{}"), calling) }()
	eventually(t, "the call runs", func() bool { running, _, _ := w.count(); return running == 1 })
	pass()
	for range 3 { // idle sessions give way first, then the one that is used least
		w.open("2025-11-25", "Authorization: Bearer two")
		pass()
	}
	ping := `{"jsonrpc":"2.0","id":9,"method":"ping"}`
	for _, session := range []string{listening, calling} {
		if a := w.do("POST", ping, session); a.status != 200 {
			t.Errorf("a busy session ended: %+v", a)
		}
	}
	if line, err := stream.in.ReadString('\n'); err != nil || line != ":\n" {
		t.Errorf("no comment in an idle stream: %q, %v", line, err)
	}
	w.do("DELETE", "", calling)
	if a := <-answered; a.status != 200 || !strings.Contains(a.body, "cancelled") {
		t.Errorf("%+v", a)
	}
	w.open("2025-11-25")
	w.open("2025-11-25") // one too many: the idle one goes
	if a := w.do("POST", ping, listening); a.status != 200 {
		t.Errorf("a busy session gave way to an idle one: %+v", a)
	}
	stream.close()
	eventually(t, "the session counts as idle", func() bool { pass(); return w.do("POST", ping, listening).status == 404 })
}

// TestHTTPTakenOver: a stream that another took over from takes nothing with it.
func TestHTTPTakenOver(t *testing.T) {
	for range 64 { // it depends on which of two signs is seen first
		if !mcp.WokenAfterCut() {
			t.Fatal("what was said would wait for the next message")
		}
	}
}

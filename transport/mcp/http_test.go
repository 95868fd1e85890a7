package mcp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/mcp"
)

// byKey takes the bearer key for the agent's name.
func byKey(r *http.Request) (identity.Principal, bool) {
	name, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return identity.Principal{Kind: identity.Agent, Name: name, Door: policy.DoorMCP, Addr: "192.0.2.1"}, ok
}

// web is a raw client over HTTP.
type web struct {
	*desk
	t   *testing.T
	url string
}

func newWeb(t *testing.T, opts mcp.Options) *web {
	t.Helper()
	d := newDesk(opts)
	s := httptest.NewServer(d.HTTPHandler(byKey))
	t.Cleanup(s.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return &web{d, t, s.URL}
}

type answer struct {
	status int
	header http.Header
	body   string
}

// do sends one request; fields are "Name: value", and one without a value takes
// the header away. An answer that does not come at all is the zero answer.
func (w *web) do(method, body string, fields ...string) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Authorization", "Bearer one")
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if r.Header.Del(name); value != "" {
			for v := range strings.SplitSeq(value, "|") {
				r.Header.Add(name, v)
			}
		}
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}
	}
	text, err := io.ReadAll(res.Body)
	if closeErr := res.Body.Close(); err != nil || closeErr != nil {
		w.t.Error(err, closeErr)
	}
	return answer{res.StatusCode, res.Header, strings.TrimSuffix(string(text), "\n")}
}

// open starts a session and returns its header.
func (w *web) open(version string, fields ...string) string {
	w.t.Helper()
	a := w.do("POST", initialize(version, "probe"), fields...)
	id := a.header.Get("Mcp-Session-Id")
	if a.status != 200 || len(id) != 26 {
		w.t.Fatalf("initialize: %+v", a)
	}
	return "Mcp-Session-Id: " + id
}

func TestHTTPClient(t *testing.T) {
	for name, option := range map[string]client.ClientOption{
		"2026-07-28": client.WithProtocolVersion(mcpgo.ProtocolVersion20260728), "2025-11-25": client.WithProtocolVersion(mcpgo.ProtocolVersion20251125),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWeb(t, mcp.Options{})
			over, err := transport.NewStreamableHTTP(w.url, transport.WithHTTPHeaders(map[string]string{"Authorization": "Bearer one"}))
			if err != nil {
				t.Fatal(err)
			}
			c := client.NewClient(over, option)
			drive(t, c, name)
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if got := w.clients(); !slices.Equal(got, []string{"probe/7", "probe/7"}) {
				t.Errorf("clients in the record: %q", got)
			}
		})
	}
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"m","version":"2"}}`

func modernCall(id, tool, args string) string {
	return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + args + `,` + modernMeta + `}}`
}

// TestHTTPAnswers holds status and body of each odd request. The canary stands
// wherever a client could put it.
func TestHTTPAnswers(t *testing.T) {
	w := newWeb(t, mcp.Options{MaxMessageBytes: 4096})
	mine := w.open("2025-11-25")
	theirs := w.open("2025-11-25", "Authorization: Bearer two")
	ended := w.open("2025-11-25")
	if a := w.do("DELETE", "", ended); a.status != 204 {
		t.Fatalf("ending a session: %+v", a)
	}
	ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	const v = "Mcp-Protocol-Version: 2026-07-28"
	for name, test := range map[string]struct {
		method, body string
		fields       []string
		status       int
		want         string // part of the body
	}{
		"no key":               {"POST", ping, []string{"Authorization"}, 401, "who are you"},
		"GET without key":      {"GET", "", []string{"Authorization"}, 401, ""},
		"GET, no session":      {"GET", "", nil, 400, "no session id"},
		"GET, two sessions":    {"GET", "", []string{mine + "|" + mine[16:]}, 400, ""},
		"GET, invented":        {"GET", "", []string{"Mcp-Session-Id: AAAAAAAAAAAAAAAAAAAAAAAAAA"}, 404, "no such session"},
		"GET, ended":           {"GET", "", []string{ended}, 404, "no such session"},
		"GET, another's":       {"GET", "", []string{theirs, "Last-Event-ID: 1"}, 404, "no such session"},
		"GET, JSON only":       {"GET", "", []string{mine, "Accept: application/json"}, 406, "text/event-stream"},
		"HEAD":                 {"HEAD", "", []string{mine}, 405, ""},
		"GET, modern":          {"GET", "", []string{v}, 405, ""},
		"PUT":                  {"PUT", ping, []string{mine}, 405, ""},
		"OPTIONS":              {"OPTIONS", "", nil, 405, ""},
		"text":                 {"POST", ping, []string{mine, "Content-Type: text/plain"}, 415, ""},
		"form":                 {"POST", ping, []string{mine, "Content-Type: application/x-www-form-urlencoded"}, 415, ""},
		"no type":              {"POST", ping, []string{mine, "Content-Type"}, 415, ""},
		"two types":            {"POST", ping, []string{mine, "Content-Type: application/json|text/plain"}, 415, ""},
		"UTF-16":               {"POST", ping, []string{mine, "Content-Type: application/json; charset=utf-16"}, 415, ""},
		"gzip":                 {"POST", ping, []string{mine, "Content-Encoding: gzip"}, 415, ""},
		"UTF-8":                {"POST", ping, []string{mine, "Content-Type: application/json; charset=UTF-8"}, 200, `{"jsonrpc":"2.0","id":1,"result":{}}`},
		"too long":             {"POST", `{"x":"` + strings.Repeat(canary, 1000) + `"}`, []string{mine}, 413, `"code":-32600`},
		"not JSON":             {"POST", canary, []string{mine}, 400, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"the message is not valid JSON"}}`},
		"empty":                {"POST", "", []string{mine}, 400, `"code":-32700`},
		"twice":                {"POST", `{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`, []string{mine}, 400, `"code":-32700`},
		"METHOD":               {"POST", `{"jsonrpc":"2.0","id":1,"METHOD":"ping"}`, []string{mine}, 400, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600`},
		"deep":                 {"POST", strings.Repeat("[", 2000), []string{mine}, 400, `"code":-32700`},
		"two messages":         {"POST", ping + ping, []string{mine}, 400, `"code":-32700`},
		"mine":                 {"POST", ping, []string{mine}, 200, `{"jsonrpc":"2.0","id":1,"result":{}}`},
		"no session":           {"POST", ping, nil, 400, "no session"},
		"initialize unasked":   {"POST", strings.Replace(initialize("2025-11-25", "x"), `"id":0,`, "", 1), nil, 400, "no session"},
		"invented session":     {"POST", ping, []string{"Mcp-Session-Id: AAAAAAAAAAAAAAAAAAAAAAAAAA"}, 404, "no such session"},
		"ended session":        {"POST", ping, []string{ended}, 404, "no such session"},
		"another's session":    {"POST", ping, []string{theirs}, 404, "no such session"},
		"ending another's":     {"DELETE", "", []string{theirs}, 404, "no such session"},
		"ending invented":      {"DELETE", "", []string{"Mcp-Session-Id: x"}, 404, "no such session"},
		"ending nothing":       {"DELETE", "", nil, 400, ""},
		"ending, modern":       {"DELETE", "", []string{v, mine}, 405, ""},
		"two sessions":         {"POST", ping, []string{mine + "|" + mine[16:]}, 400, "a header stands twice"},
		"odd version":          {"POST", ping, []string{mine, "Mcp-Protocol-Version: " + canary}, 400, "unknown protocol version"},
		"old version":          {"POST", ping, []string{mine, "Mcp-Protocol-Version: 2025-06-18"}, 200, `"result"`},
		"notification":         {"POST", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, []string{mine}, 202, ""},
		"response":             {"POST", `{"jsonrpc":"2.0","id":1,"result":{}}`, []string{mine}, 202, ""},
		"batch":                {"POST", `[` + ping + `]`, []string{mine}, 400, "batches belong to"},
		"unknown method":       {"POST", `{"jsonrpc":"2.0","id":"a","method":"` + canary + `"}`, []string{mine}, 200, `{"jsonrpc":"2.0","id":"a","error":{"code":-32601,"message":"method not found"}}`},
		"unknown tool":         {"POST", toolCall("1", canary, "{}"), []string{mine}, 200, `"unknown tool`},
		"name a number":        {"POST", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}`, []string{mine}, 200, `"message":"the message is not a valid request"`},
		"refusal":              {"POST", toolCall("1", "refuse", "{}"), []string{mine}, 200, `"isError":true`},
		"panic":                {"POST", toolCall("1", "panic", "{}"), []string{mine}, 200, `"isError":true`},
		"modern":               {"POST", modernCall("1", "echo", "{}"), []string{v, "Mcp-Method: tools/call", "Mcp-Name: echo"}, 200, `"resultType":"complete"`},
		"modern, session":      {"POST", modernCall("1", "echo", "{}"), []string{v, "Mcp-Method: tools/call", "Mcp-Name: echo", theirs}, 200, `"resultType":"complete"`},
		"modern, no version":   {"POST", modernCall("1", "echo", "{}"), []string{"Mcp-Method: tools/call", "Mcp-Name: echo"}, 400, `{"code":-32020,"message":"the headers do not agree with the message"}`},
		"modern, old header":   {"POST", modernCall("1", "echo", "{}"), []string{"Mcp-Protocol-Version: 2025-11-25", "Mcp-Method: tools/call", "Mcp-Name: echo", mine}, 400, `"code":-32020`},
		"modern, no meta":      {"POST", ping, []string{v, "Mcp-Method: ping"}, 400, `"code":-32602`},
		"modern, other method": {"POST", modernCall("1", "echo", "{}"), []string{v, "Mcp-Method: " + canary, "Mcp-Name: echo"}, 400, `"code":-32020`},
		"modern, other tool":   {"POST", modernCall("1", "echo", "{}"), []string{v, "Mcp-Method: tools/call", "Mcp-Name: " + canary}, 400, `"code":-32020`},
		"modern, two names":    {"POST", modernCall("1", "echo", "{}"), []string{v, "Mcp-Method: tools/call", "Mcp-Name: echo|fail"}, 400, "a header stands twice"},
		"modern, batch":        {"POST", `[` + modernCall("1", "echo", "{}") + `]`, []string{v}, 400, "batches belong to"},
		"modern, response":     {"POST", `{"jsonrpc":"2.0","id":1,"result":{}}`, []string{v}, 400, ""},
		"modern, cancel":       {"POST", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,` + modernMeta + `}}`, []string{v, "Mcp-Method: notifications/cancelled"}, 202, ""},
		"modern, unknown tool": {"POST", modernCall("1", canary, "{}"), []string{v, "Mcp-Method: tools/call", "Mcp-Name: " + canary}, 400, `"unknown tool`},
		"modern, future": {
			"POST", strings.ReplaceAll(modernCall("1", "echo", "{}"), "2026-07-28", "2030-01-01"),
			[]string{"Mcp-Protocol-Version: 2030-01-01", "Mcp-Method: tools/call", "Mcp-Name: echo"},
			400,
			`{"code":-32022,"message":"unsupported protocol version","data":{"supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"],"requested":"2030-01-01"}}`,
		},
		"unknown version": {
			"POST", strings.ReplaceAll(modernCall("1", "echo", "{}"), "2026-07-28", "v9"),
			[]string{"Mcp-Protocol-Version: v9", "Mcp-Method: tools/call", "Mcp-Name: echo"},
			400, `"requested":"v9"`,
		},
		"unknown version, old": {
			"POST", strings.ReplaceAll(modernCall("1", "echo", "{}"), "2026-07-28", "2001-01-01"),
			[]string{"Mcp-Protocol-Version: 2001-01-01", "Mcp-Method: tools/call", "Mcp-Name: echo"},
			400, `"requested":"2001-01-01"`,
		},
		"unknown version, not one": {
			"POST", strings.ReplaceAll(modernCall("1", "echo", "{}"), "2026-07-28", "v9 "+canary),
			[]string{"Mcp-Protocol-Version: v9 " + canary, "Mcp-Method: tools/call", "Mcp-Name: echo"},
			400, `"requested":""`,
		},
		"unknown version, no header": {
			"POST", strings.ReplaceAll(modernCall("1", "echo", "{}"), "2026-07-28", "v9"), []string{"Mcp-Method: tools/call", "Mcp-Name: echo"}, 400, `"code":-32020`,
		},
		"modern, initialize": {"POST", `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{` + modernMeta + `}}`, []string{v, "Mcp-Method: initialize"}, 404, `"method not found"`},
		"modern, listen":     {"POST", `{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},` + modernMeta + `}}`, []string{v, "Mcp-Method: subscriptions/listen"}, 200, "subscriptions/acknowledged"},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.do(test.method, test.body, test.fields...)
			if got.status != test.status || !strings.Contains(got.body, test.want) {
				t.Errorf("%d %s\nwant %d %s", got.status, got.body, test.status, test.want)
			}
			if strings.Contains(got.body, canary) {
				t.Errorf("the answer repeats what was sent: %s", got.body)
			}
			if got.status == 401 && got.header.Get("WWW-Authenticate") == "" || got.status == 405 && got.header.Get("Allow") == "" {
				t.Errorf("headers %v", got.header)
			}
			if got.header.Get("Mcp-Session-Id") != "" || got.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("headers %v", got.header)
			}
			if got.header.Get("Cache-Control") == "" || got.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers %v", got.header)
			}
		})
	}
	if strings.Contains(w.log.String(), canary) || strings.Contains(w.log.String(), mine[16:]) {
		t.Errorf("the log shows what it should not:\n%s", w.log)
	}
}

// TestHTTPPrincipal: tools see who the request is from, each time.
func TestHTTPPrincipal(t *testing.T) {
	w := newWeb(t, mcp.Options{})
	w.do("POST", toolCall("1", "echo", "{}"), w.open("2025-06-18"))
	w.do("POST", modernCall("1", "echo", "{}"), "Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: echo", "Authorization: Bearer two")
	want := []identity.Principal{
		{Kind: identity.Agent, Name: "one", Door: policy.DoorMCP, Addr: "192.0.2.1", Client: "probe/1"},
		{Kind: identity.Agent, Name: "two", Door: policy.DoorMCP, Addr: "192.0.2.1", Client: "m/2"},
	}
	if !slices.Equal(w.seen, want) {
		t.Errorf("got  %+v\nwant %+v", w.seen, want)
	}
}

// TestHTTPNobody: a door that names nobody gets nothing done.
func TestHTTPNobody(t *testing.T) {
	d := newDesk(mcp.Options{})
	h := d.HTTPHandler(func(*http.Request) (identity.Principal, bool) { return identity.Principal{}, true })
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/mcp", strings.NewReader(modernCall("1", "echo", "{}")))
	for _, f := range []string{"Content-Type: application/json", "Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: echo"} {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if !strings.Contains(w.Body.String(), `"isError":true`) || len(d.seen) > 0 {
		t.Errorf("%s, seen %v", w.Body, d.seen)
	}
}

// TestHTTPBatch: revision 2025-03-26 has batches.
func TestHTTPBatch(t *testing.T) {
	w := newWeb(t, mcp.Options{})
	session := w.open("2025-03-26")
	a := w.do("POST", `[`+toolCall("1", "echo", `{"a":1}`)+`,`+toolCall(`"b"`, canary, `{}`)+`]`, session)
	want := `[{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"{\"got\":{\"a\":1}}"}],"structuredContent":{"got":{"a":1}}}},` +
		`{"jsonrpc":"2.0","id":"b","error":{"code":-32602,"message":"unknown tool: tools/list names those there are"}}]`
	if a.status != 200 || a.body != want {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a = w.do("POST", `[{"jsonrpc":"2.0","method":"notifications/initialized"}]`, session); a.status != 202 {
		t.Errorf("%+v", a)
	}
	if a = w.do("POST", `[]`, session); a.status != 400 {
		t.Errorf("%+v", a)
	}
}

// TestHTTPCancelled: a notification cancels calls of its own session only, a
// lost connection its own call only.
func TestHTTPCancelled(t *testing.T) {
	w := newWeb(t, mcp.Options{})
	mine, theirs := w.open("2025-11-25"), w.open("2025-11-25", "Authorization: Bearer two")
	var calls sync.WaitGroup
	var cancelled, held atomic.Int32
	start := func(body string, fields ...string) {
		calls.Go(func() {
			switch a := w.do("POST", body, fields...); {
			case strings.Contains(a.body, "cancelled"):
				cancelled.Add(1)
			case strings.Contains(a.body, `"held":true`):
				held.Add(1)
			default:
				t.Errorf("%+v", a)
			}
		})
	}
	modern := []string{"Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: hold"}
	start(toolCall("1", "hold", "{}"), mine)
	start(toolCall("1", "hold", "{}"), theirs, "Authorization: Bearer two")
	start(modernCall("1", "hold", "{}"), modern...)
	start(modernCall("1", "hold", "{}"), modern...)
	eventually(t, "all four run", func() bool { running, _, _ := w.count(); return running == 4 })
	if a := w.do("POST", toolCall("1", "echo", "{}"), mine); a.status != 400 || !strings.Contains(a.body, "not yet answered") {
		t.Errorf("the same id again: %+v", a)
	}
	// From elsewhere it has no effect, in neither era.
	cancel := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`
	w.do("POST", cancel, w.open("2025-11-25"))
	w.do("POST", strings.Replace(cancel, `{"requestId":1`, `{"requestId":1,`+modernMeta, 1), "Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: notifications/cancelled")
	if _, _, stopped := w.count(); stopped != 0 {
		t.Errorf("%d calls were stopped from elsewhere", stopped)
	}
	w.do("POST", cancel, mine)
	eventually(t, "mine is stopped", func() bool { _, _, stopped := w.count(); return stopped == 1 })
	close(w.held)
	calls.Wait()
	if cancelled.Load() != 1 || held.Load() != 3 {
		t.Errorf("%d cancelled, %d held", cancelled.Load(), held.Load())
	}
}

// TestHTTPSessionLimits: sessions are bounded for each principal and end when idle.
func TestHTTPSessionLimits(t *testing.T) {
	var mu sync.Mutex
	now := time.Date(2026, 7, 28, 12, 0, 0, 0, time.UTC)
	pass := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
	w := newWeb(t, mcp.Options{MaxSessions: 3, SessionIdle: 10 * time.Minute, Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}})
	ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	alive := func(session string, fields ...string) bool {
		return w.do("POST", ping, append(fields, session)...).status == 200
	}
	theirs := w.open("2025-11-25", "Authorization: Bearer two")
	var mine []string
	for range 3 {
		mine = append(mine, w.open("2025-11-25"))
		pass(time.Second)
	}
	if !alive(mine[0]) { // now mine[1] is the longest unused
		t.Error("the first session ended early")
	}
	pass(time.Second)
	mine = append(mine, w.open("2025-11-25"))
	for i, want := range []bool{true, false, true, true} {
		if got := alive(mine[i]); got != want {
			t.Errorf("session %d: alive %v", i, got)
		}
	}
	if !alive(theirs, "Authorization: Bearer two") {
		t.Error("another principal lost its session")
	}
	pass(9 * time.Minute)
	if !alive(mine[0]) {
		t.Error("a session ended before it was idle for long")
	}
	pass(9 * time.Minute)
	if !alive(mine[0]) || alive(mine[2]) {
		t.Error("idle sessions do not end, or used ones do")
	}
	pass(11 * time.Minute)
	w.open("2025-11-25", "Authorization: Bearer three") // sweeps
	if alive(mine[0]) {
		t.Error("an idle session is alive")
	}
}

// TestHTTPMatrix: two principals use equal ids at the same time; nobody gets
// what belongs to the other.
func TestHTTPMatrix(t *testing.T) {
	w := newWeb(t, mcp.Options{})
	var all sync.WaitGroup
	for i := range 8 {
		key := fmt.Sprintf("Authorization: Bearer agent-%d", i)
		session := w.open("2025-11-25", key)
		all.Go(func() {
			for n := range 50 {
				mark := fmt.Sprintf(`"%d-%d"`, i, n)
				body, fields := toolCall("1", "echo", mark), []string{key, session}
				if n%2 == 1 {
					body, fields = modernCall("1", "echo", mark), []string{key, "Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: echo"}
				}
				if a := w.do("POST", body, fields...); !strings.Contains(a.body, `"structuredContent":{"got":`+mark+`}`) {
					t.Errorf("%s got %+v", mark, a)
				}
			}
		})
	}
	all.Wait()
}

// TestHTTPPanic: a panic outside of the tools is answered without its text.
func TestHTTPPanic(t *testing.T) {
	d := newDesk(mcp.Options{})
	h := d.HTTPHandler(func(*http.Request) (identity.Principal, bool) { panic(canary) })
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", "/mcp", &bytes.Buffer{}))
	if w.Code != 500 || !strings.Contains(w.Body.String(), "reference ref_") || strings.Contains(w.Body.String()+d.log.String(), canary) {
		t.Errorf("%d %s\n%s", w.Code, w.Body, d.log)
	}
	h = d.HTTPHandler(func(*http.Request) (identity.Principal, bool) { panic(http.ErrAbortHandler) })
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Error("net/http did not get its own panic")
		}
	}()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", "/mcp", &bytes.Buffer{}))
}

// TestHTTPPanicInStream: a stream that has begun is cut; an answer would be read
// as an event.
func TestHTTPPanicInStream(t *testing.T) {
	d := newDesk(mcp.Options{})
	h := d.HTTPHandler(func(*http.Request) (identity.Principal, bool) { panic(canary) })
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "text/event-stream")
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) || w.Body.Len() > 0 {
			t.Errorf("ended with %v after writing %q", err, w.Body)
		}
	}()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", "/mcp", &bytes.Buffer{}))
}

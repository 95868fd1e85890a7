package mcp_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/mcp"
)

// TestSSEClient drives the door with mcp-go's own client, in every revision
// that has sessions.
func TestSSEClient(t *testing.T) {
	for _, version := range mcpgo.ValidProtocolVersions {
		if mcpgo.IsModernProtocol(version) {
			continue
		}
		t.Run(version, func(t *testing.T) {
			d := newSSE(t, mcp.Options{})
			over, err := transport.NewSSE(d.url+"/sse", transport.WithHeaders(map[string]string{"Authorization": "Bearer one"}), transport.WithHTTPClient(d.http))
			if err != nil {
				t.Fatal(err)
			}
			c := client.NewClient(over, client.WithProtocolVersion(version))
			drive(t, c, version)
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if got := d.clients(); !slices.Equal(got, []string{"probe/7", "probe/7"}) {
				t.Errorf("clients in the record: %q", got)
			}
		})
	}
}

// TestSSEAnswers holds what each POST is answered, and what then comes on the
// stream. The canary stands wherever a client could put it.
func TestSSEAnswers(t *testing.T) {
	d := newSSE(t, mcp.Options{MaxMessageBytes: 4096})
	mine, theirs, gone := d.open(), d.open("Authorization: Bearer two"), d.open()
	gone.close()
	eventually(t, "its session ends", func() bool { return d.do("POST", gone.to, "{}").status == 404 })
	ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	pong := `{"jsonrpc":"2.0","id":1,"result":{}}`
	fail := func(id string, code int, message string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":"%s"}}`, id, code, message)
	}
	noSession := "no such session"
	for name, test := range map[string]struct {
		method, target, body string
		fields               []string
		status               int
		want, event          string // in the answer, and the message on the stream
	}{
		"ping":               {"POST", mine.to, ping, nil, 202, "", pong},
		"ping, text id":      {"POST", mine.to, strings.Replace(ping, "1", `"1"`, 1), nil, 202, "", strings.Replace(pong, "1", `"1"`, 1)},
		"call":               {"POST", mine.to, toolCall(`"é"`, "echo", `{"a":"<&>"}`), nil, 202, "", `{"jsonrpc":"2.0","id":"é","result":{"content":[{"type":"text","text":"{\"got\":{\"a\":\"<&>\"}}"}],"structuredContent":{"got":{"a":"<&>"}}}}`},
		"on many lines":      {"POST", mine.to, strings.ReplaceAll(ping, ",", ",\r\n"), nil, 202, "", pong},
		"refusal":            {"POST", mine.to, toolCall("1", "refuse", `{}`), nil, 202, "", `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"{\"code\":\"no\",\"message\":\"No.\",\"next\":\"Ask.\"}"}],"isError":true}}`},
		"unknown tool":       {"POST", mine.to, toolCall("1", canary, `{}`), nil, 202, "", fail("1", -32602, "unknown tool: tools/list names those there are")},
		"unknown method":     {"POST", mine.to, `{"jsonrpc":"2.0","id":1,"method":"` + canary + `"}`, nil, 202, "", fail("1", -32601, "method not found")},
		"name a number":      {"POST", mine.to, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}`, nil, 202, "", fail("1", -32600, "the message is not a valid request")},
		"modern":             {"POST", mine.to, modernCall("1", "echo", "{}"), nil, 202, "", `{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"unsupported protocol version","data":{"supported":["2025-11-25","2025-06-18","2025-03-26","2024-11-05"],"requested":"2026-07-28"}}}`},
		"modern, odd":        {"POST", mine.to, strings.ReplaceAll(modernCall("1", "echo", "{}"), "2026-07-28", "z"+canary), nil, 202, "", `{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"unsupported protocol version","data":{"supported":["2025-11-25","2025-06-18","2025-03-26","2024-11-05"],"requested":""}}}`},
		"notification":       {"POST", mine.to, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, nil, 202, "", ""},
		"odd notification":   {"POST", mine.to, `{"jsonrpc":"2.0","method":"notifications/` + canary + `"}`, nil, 202, "", ""},
		"call without id":    {"POST", mine.to, `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo"}}`, nil, 202, "", ""},
		"cancels nothing":    {"POST", mine.to, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"` + canary + `"}}`, nil, 202, "", ""},
		"response":           {"POST", mine.to, `{"jsonrpc":"2.0","id":99,"result":{"x":"` + canary + `"}}`, nil, 202, "", ""},
		"not JSON":           {"POST", mine.to, canary, nil, 400, fail("null", -32700, "the message is not valid JSON"), ""},
		"empty":              {"POST", mine.to, "", nil, 400, `"code":-32700`, ""},
		"twice":              {"POST", mine.to, `{"jsonrpc":"2.0","id":1,"method":"ping","method":"` + canary + `"}`, nil, 400, `"code":-32700`, ""},
		"METHOD":             {"POST", mine.to, `{"jsonrpc":"2.0","id":1,"METHOD":"ping"}`, nil, 400, fail("1", -32600, "a member name of the message is not spelled exactly"), ""},
		"deep":               {"POST", mine.to, strings.Repeat("[", 2000), nil, 400, `"code":-32700`, ""},
		"two messages":       {"POST", mine.to, ping + ping, nil, 400, `"code":-32700`, ""},
		"batch":              {"POST", mine.to, `[` + ping + `]`, nil, 400, "batches belong to", ""},
		"too long":           {"POST", mine.to, `{"x":"` + strings.Repeat(canary, 1000) + `"}`, nil, 413, `"code":-32600`, ""},
		"text":               {"POST", mine.to, ping, []string{"Content-Type: text/plain"}, 415, "", ""},
		"form":               {"POST", mine.to, ping, []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "", ""},
		"no type":            {"POST", mine.to, ping, []string{"Content-Type"}, 415, "", ""},
		"gzip":               {"POST", mine.to, ping, []string{"Content-Encoding: gzip"}, 415, "", ""},
		"nobody":             {"POST", mine.to, ping, []string{"Authorization"}, 401, "", ""},
		"nobody's stream":    {"GET", "/sse", "", []string{"Authorization"}, 401, "", ""},
		"another's":          {"POST", theirs.to, ping, nil, 404, noSession, ""},
		"mine, by another":   {"POST", mine.to, ping, []string{"Authorization: Bearer two"}, 404, noSession, ""},
		"ended":              {"POST", gone.to, ping, nil, 404, noSession, ""},
		"invented":           {"POST", "/messages?sessionId=AAAAAAAAAAAAAAAAAAAAAAAAAA", ping, nil, 404, noSession, ""},
		"empty id":           {"POST", "/messages?sessionId=", ping, nil, 404, noSession, ""},
		"no id":              {"POST", "/messages", ping, nil, 404, noSession, ""},
		"two ids":            {"POST", mine.to + "&sessionId=x", ping, nil, 404, noSession, ""},
		"id of another case": {"POST", strings.ToLower(mine.to), ping, nil, 404, noSession, ""},
		"POST of a stream":   {"POST", "/sse", ping, nil, 405, "", ""},
		"HEAD of a stream":   {"HEAD", "/sse", "", nil, 405, "", ""},
		"GET of messages":    {"GET", mine.to, "", nil, 405, "", ""},
		"DELETE":             {"DELETE", mine.to, "", nil, 405, "", ""},
		"elsewhere":          {"GET", "/sse/", "", nil, 404, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := d.do(test.method, test.target, test.body, test.fields...)
			if a.status != test.status || !strings.Contains(a.body, test.want) || test.status == 202 && a.body != "" {
				t.Fatalf("%d %s\nwant %d %s", a.status, a.body, test.status, test.want)
			}
			if strings.Contains(a.body, canary) || strings.Contains(a.body, mine.to[len(mine.to)-26:]) {
				t.Errorf("the answer repeats what was sent: %s", a.body)
			}
			if a.status == 401 && a.header.Get("WWW-Authenticate") == "" || a.status == 405 && a.header.Get("Allow") == "" {
				t.Errorf("headers %v", a.header)
			}
			if a.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("headers %v", a.header)
			}
			if test.event != "" {
				if got := mine.read(); got != test.event {
					t.Errorf("got  %s\nwant %s", got, test.event)
				}
			}
		})
	}
	// Whatever had no event has left nothing on either stream.
	for _, e := range []*events{mine, theirs} {
		e.post(strings.Replace(ping, "1", `"last"`, 1))
		if got := e.read(); !strings.Contains(got, `"last"`) {
			t.Errorf("left over: %s", got)
		}
	}
	if log := d.log.String(); strings.Contains(log, canary) || strings.Contains(log, mine.to[len(mine.to)-26:]) {
		t.Errorf("the log shows what it should not:\n%s", log)
	}
}

// TestSSEPrincipal: tools see who each message is from.
func TestSSEPrincipal(t *testing.T) {
	d := newSSE(t, mcp.Options{})
	mine, theirs := d.open(), d.open("Authorization: Bearer two")
	mine.post(initialize("2024-11-05", "probe"))
	if got := mine.read(); !strings.Contains(got, `"protocolVersion":"2024-11-05"`) {
		t.Error(got)
	}
	mine.post(toolCall("1", "echo", "{}"))
	mine.read()
	theirs.post(toolCall("1", "echo", "{}"))
	theirs.read()
	want := []identity.Principal{
		{Kind: identity.Agent, Name: "one", Door: policy.DoorMCP, Addr: "192.0.2.1", Client: "probe/1"},
		{Kind: identity.Agent, Name: "two", Door: policy.DoorMCP, Addr: "192.0.2.1"},
	}
	if !slices.Equal(d.seen, want) {
		t.Errorf("got  %+v\nwant %+v", d.seen, want)
	}
}

// TestSSEBatch: revision 2025-03-26 has batches.
func TestSSEBatch(t *testing.T) {
	d := newSSE(t, mcp.Options{})
	e := d.open()
	e.post(initialize("2025-03-26", "probe"))
	e.read()
	e.post(`[` + toolCall("1", "echo", `{"a":1}`) + `,{"jsonrpc":"2.0","method":"notifications/initialized"},` + toolCall(`"b"`, canary, `{}`) + `]`)
	want := `[{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"{\"got\":{\"a\":1}}"}],"structuredContent":{"got":{"a":1}}}},` +
		`{"jsonrpc":"2.0","id":"b","error":{"code":-32602,"message":"unknown tool: tools/list names those there are"}}]`
	if got := e.read(); got != want {
		t.Error(got)
	}
	e.post(`[{"jsonrpc":"2.0","method":"notifications/initialized"}]`, `[]`)
	if got := e.read(); !strings.Contains(got, "the batch is empty") {
		t.Error(got)
	}
}

// TestSSEFaults: what a tool blurts out stays inside, and the log has the
// reference.
func TestSSEFaults(t *testing.T) {
	d := newSSE(t, mcp.Options{})
	e := d.open()
	for _, tool := range []string{"panic", "fail"} {
		e.post(toolCall("1", tool, `{}`))
		got := e.read()
		_, after, _ := strings.Cut(got, "ref_")
		if len(after) < 10 || !strings.Contains(got, `"isError":true`) || !strings.Contains(d.log.String(), "ref_"+after[:10]) {
			t.Errorf("%s: %s\n%s", tool, got, d.log)
		}
		if strings.Contains(got+d.log.String(), canary) {
			t.Errorf("%s shows the canary: %s\n%s", tool, got, d.log)
		}
	}
}

// TestSSEPanic: a panic outside of the tools is answered without its text.
func TestSSEPanic(t *testing.T) {
	d := newDesk(mcp.Options{})
	h := d.SSEHandler(func(*http.Request) (identity.Principal, bool) { panic(canary) }, nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/sse", nil))
	if w.Code != 500 || !strings.Contains(w.Body.String(), "reference ref_") || strings.Contains(w.Body.String()+d.log.String(), canary) {
		t.Errorf("%d %s\n%s", w.Code, w.Body, d.log)
	}
}

// TestSSECancelled: the call stops, gets no answer, and only that call; the
// same id of another stream is another call.
func TestSSECancelled(t *testing.T) {
	d := newSSE(t, mcp.Options{})
	mine, other := d.open(), d.open()
	mine.post(toolCall(`1`, "hold", `{}`), toolCall(`"1"`, "hold", `{}`))
	other.post(toolCall(`1`, "hold", `{}`))
	eventually(t, "all run", func() bool { running, _, _ := d.count(); return running == 3 })
	if a := d.do("POST", mine.to, toolCall(`1`, "echo", `{}`)); a.status != 400 || !strings.Contains(a.body, "not yet answered") {
		t.Errorf("the same id again: %+v", a)
	}
	mine.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"` + canary + `"}}`)
	eventually(t, "one is stopped", func() bool { _, _, stopped := d.count(); return stopped == 1 })
	close(d.held)
	if got := mine.read(); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":"1","result"`) {
		t.Errorf("the other call: %s", got)
	}
	if got := other.read(); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":1,"result"`) {
		t.Errorf("the other stream: %s", got)
	}
	mine.post(toolCall(`1`, "echo", `{}`)) // the id is free again
	if got := mine.read(); !strings.Contains(got, `"id":1,"result"`) {
		t.Error(got)
	}
}

// TestSSEDisconnect: a client that goes away takes its calls with it, and
// nobody else's.
func TestSSEDisconnect(t *testing.T) {
	d := newSSE(t, mcp.Options{})
	mine, other := d.open(), d.open()
	mine.post(toolCall(`1`, "hold", `{}`), toolCall(`2`, "hold", `{}`))
	other.post(toolCall(`1`, "hold", `{}`))
	eventually(t, "all run", func() bool { running, _, _ := d.count(); return running == 3 })
	mine.close()
	eventually(t, "both are stopped", func() bool { _, _, stopped := d.count(); return stopped == 2 })
	eventually(t, "the session is gone", func() bool { return d.do("POST", mine.to, "{}").status == 404 })
	close(d.held)
	if got := other.read(); !strings.Contains(got, `"held":true`) {
		t.Error(got)
	}
}

// TestSSEStops: once the server stops, calls in flight are answered, no new one
// is taken, and then the stream ends.
func TestSSEStops(t *testing.T) {
	d := newSSE(t, mcp.Options{})
	busy, idle := d.open(), d.open()
	busy.post(toolCall("1", "hold", "{}"))
	eventually(t, "it runs", func() bool { running, _, _ := d.count(); return running == 1 })
	close(d.stop)
	if kind, data := idle.event(); kind != "" {
		t.Errorf("%s %s", kind, data)
	}
	eventually(t, "no more is taken", func() bool {
		a := d.do("POST", busy.to, toolCall("2", "echo", "{}"))
		if a.status == 202 {
			busy.read()
		}
		return a.status == 503
	})
	close(d.held)
	if got := busy.read(); !strings.Contains(got, `"held":true`) {
		t.Error(got)
	}
	if kind, data := busy.event(); kind != "" {
		t.Errorf("after the last answer: %s %s", kind, data)
	}
}

// TestSSEHeartbeat: a stream says something though there is nothing to say.
func TestSSEHeartbeat(t *testing.T) {
	d := newSSE(t, mcp.Options{Heartbeat: time.Millisecond})
	e := d.open()
	for range 3 {
		if line, err := e.from.ReadString('\n'); line != ":\n" || err != nil {
			t.Fatalf("%q, %v", line, err)
		}
		if line, err := e.from.ReadString('\n'); line != "\n" || err != nil {
			t.Fatalf("%q, %v", line, err)
		}
	}
	e.post(toolCall("1", "echo", `"x"`))
	if got := e.read(); !strings.Contains(got, `"got":"x"`) {
		t.Error(got)
	}
}

// TestSSEBound: no more than MaxCalls of a stream run; what is more than it may
// have waiting is refused; other streams are not held up.
func TestSSEBound(t *testing.T) {
	d := newSSE(t, mcp.Options{MaxCalls: 4})
	mine, other := d.open(), d.open()
	status := 0
	for i := 0; status != 429 && i < 1000; i++ {
		a := d.do("POST", mine.to, toolCall(fmt.Sprint(i), "hold", `{}`))
		if status = a.status; status != 202 && (status != 429 || a.header.Get("Retry-After") == "" || i != 256) {
			t.Fatalf("message %d: %+v", i, a)
		}
	}
	if running, most, _ := d.count(); running != 4 || most != 4 {
		t.Errorf("%d run", running)
	}
	other.post(toolCall("1", "echo", "{}"))
	other.read()
	for i := range 256 { // those that wait can be cancelled too
		mine.post(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, i))
	}
	eventually(t, "there is room again", func() bool { return d.do("POST", mine.to, toolCall("0", "echo", `"again"`)).status == 202 })
	if got := mine.read(); !strings.Contains(got, `"again"`) {
		t.Error(got)
	}
	if _, most, _ := d.count(); most != 4 {
		t.Errorf("%d ran at once", most)
	}
}

// TestSSEBoundOfAgent: whoever opens more streams gets no more calls for it, and
// leaves no more waiting; other agents are not held up.
func TestSSEBoundOfAgent(t *testing.T) {
	d := newSSE(t, mcp.Options{MaxCalls: 4})
	taken := 0
	for range 8 {
		e := d.open()
		for i := range 200 {
			a := d.do("POST", e.to, toolCall(fmt.Sprint(i), "hold", `{}`))
			if taken < 1024 && a.status != 202 || taken == 1024 && (a.status != 429 || a.header.Get("Retry-After") == "") {
				t.Fatalf("after %d messages: %+v", taken, a)
			}
			if a.status == 429 {
				break
			}
			taken++
		}
	}
	eventually(t, "four streams' calls run", func() bool { running, _, _ := d.count(); return running == 16 })
	other := d.open("Authorization: Bearer two")
	other.post(toolCall("1", "echo", "{}"))
	other.read()
	if _, most, _ := d.count(); most != 16 { // those of the other are not counted
		t.Errorf("%d ran at once", most)
	}
}

// TestSSEMatrix: agents with several streams each, equal ids: every answer
// comes on its own stream.
func TestSSEMatrix(t *testing.T) {
	d := newSSE(t, mcp.Options{})
	var all sync.WaitGroup
	for i := range 8 {
		e := d.open(fmt.Sprintf("Authorization: Bearer agent-%d", i/2))
		all.Go(func() {
			for n := range 50 {
				mark := fmt.Sprintf(`"%d-%d"`, i, n)
				e.post(toolCall("1", "echo", mark))
				if got := e.read(); !strings.Contains(got, `"structuredContent":{"got":`+mark+`}`) {
					t.Errorf("%s got %s", mark, got)
				}
			}
		})
	}
	all.Wait()
}

// TestSSEBytes: what has come in from one agent and waits is bounded over all of
// its streams; another agent's is its own.
func TestSSEBytes(t *testing.T) {
	d := newSSE(t, mcp.Options{})
	mine, other := [2]*events{d.open(), d.open()}, d.open("Authorization: Bearer two")
	big, taken := `"`+strings.Repeat("x", 1<<20)+`"`, 0
	for i := range 64 {
		a := d.do("POST", mine[i%2].to, toolCall(fmt.Sprint(i), "hold", big))
		if a.status == 429 {
			break
		}
		taken++
	}
	if taken != 15 { // of a MiB and some bytes each
		t.Errorf("%d MiB were taken", taken)
	}
	other.post(toolCall("1", "echo", "{}"))
	other.read()
	close(d.held)
	for i := range taken {
		mine[i%2].read()
	}
	mine[0].post(toolCall("1", "echo", "{}"))
	mine[0].read()
}

// deaf is an answer that cannot be written.
type deaf struct{ http.ResponseWriter }

func (deaf) Write([]byte) (int, error) { return 0, errors.New(canary) }

// TestSSEBroken: a stream that cannot be written ends, whether or not the server
// in front notices.
func TestSSEBroken(t *testing.T) {
	d := newDesk(mcp.Options{})
	d.SSEHandler(byKey, nil).ServeHTTP(deaf{httptest.NewRecorder()}, func() *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/sse", nil)
		r.Header.Set("Authorization", "Bearer one")
		return r
	}())
	if log := d.log.String(); !strings.Contains(log, "answer not sent") || strings.Contains(log, canary) {
		t.Errorf("log:\n%s", log)
	}
}

// TestSSECallPanics: a panic beside a tool is answered without its text, and does
// not take the process with it.
func TestSSECallPanics(t *testing.T) {
	d := newDesk(mcp.Options{})
	var out safeBuffer
	d.PanicInCall(t.Context(), &out, canary)
	_, after, _ := strings.Cut(out.String(), `{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"internal error, reference ref_`)
	if len(after) < 10 || !strings.Contains(d.log.String(), "ref_"+after[:10]) || strings.Contains(out.String()+d.log.String(), canary) {
		t.Errorf("%s\n%s", out.String(), d.log)
	}
}

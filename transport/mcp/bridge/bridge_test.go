//go:build linux || darwin

package bridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/transport/httpd"
	"github.com/coatcheck-dev/coatcheck/transport/mcp"
	"github.com/coatcheck-dev/coatcheck/transport/mcp/bridge"
)

// realDesk serves tools that repeat what they are given and that wait for hold,
// to the agent with the key, as coatcheck serve does.
func realDesk(t *testing.T, path string, hold <-chan struct{}) (stop func()) {
	t.Helper()
	tool := func(name string, fn func(ctx context.Context, args json.RawMessage)) tools.Tool {
		return tools.Tool{
			Name: name, Title: name, Description: name, Input: json.RawMessage(`{"type":"object"}`), Output: json.RawMessage(`{"type":"object"}`),
			Call: func(ctx context.Context, _ identity.Principal, args json.RawMessage) tools.Result {
				fn(ctx, args)
				return tools.Result{Structured: args, Text: string(args)}
			},
		}
	}
	offered := mcp.NewServer([]tools.Tool{
		tool("echo", func(context.Context, json.RawMessage) {}),
		tool("hold", func(ctx context.Context, _ json.RawMessage) {
			select {
			case <-hold:
			case <-ctx.Done():
			}
		}),
	}, nil)
	srv, err := httpd.New(httpd.Config{
		Listen: httpd.NoListen, Socket: path,
		Authenticate: func(_ context.Context, k string) (identity.Principal, error) {
			if k != key {
				return identity.Principal{}, identity.ErrUnauthenticated
			}
			return identity.Principal{Kind: identity.Agent, Name: "one"}, nil
		},
		Ready: func(context.Context) error { return nil },
		MCP:   offered.HTTPHandler(func(r *http.Request) (identity.Principal, bool) { return httpd.PrincipalFrom(r.Context()) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

// TestEras: a whole visit in both eras, with 40 calls at once.
func TestEras(t *testing.T) {
	for _, era := range []string{"legacy", "modern"} {
		t.Run(era, func(t *testing.T) {
			path, hold := socketPath(t), make(chan struct{})
			realDesk(t, path, hold)
			c := start(t, "unix://"+path, nil)
			meta := ""
			if era == "modern" {
				meta = `,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`
				c.send(`{"jsonrpc":"2.0","id":"d","method":"server/discover","params":{%s}}`, meta[1:])
				if l := c.next(); l.Error != nil {
					t.Fatal(l.text)
				}
			} else {
				c.open()
			}
			want := map[string]bool{}
			for i := range 40 {
				name := "echo"
				if i%2 == 0 {
					name = "hold"
				}
				c.send(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":{"n":%d}%s}}`, i, name, i, meta)
				want[fmt.Sprint(i)] = true
			}
			for i := range 40 {
				if i == 20 { // those that wait for nothing have come by
					close(hold)
				}
				l := c.next()
				if !want[string(l.ID)] || !strings.Contains(string(l.Result), `"structuredContent":{"n":`+string(l.ID)+`}`) {
					t.Errorf("answer %s", l.text)
				}
				delete(want, string(l.ID))
			}
			c.send(`{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"none","arguments":{}%s}}`, meta)
			if l := c.next(); l.Error == nil || l.Error.Message != "unknown tool: tools/list names those there are" || string(l.ID) != `"x"` {
				t.Errorf("an error of the desk: %s", l.text)
			}
			if err := c.ended(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestHeaders: each era has its own beside the body.
func TestHeaders(t *testing.T) {
	f := &fake{call: func(w http.ResponseWriter, r request) { answer(w, r, `{}`) }}
	path := socketPath(t)
	serve(t, path, f)
	c := start(t, "unix://"+path, nil)
	c.open()
	c.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}`)
	c.next()
	for i, params := range []string{`"name":"plain"`, `"name":"schlüssel"`, `"name":" a"`, `"name":"=?base64?YQ==?="`, `"uri":"no name"`} {
		c.send(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{%s,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`, i, params)
		c.next()
	}
	if err := c.ended(); err != nil {
		t.Fatal(err)
	}
	var got []string
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.seen {
		if r.Method == http.MethodGet {
			continue // comes in when it does
		}
		h := r.Header
		got = append(got, fmt.Sprintf("%s %s %s %s %s %s %s", r.Method, r.Host, h.Get("Authorization"), h.Get("Mcp-Session-Id"), h.Get("Mcp-Protocol-Version"), h.Get("Mcp-Method"), h.Get("Mcp-Name")))
		if r.URL.Path != "/mcp" || r.Method == http.MethodPost && (h.Get("Content-Type") != "application/json" || h.Get("Accept") != "application/json, text/event-stream") {
			t.Errorf("%s %v", r.URL, h)
		}
	}
	legacy, modern := " localhost Bearer "+key+" s1 2025-11-25  ", "POST localhost Bearer "+key+"  2026-07-28 tools/call "
	if want := []string{
		"POST localhost Bearer " + key + "    ", "POST" + legacy, "POST" + legacy,
		modern + "plain", modern + "=?base64?c2NobMO8c3NlbA==?=", modern + "=?base64?IGE=?=", modern + "=?base64?PT9iYXNlNjQ/WVE9PT89?=", modern,
		"DELETE" + legacy,
	}; !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestStream: an answer that comes as a stream brings progress and a question of
// the desk before it, and takes the client's answer back.
func TestStream(t *testing.T) {
	asked := make(chan string, 1)
	f := &fake{}
	f.call = func(w http.ResponseWriter, r request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		say := func(text string) {
			_, _ = fmt.Fprint(w, text)
			w.(http.Flusher).Flush()
		}
		say(": hello\r\nid: 0\r\ndata:\r\n\r\nevent: ping\ndata: {}\n\n")
		say("event: message\r\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\r\ndata: \"params\":{\"progress\":1}}\r\n\r\n")
		say("data: {\"jsonrpc\":\"2.0\",\"id\":77,\"method\":\"elicitation/create\",\"params\":{}}\n\n")
		select {
		case got := <-asked:
			say(fmt.Sprintf("data: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"heard\":%q}}\n\n", r.msg.ID, got))
			<-r.Context().Done() // a stream need not end by itself
		case <-r.Context().Done():
		}
	}
	path := socketPath(t)
	serve(t, path, http.HandlerFunc(func(w http.ResponseWriter, raw *http.Request) {
		f.ServeHTTP(w, raw)
		f.mu.Lock()
		defer f.mu.Unlock()
		if last := f.seen[len(f.seen)-1]; last.msg.Result != nil {
			select {
			case asked <- string(last.msg.ID) + string(last.msg.Result):
			default:
			}
		}
	}))
	c := start(t, "unix://"+path, nil)
	c.open()
	c.send(`{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"a"}}`)
	if l := c.next(); l.Method != "notifications/progress" || strings.Count(l.text, "\n") != 1 {
		t.Errorf("first came %s", l.text)
	}
	if l := c.next(); l.Method != "elicitation/create" || string(l.ID) != "77" {
		t.Errorf("then came %s", l.text)
	}
	c.send(`{"jsonrpc":"2.0","id":77,"result":{"action":"accept"}}`)
	if l := c.next(); string(l.ID) != "5" || string(l.Result) != `{"heard":"77{\"action\":\"accept\"}"}` {
		t.Errorf("at last %s", l.text)
	}
	if err := c.ended(); err != nil {
		t.Error(err)
	}
}

// TestCancelled: the desk is told, the POST ends, and no answer comes.
func TestCancelled(t *testing.T) {
	for _, era := range []string{"legacy", "modern"} {
		t.Run(era, func(t *testing.T) {
			started, stopped := make(chan struct{}), make(chan struct{})
			f := &fake{call: func(w http.ResponseWriter, r request) {
				if r.msg.Params.Name != "hold" {
					answer(w, r, `{}`)
					return
				}
				close(started)
				<-r.Context().Done()
				close(stopped)
			}}
			path := socketPath(t)
			serve(t, path, f)
			c := start(t, "unix://"+path, nil)
			meta := ""
			if era == "legacy" {
				c.open()
			} else {
				meta = `,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}`
			}
			c.send(`{"jsonrpc":"2.0","id":"1","method":"tools/call","params":{"name":"hold"%s}}`, meta)
			<-started
			c.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`) // another one
			c.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"1"}}`)
			<-stopped
			c.send(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"quick"%s}}`, meta)
			if l := c.next(); string(l.ID) != "2" {
				t.Errorf("got %s", l.text)
			}
			if err := c.ended(); err != nil || c.rest() != "" {
				t.Error(err)
			}
			told := 0
			for _, what := range f.list() {
				if strings.Contains(what, "notifications/cancelled") {
					told++
				}
			}
			if told != 1 {
				t.Errorf("the desk was told %d times: %q", told, f.list())
			}
		})
	}
}

// TestEnd: at the end of the input every call has its answer, and the session is
// deleted; so it is on a signal, and a call that takes too long is told so.
func TestEnd(t *testing.T) {
	for name, test := range map[string]struct {
		signal, hang bool
	}{"input": {}, "signal": {signal: true}, "signal, hanging": {true, true}} {
		t.Run(name, func(t *testing.T) {
			started, release := make(chan struct{}, 8), make(chan struct{})
			f := &fake{call: func(w http.ResponseWriter, r request) {
				started <- struct{}{}
				select {
				case <-release:
					answer(w, r, `{}`)
				case <-r.Context().Done():
				}
			}}
			path := socketPath(t)
			serve(t, path, f)
			c := start(t, "unix://"+path, func(o *bridge.Options) {
				if test.hang {
					o.Drain = time.Millisecond
				}
			})
			c.open()
			for i := range 8 {
				c.send(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"a"}}`, i)
			}
			for range 8 {
				<-started
			}
			if test.signal {
				c.stop()
			} else {
				_ = c.in.Close()
			}
			if !test.hang {
				close(release)
			}
			for range 8 {
				if l := c.next(); (l.code() == "CANCELLED") != test.hang {
					t.Errorf("got %s", l.text)
				}
			}
			if err := c.ended(); err != nil {
				t.Error(err)
			}
			if all := f.list(); all[len(all)-1] != "DELETE  s1" {
				t.Errorf("the last that came: %q", all)
			}
		})
	}
}

// TestPush: what the desk says unasked comes through, and a stream that ends is
// taken up where it was.
func TestPush(t *testing.T) {
	lastIDs := make(chan string, 8)
	f := &fake{}
	n := 0
	f.get = func(w http.ResponseWriter, r request) {
		f.mu.Lock()
		n++
		turn := n
		f.mu.Unlock()
		lastIDs <- r.Header.Get("Last-Event-ID") + " " + r.Header.Get("Mcp-Session-Id")
		if turn > 2 {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, "retry: 1\nid: e%d\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"n\":%d}}\n\n", turn, turn)
		_, _ = fmt.Fprint(w, "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n") // nobody asked
	}
	path := socketPath(t)
	serve(t, path, f)
	c := start(t, "unix://"+path, nil)
	c.open()
	for i := 1; i <= 2; i++ {
		if l := c.next(); string(l.Params) != fmt.Sprintf(`{"n":%d}`, i) {
			t.Errorf("got %s", l.text)
		}
	}
	if got := []string{<-lastIDs, <-lastIDs, <-lastIDs}; !slices.Equal(got, []string{" s1", "e1 s1", "e2 s1"}) {
		t.Errorf("asked for %q", got)
	}
	if err := c.ended(); err != nil || c.rest() != "" {
		t.Error(err)
	}
}

// TestInput: what is not a message gets an answer and goes no further.
func TestInput(t *testing.T) {
	hold := make(chan struct{})
	f := &fake{call: func(w http.ResponseWriter, r request) {
		<-hold
		answer(w, r, `{}`)
	}}
	path := socketPath(t)
	serve(t, path, f)
	c := start(t, "unix://"+path, func(o *bridge.Options) { o.MaxMessageBytes = 1000 })
	for text, want := range map[string]string{
		"nonsense":                              "the message is not valid JSON",
		`{"jsonrpc":"2.0","id":1,"METHOD":"a"}`: "a member name of the message is not spelled exactly",
		`{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":"` + strings.Repeat("x", 1000) + `"}}`: "the message is longer than 1000 bytes",
		`[]`: "the batch is empty",
	} {
		c.send("%s", text)
		if l := c.next(); l.Error == nil || l.Error.Message != want {
			t.Errorf("%.40s: %s", text, l.text)
		}
	}
	c.send(``)
	c.send(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	c.send(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	if l := c.next(); l.Error == nil || l.Error.Message != "a request with this id is not yet answered" {
		t.Errorf("a second one: %s", l.text)
	}
	close(hold)
	if l := c.next(); l.Error != nil || string(l.ID) != "1" {
		t.Errorf("the first: %s", l.text)
	}
	if err := c.ended(); err != nil || len(f.list()) != 1 {
		t.Errorf("%v; the desk saw %q", err, f.list())
	}
}

// TestBatch: a batch is one message, and each call in it has its answer.
func TestBatch(t *testing.T) {
	f := &fake{}
	path := socketPath(t)
	serve(t, path, http.HandlerFunc(func(w http.ResponseWriter, raw *http.Request) {
		if raw.Header.Get("X-Cut") == "" && raw.Method == http.MethodPost && raw.ContentLength > 100 {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprint(w, `[{"jsonrpc":"2.0","id":1,"result":{}},`+"\n"+`{"jsonrpc":"2.0","id":"2","error":{"code":-1,"message":"no"}}]`)
			return
		}
		f.ServeHTTP(w, raw)
	}))
	c := start(t, "unix://"+path, nil)
	c.send(`[{"jsonrpc":"2.0","id":1,"method":"tools/list"},{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":"2","method":"tools/list"},{"jsonrpc":"2.0","id":3,"method":"tools/list"}]`)
	got := map[string]line{}
	for range 3 {
		l := c.next()
		got[string(l.ID)] = l
	}
	if string(got["1"].Result) != "{}" || got[`"2"`].Error == nil || got["3"].code() != "BAD_ANSWER" {
		t.Errorf("got %v", got)
	}
	if err := c.ended(); err != nil && !errors.Is(err, bridge.ErrNoAnswer) {
		t.Error(err)
	}
}

// TestSameIDAgain: an id is free as soon as its answer is out.
func TestSameIDAgain(t *testing.T) {
	path := socketPath(t)
	serve(t, path, &fake{call: func(w http.ResponseWriter, r request) { answer(w, r, `{}`) }})
	c := start(t, "unix://"+path, nil)
	for range 200 {
		c.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}`)
		if l := c.next(); l.Error != nil {
			t.Fatal(l.text)
		}
	}
}

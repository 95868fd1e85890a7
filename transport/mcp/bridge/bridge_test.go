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
		Authenticate: func(_ context.Context, k, _ string) (identity.Principal, error) {
			if k != key {
				return identity.Principal{}, identity.ErrUnauthenticated
			}
			return identity.Principal{Kind: identity.Agent, Name: "one"}, nil
		},
		Alive: func(context.Context, identity.Principal) error { return nil },
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

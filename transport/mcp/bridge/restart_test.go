//go:build linux || darwin

package bridge_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestRestart: calls that come after the desk was started anew go through, once
// each, in one new session; one that was under way is said to be unknown.
func TestRestart(t *testing.T) {
	path := socketPath(t)
	under := make(chan struct{})
	before := &fake{call: func(_ http.ResponseWriter, r request) {
		close(under)
		<-r.Context().Done()
	}}
	old := serve(t, path, before)
	c := start(t, "unix://"+path, nil)
	c.open()
	c.send(`{"jsonrpc":"2.0","id":"under way","method":"tools/call","params":{"name":"a"}}`)
	<-under
	old.stop()
	if l := c.next(); l.code() != "OUTCOME_UNKNOWN" || string(l.ID) != `"under way"` {
		t.Errorf("got %s", l.text)
	}

	// The calls come while there is no desk, and wait for it.
	var mu sync.Mutex
	done := map[string]int{}
	after := &fake{sessions: 10}
	after.call = func(w http.ResponseWriter, r request) {
		if r.Header.Get("Mcp-Session-Id") != "s11" {
			w.WriteHeader(http.StatusNotFound)
			_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32600,"message":"no such session"}}`, r.msg.ID)
			return
		}
		mu.Lock()
		done[string(r.msg.ID)]++
		mu.Unlock()
		answer(w, r, `{}`)
	}
	for i := range 16 {
		c.send(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"a"}}`, i)
	}
	serve(t, path, after)
	for range 16 {
		if l := c.next(); l.Error != nil {
			t.Errorf("got %s", l.text)
		}
	}
	mu.Lock()
	for i := range 16 {
		if done[fmt.Sprint(i)] != 1 {
			t.Errorf("call %d was carried out %d times", i, done[fmt.Sprint(i)])
		}
	}
	mu.Unlock()
	if err := c.ended(); err != nil {
		t.Error(err)
	}
	if after.sessions != 11 {
		t.Errorf("%d sessions", after.sessions-10)
	}
	if all := strings.Join(after.list(), "\n"); strings.Count(all, "POST notifications/initialized s11") != 1 || !strings.HasSuffix(all, "DELETE  s11") {
		t.Errorf("the desk saw\n%s", all)
	}
	if c.rest() != "" {
		t.Error("the client saw the second initialize")
	}
}

// TestForgetful: a desk that forgets every session at once is not asked for ever,
// and one that agrees on another revision is not gone on with.
func TestForgetful(t *testing.T) {
	for name, test := range map[string]struct{ version, says string }{
		"forgets": {"2025-11-25", "The desk has forgotten this session."},
		"changes": {"2025-06-18", "does not agree on the session as before."},
	} {
		t.Run(name, func(t *testing.T) {
			var opened atomic.Int32
			f := &fake{call: status(404, "")}
			path := socketPath(t)
			serve(t, path, http.HandlerFunc(func(w http.ResponseWriter, raw *http.Request) {
				if raw.Header.Get("Mcp-Session-Id") == "" && raw.Method == http.MethodPost && opened.Add(1) > 1 {
					w.Header().Set("Content-Type", "application/json")
					w.Header().Set("Mcp-Session-Id", "next")
					_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":"hello","result":{"protocolVersion":%q}}`, test.version)
					return
				}
				f.ServeHTTP(w, raw)
			}))
			c := start(t, "unix://"+path, nil)
			c.open()
			c.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}`)
			if l := c.next(); l.code() != "SESSION_LOST" || !strings.Contains(l.Error.Message, test.says) {
				t.Errorf("got %s", l.text)
			}
			if n := opened.Load(); n > 4 {
				t.Errorf("opened %d sessions", n)
			}
			if err := c.ended(); err != nil {
				t.Error(err)
			}
		})
	}
}

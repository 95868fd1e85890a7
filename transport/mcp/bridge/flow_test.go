//go:build linux || darwin

package bridge_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/bridge"
)

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

package mcp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/mcp"
)

// The long forms run in make soak.
var (
	faultMessages = flag.Int("faults.messages", 1000, "malformed messages for the HTTP door")
	faultCalls    = flag.Int("faults.calls", 2000, "calls of clients that use equal ids")
)

// direct is a client of a handler, without a network.
type direct struct {
	t *testing.T
	h http.Handler
}

func (d direct) do(method, body string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(d.t.Context(), method, "/mcp", strings.NewReader(body))
	for _, f := range append([]string{"Content-Type: application/json", "Accept: application/json, text/event-stream", "Authorization: Bearer one"}, fields...) {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	d.h.ServeHTTP(w, r)
	return w
}

// TestHTTPMalformed: messages that are broken in every way that chance finds get
// one well-formed answer each, which does not repeat them; nothing panics, and
// the session answers afterwards as before.
func TestHTTPMalformed(t *testing.T) {
	desk := newDesk(mcp.Options{})
	d := direct{t, desk.HTTPHandler(byKey)}
	session := "Mcp-Session-Id: " + d.do("POST", initialize("2025-11-25", "x")).Header().Get("Mcp-Session-Id")
	good := []string{
		toolCall("1", "echo", `{"a":["`+canary+`",1e9,null,true]}`), `{"jsonrpc":"2.0","id":"x","method":"tools/list","params":{"cursor":"` + canary + `"}}`,
		`{"jsonrpc":"2.0","id":1,"result":{"action":"accept","content":{"x":"` + canary + `"}}}`, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`,
		initialize("2025-11-25", "y"), modernCall("1", "echo", `{"a":"`+canary+`"}`), `[` + toolCall("1", "echo", `{}`) + `]`,
	}
	junk := []string{`{`, `}`, `[`, `]`, `"`, `,`, `:`, `\`, `null`, `-`, `1e999`, "\x00", "\xff", `\u0000`, `\ud800`, `"id":`, `"jsonrpc":"1.0",`, `"params":7,`, " ", strings.Repeat("[", 100), strings.Repeat("9", 400)}
	chance := rand.New(rand.NewPCG(1, 2))
	for n := range *faultMessages {
		text := good[chance.IntN(len(good))]
		for range 1 + chance.IntN(4) {
			at, to := chance.IntN(len(text)+1), chance.IntN(len(text)+1)
			switch chance.IntN(4) {
			case 0:
				text = text[:at] + junk[chance.IntN(len(junk))] + text[at:]
			case 1:
				text = text[:min(at, to)] + text[max(at, to):]
			case 2:
				text = text[:at]
			default:
				text = text[:at] + text[min(at, to):]
			}
		}
		fields := []string{session}
		if chance.IntN(3) == 0 {
			fields = []string{"Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: echo"}
		}
		got := d.do("POST", text, fields...)
		switch body := got.Body.Bytes(); {
		case got.Code == 202 && len(body) == 0:
		case got.Code != 200 && got.Code != 400 && got.Code != 404, !json.Valid(body):
			t.Fatalf("message %d, %q: %d %s", n, text, got.Code, body)
		case got.Code != 200 && bytes.Contains(body, []byte(canary)):
			t.Fatalf("message %d: the refusal repeats it: %s", n, body)
		}
	}
	if log := desk.log.String(); strings.Contains(log, "panic") || strings.Contains(log, canary) {
		t.Errorf("the log: %.2000s", log)
	}
	if got := d.do("POST", toolCall("1", "echo", "{}"), session); got.Code != 200 || !strings.Contains(got.Body.String(), `"got":{}`) {
		t.Errorf("afterwards: %d %s", got.Code, got.Body)
	}
}

// TestHTTPAbandoned: 10,000 sessions that nobody uses any more end, and their
// memory comes back. What one takes is bounded.
func TestHTTPAbandoned(t *testing.T) {
	const owners, each = 200, 50
	var mu sync.Mutex
	now := time.Date(2026, 7, 28, 12, 0, 0, 0, time.UTC)
	desk := newDesk(mcp.Options{Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}})
	d := direct{t, desk.HTTPHandler(byKey)}
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	d.do("POST", initialize("2025-11-25", "warm"))
	before := heap()
	for owner := range owners {
		for range each {
			if got := d.do("POST", initialize("2025-11-25", "gone"), fmt.Sprintf("Authorization: Bearer %d", owner)); got.Code != 200 {
				t.Fatalf("%d %s", got.Code, got.Body)
			}
		}
	}
	if got := mcp.Sessions(d.h); got != owners*each+1 {
		t.Fatalf("%d sessions", got)
	}
	if took := (heap() - before) / (owners * each); took > 2048 {
		t.Errorf("a session takes %d bytes", took)
	} else {
		t.Logf("a session takes %d bytes", took)
	}
	mu.Lock()
	now = now.Add(time.Hour)
	mu.Unlock()
	d.do("POST", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, "Mcp-Session-Id: none") // any request sweeps
	if got := mcp.Sessions(d.h); got != 0 {
		t.Errorf("%d sessions are left", got)
	}
	if left := heap() - before; left > 512<<10 {
		t.Errorf("%d bytes are left", left)
	}
	runtime.KeepAlive(d.h)
}

// TestHTTPEqualIDs: two clients that use the same ids at the same time, of one
// principal and of two, in both eras, with streams and without, get their own
// answers.
func TestHTTPEqualIDs(t *testing.T) {
	w := newWebWith(t, mcp.Options{}, doing("talk", func(ctx context.Context) string {
		return fmt.Sprint(mcp.Notify(ctx, "notifications/progress", "p"))
	}))
	var all sync.WaitGroup
	for client, key := range []string{"one", "one", "two", "two"} {
		auth := "Authorization: Bearer " + key
		session := w.open("2025-11-25", auth)
		all.Go(func() {
			for id := range *faultCalls / 4 {
				mark := strconv.Quote(fmt.Sprintf("%d-%d", client, id))
				body, fields := toolCall(strconv.Itoa(id), "echo", mark), []string{auth, session}
				switch {
				case id%8 == 7:
					body = toolCall(strconv.Itoa(id), "talk", mark)
					mark = `"said":`
				case client%2 == 1:
					body, fields = modernCall(strconv.Itoa(id), "echo", mark), []string{auth, "Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: echo"}
				}
				got := w.do("POST", body, fields...)
				if !strings.Contains(got.body, fmt.Sprintf(`"id":%d,`, id)) || !strings.Contains(got.body, mark) {
					t.Errorf("%s got %+v", mark, got)
					return
				}
			}
		})
	}
	all.Wait()
}

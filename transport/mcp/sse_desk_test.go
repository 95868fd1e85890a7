package mcp_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/httpd"
)

// The long forms are for make soak.
var (
	sseIdle      = flag.Int("sse.idle", 200, "idle clients whose memory is measured")
	sseAbandoned = flag.Int("sse.abandoned", 400, "sessions that are opened and abandoned")
	sseAnswers   = flag.Int("sse.answers", 2000, "answers that are looked at for crossing")
)

// rawStream is a client of /sse that costs next to nothing itself.
type rawStream struct {
	net.Conn
	to string // the path and query to post to
}

// raw opens a stream as key. It ends with the test.
func (w *web) raw(key string) rawStream {
	w.t.Helper()
	s := w.loose(key)
	w.t.Cleanup(func() { _ = s.Close() })
	return s
}

// loose is raw for who closes it.
func (w *web) loose(key string) rawStream {
	w.t.Helper()
	addr := strings.TrimSuffix(strings.TrimPrefix(w.url, "http://"), "/mcp")
	conn, err := (&net.Dialer{}).DialContext(w.t.Context(), "tcp", addr)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET /sse HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", addr, key); err != nil {
		w.t.Fatal(err)
	}
	s := rawStream{Conn: conn}
	text := s.until(w.t, "\n\n")
	_, to, found := strings.Cut(text, "event: endpoint\ndata: ")
	if !found {
		w.t.Fatalf("no endpoint in %q", text)
	}
	s.to, _, _ = strings.Cut(to, "\n")
	return s
}

// until reads to the end of mark.
func (s rawStream) until(t *testing.T, mark string) string {
	t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var text []byte
	for part := make([]byte, 512); !bytes.HasSuffix(bytes.TrimSuffix(text, []byte("\r\n")), []byte(mark)); {
		n, err := s.Read(part)
		if text = append(text, part[:n]...); err != nil {
			t.Fatalf("%v after %.200q", err, text)
		}
	}
	return string(text)
}

// post posts one message for a stream of key.
func (w *web) post(key, to, body string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(w.t.Context(), "POST", strings.TrimSuffix(w.url, "/mcp")+to, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+key)
	return http.DefaultClient.Do(r)
}

// say is post for who wants to know the status alone.
func (w *web) say(key, to, body string) int {
	w.t.Helper()
	res, err := w.post(key, to, body)
	if err != nil {
		w.t.Error(err)
		return 0
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.StatusCode
}

// inUse is the memory that is really held: what the system took from us earlier
// and got back later says nothing.
func inUse() uint64 {
	http.DefaultClient.CloseIdleConnections()
	for range 4 { // a stack shrinks by half each time
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// TestSSEIdleMemory: what an idle client costs that has shaken hands and listed
// the tools. The client's own end is in the figure.
func TestSSEIdleMemory(t *testing.T) {
	w, _, _ := newDoor(t, httpd.Limits{})
	greet := func(i int) {
		key := fmt.Sprintf("agent-%d", i%5)
		s := w.raw(key)
		w.say(key, s.to, initialize("2024-11-05", "probe"))
		s.until(t, "\n\n")
		for _, m := range []string{`{"jsonrpc":"2.0","method":"notifications/initialized"}`, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`} {
			if status := w.say(key, s.to, m); status != 202 {
				t.Fatal(status)
			}
		}
		s.until(t, "]}}\n\n")
	}
	for i := range 20 { // what is allocated once
		greet(i)
	}
	before, clients := inUse(), *sseIdle
	for i := range clients {
		if greet(i); i%20 == 0 {
			runtime.GC() // they come over hours, and what falls off is collected meanwhile
		}
	}
	each := (int64(inUse()) - int64(before)) / int64(clients)
	t.Logf("%d idle clients: %d bytes each, %d goroutines", clients, each, runtime.NumGoroutine())
	if most := int64(36 << 10); each > most*raceCosts { // 32 KiB, and some for what a runtime may change
		t.Errorf("%d bytes for each idle client, at most %d", each, most*raceCosts)
	}
}

// TestSSEAbandoned: sessions that are opened and left alone, some with calls
// under way, leave neither memory nor goroutines.
func TestSSEAbandoned(t *testing.T) {
	w, _, _ := newDoor(t, httpd.Limits{})
	round := func(n int) {
		for i := range n {
			s := w.loose("one")
			if i%4 == 0 {
				w.say("one", s.to, toolCall("1", "hold", "{}"))
			}
			if i%2 == 0 {
				_ = s.Conn.(*net.TCPConn).SetLinger(0) // a reset: the client's machine is gone
			}
			_ = s.Close()
		}
		eventually(t, "all calls are stopped", func() bool { running, _, _ := w.count(); return running == 0 })
	}
	forget := func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.seen = nil
		w.log.reset()
	}
	round(100)
	forget()
	goroutines, before := runtime.NumGoroutine(), inUse()
	for left := *sseAbandoned; left > 0; left -= 200 {
		round(min(left, 200))
	}
	forget() // what the test itself keeps
	eventually(t, "the goroutines end", func() bool {
		http.DefaultClient.CloseIdleConnections()
		return runtime.NumGoroutine() <= goroutines
	})
	if after := inUse(); after > before+1<<20 {
		t.Errorf("%d bytes before, %d after %d sessions", before, after, *sseAbandoned)
	}
}

// TestSSECrossing: two agents use equal ids at the same time, many calls at once;
// nobody gets what belongs to the other.
func TestSSECrossing(t *testing.T) {
	w, _, _ := newDoor(t, httpd.Limits{})
	var all sync.WaitGroup
	for _, key := range []string{"one", "two"} {
		s := w.raw(key)
		const at = 16 // calls at once
		slots := make(chan struct{}, at)
		all.Go(func() {
			for i := range *sseAnswers / 2 {
				slots <- struct{}{}
				if status := w.say(key, s.to, toolCall(fmt.Sprint(i), "echo", fmt.Sprintf(`"%s-%d"`, key, i))); status != 202 {
					t.Errorf("status %d", status)
				}
			}
		})
		all.Go(func() {
			seen := map[string]int{}
			for n := 0; n < *sseAnswers/2; {
				text := s.until(t, "\n\n")
				n += strings.Count(text, `"structuredContent"`)
				if own := strings.Count(text, `"got":"`+key+"-"); own != strings.Count(text, `"structuredContent"`) {
					t.Errorf("%s got %.500s", key, text)
				}
				for _, part := range strings.Split(text, `"structuredContent":{"got":"`)[1:] {
					mark, _, _ := strings.Cut(part, `"`)
					seen[mark]++
					<-slots
				}
			}
			for mark, times := range seen {
				if times != 1 {
					t.Errorf("%s came %d times", mark, times)
				}
			}
		})
	}
	all.Wait()
}

// TestSSENeverReads: a client that sends and does not read is cut when the time
// for one write is over, holds little memory until then, and nobody else up.
func TestSSENeverReads(t *testing.T) {
	const writeTime = 500 * time.Millisecond
	w, _, _ := newDoor(t, httpd.Limits{WriteTime: writeTime})
	pace := func(s rawStream, calls int) time.Duration { // of the 99th of 100 calls
		took := make([]time.Duration, calls)
		for i := range took {
			began := time.Now()
			if status := w.say("two", s.to, toolCall("1", "echo", `"x"`)); status != 202 {
				t.Fatal(status)
			}
			s.until(t, "\n\n")
			took[i] = time.Since(began)
		}
		slices.Sort(took)
		return took[calls*99/100-1]
	}
	worker, deaf := w.raw("two"), w.raw("one")
	alone := pace(worker, 300)
	big := `"` + strings.Repeat("x", 1<<20) + `"`
	stop, stopped := make(chan struct{}), make(chan struct{})
	var taken, refused int
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			switch status := w.say("one", deaf.to, toolCall(fmt.Sprint(i), "echo", big)); status {
			case 202:
				taken++
			case 429:
				refused++
			case 404: // it is cut
				return
			default:
				t.Errorf("status %d", status)
				return
			}
		}
	}()
	beside := pace(worker, 300)
	<-stopped
	close(stop)
	t.Logf("p99 %s alone, %s beside a client that does not read; %d messages of 1 MiB taken from it, %d refused", alone, beside, taken, refused)
	if beside > max(20*alone, 100*time.Millisecond) {
		t.Errorf("p99 %s alone, %s beside a client that does not read", alone, beside)
	}
	if taken > 64 {
		t.Errorf("%d MiB were taken from a client that does not read", taken)
	}
	eventually(t, "its stream is gone", func() bool { return w.say("one", deaf.to, `{"jsonrpc":"2.0","id":1,"method":"ping"}`) == 404 })
}

// TestSSEShutdown: when the desk stops, idle streams end and calls under way are
// answered on theirs.
func TestSSEShutdown(t *testing.T) {
	w, stop, stopped := newDoor(t, httpd.Limits{})
	busy, idle := w.raw("one"), w.raw("two")
	w.say("one", busy.to, toolCall("1", "hold", "{}"))
	eventually(t, "it runs", func() bool { running, _, _ := w.count(); return running == 1 })
	stop()
	if rest, err := io.ReadAll(idle); err != nil || string(rest) != "0\r\n\r\n" {
		t.Errorf("the idle stream: %q, %v", rest, err)
	}
	close(w.held)
	if rest, err := io.ReadAll(busy); err != nil || !strings.Contains(string(rest), `"held":true`) || !strings.HasSuffix(string(rest), "\r\n0\r\n\r\n") {
		t.Errorf("the busy stream: %q, %v", rest, err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestSSEShutdownCuts: what does not come to an end in time is cancelled and cut.
func TestSSEShutdownCuts(t *testing.T) {
	w, stop, stopped := newDoor(t, httpd.Limits{Drain: 30 * time.Millisecond})
	busy := w.raw("one")
	w.say("one", busy.to, toolCall("1", "hold", "{}"))
	eventually(t, "it runs", func() bool { running, _, _ := w.count(); return running == 1 })
	stop()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, _, cancelled := w.count(); cancelled != 1 {
		t.Error("the call was not cancelled")
	}
}

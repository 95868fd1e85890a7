package redeem_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/redeem"
)

// lines counts the connections that requests came on.
type lines struct {
	mu   sync.Mutex
	seen map[string]int
	then http.HandlerFunc
}

func (l *lines) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	if l.seen == nil {
		l.seen = map[string]int{}
	}
	l.seen[r.RemoteAddr]++
	l.mu.Unlock()
	if l.then != nil {
		l.then(w, r)
	}
}

func (l *lines) count() (connections, requests int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.seen {
		requests += n
	}
	return len(l.seen), requests
}

// Over HTTP/2 a principal's calls to one origin share a connection, and nobody
// else's do; over HTTP/1.1 none does.
func TestKeptConnections(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprint("h2 ", h2), func(t *testing.T) {
			var seen lines
			server := newAPI(t, h2, &seen)
			for _, principal := range []string{"agent:a", "agent:b", "agent:a", "agent:b"} {
				for _, in := range []string{"header:X-Key", "query:key"} {
					h := newHandle(t)
					call := redeem.Call{Method: "POST", URL: server.origin, Body: "b", Headers: []redeem.Field{{"X-Key", h}}}
					if in == "query:key" {
						call.Headers, call.Query = nil, []redeem.Field{{"key", h}}
					}
					if _, err := server.as(t, principal, call, h, in, "127.0.0.0/8"); err != nil {
						t.Fatal(err)
					}
				}
			}
			want := map[bool]int{false: 8, true: 2}[h2]
			if connections, requests := seen.count(); connections != want || requests != 8 || server.names.asked != want {
				t.Fatalf("%d requests on %d connections, resolved %d times", requests, connections, server.names.asked)
			}
		})
	}
}

// A kept connection serves a request only where its address may be dialled for
// that request's own destination.
func TestKeptConnectionIsCheckedAgain(t *testing.T) {
	var seen lines
	server := newAPI(t, true, &seen)
	if _, err := server.ask(t, "GET", "/"); err != nil {
		t.Fatal(err)
	}
	for _, networks := range [][]string{nil, {"10.0.0.0/8"}} {
		h := newHandle(t)
		_, err := server.as(t, "agent:test", redeem.Call{URL: server.origin, Headers: []redeem.Field{{"X-Key", h}}}, h, "header:X-Key", networks...)
		if r := refusal(t, err); r.Code != redeem.CodeAddress {
			t.Fatal(r)
		}
	}
	if _, requests := seen.count(); requests != 1 {
		t.Fatalf("%d requests", requests)
	}
}

// After a minute the host is resolved anew, and what it has become is refused.
func TestKeptConnectionAges(t *testing.T) {
	var seen lines
	server := newAPI(t, true, &seen)
	for range 3 {
		if _, err := server.ask(t, "GET", "/"); err != nil {
			t.Fatal(err)
		}
		server.Age(redeem.LineAge - time.Second)
	}
	if connections, _ := seen.count(); connections != 2 || server.names.asked != 2 {
		t.Fatalf("%d connections, resolved %d times", connections, server.names.asked)
	}
	server.names.addrs = []string{"169.254.169.254"}
	server.Age(redeem.LineAge)
	_, err := server.ask(t, "GET", "/")
	if r := refusal(t, err); r.Code != redeem.CodeAddress {
		t.Fatal(r)
	}
}

// A server that ended a kept connection is connected to again. A request that
// crossed its end was lost and is not sent again.
func TestKeptConnectionEnded(t *testing.T) {
	var seen lines
	server, opts, d := secure(t, &seen, func(s *httptest.Server) { s.EnableHTTP2 = true; quiet(s) })
	client := redeem.NewClient(opts)
	t.Cleanup(client.Close)
	for range 3 {
		h := newHandle(t)
		values, places := one(h, canary, d)
		p := prepare(t, redeem.Call{Method: "POST", URL: fmt.Sprintf("https://example.com:%d", d.Port), Body: "b", Headers: []redeem.Field{{"X-Key", h}}})
		_, err := client.Do(t.Context(), "agent:a", p, values, places)
		if err != nil {
			upstream(t, err, redeem.CodeLost)
			_, err = client.Do(t.Context(), "agent:a", p, values, places)
		}
		if err != nil {
			t.Fatal(err)
		}
		server.CloseClientConnections()
	}
	if connections, requests := seen.count(); connections != 3 || requests != 3 {
		t.Fatalf("%d requests on %d connections", requests, connections)
	}
}

// A connection that breaks under a request is a code, and the request is not
// sent again.
func TestKeptConnectionLost(t *testing.T) {
	var count atomic.Int32
	server := newAPI(t, true, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if count.Add(1) == 2 {
			panic(http.ErrAbortHandler)
		}
	}))
	if _, err := server.ask(t, "GET", "/"); err != nil {
		t.Fatal(err)
	}
	_, err := server.ask(t, "GET", "/")
	upstream(t, err, redeem.CodeLost)
	if n := count.Load(); n != 2 {
		t.Fatalf("%d requests", n)
	}
	if _, err := server.ask(t, "GET", "/"); err != nil {
		t.Fatal(err)
	}
}

// ends reports each connection that a server sees the end of.
func ends(s *httptest.Server) <-chan net.Conn {
	ended := make(chan net.Conn, 100)
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			ended <- c
		}
	}
	return ended
}

// awaitEnds waits for n connections to end, much shorter than one would be idle.
func awaitEnds(t *testing.T, ended <-chan net.Conn, n int) {
	t.Helper()
	soon := time.After(redeem.LineIdle / 2)
	for i := range n {
		select {
		case <-ended:
		case <-soon:
			t.Fatalf("%d of %d connections ended", i, n)
		}
	}
}

// Of the connections that calls at the same time had to open one is kept.
func TestKeptConnectionsOfCallsAtOnce(t *testing.T) {
	const calls = 8
	var arrived sync.WaitGroup
	arrived.Add(calls)
	var ended <-chan net.Conn
	_, opts, d := secure(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived.Done()
		arrived.Wait()
		for err := error(nil); err == nil; { // until the client has read enough
			_, err = w.Write(text(4096))
		}
	}), func(s *httptest.Server) { s.EnableHTTP2 = true; quiet(s); ended = ends(s) })
	opts.MaxBody = 100_000
	client := redeem.NewClient(opts)
	t.Cleanup(client.Close)
	h := newHandle(t)
	values, places := one(h, canary, d)
	p := prepare(t, redeem.Call{URL: fmt.Sprintf("https://example.com:%d", d.Port), Headers: []redeem.Field{{"X-Key", h}}})
	var running sync.WaitGroup
	for range calls {
		running.Go(func() {
			if _, err := client.Do(t.Context(), "agent:a", p, values, places); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	awaitEnds(t, ended, calls-1)
}

// A call that is under way when the client is closed leaves nothing open.
func TestNothingIsKeptAfterClose(t *testing.T) {
	here, on := make(chan bool), make(chan bool)
	var ended <-chan net.Conn
	_, opts, d := secure(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { here <- true; <-on }),
		func(s *httptest.Server) { s.EnableHTTP2 = true; quiet(s); ended = ends(s) })
	client := redeem.NewClient(opts)
	h := newHandle(t)
	values, places := one(h, canary, d)
	p := prepare(t, redeem.Call{URL: fmt.Sprintf("https://example.com:%d", d.Port), Headers: []redeem.Field{{"X-Key", h}}})
	done := make(chan error)
	go func() {
		_, err := client.Do(t.Context(), "agent:a", p, values, places)
		done <- err
	}()
	<-here
	client.Close()
	close(on)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	awaitEnds(t, ended, 1)
}

// A connection on which an answer got stuck serves no other request.
func TestKeptConnectionStuck(t *testing.T) {
	seen := lines{then: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stuck" {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}}
	_, opts, d := secure(t, &seen, func(s *httptest.Server) { s.EnableHTTP2 = true; quiet(s) })
	client := redeem.NewClient(opts)
	t.Cleanup(client.Close)
	for _, path := range []string{"/", "/stuck", "/"} {
		ctx, cancel := context.WithTimeout(t.Context(), map[bool]time.Duration{true: 200 * time.Millisecond, false: time.Minute}[path == "/stuck"])
		h := newHandle(t)
		values, places := one(h, canary, d)
		p := prepare(t, redeem.Call{URL: fmt.Sprintf("https://example.com:%d%s", d.Port, path), Headers: []redeem.Field{{"X-Key", h}}})
		_, err := client.Do(ctx, "agent:a", p, values, places)
		cancel()
		if path == "/stuck" {
			upstream(t, err, redeem.CodeTimeout)
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if connections, requests := seen.count(); connections != 2 || requests != 3 {
		t.Fatalf("%d requests on %d connections", requests, connections)
	}
}

// The connections of many principals are few.
func TestKeptConnectionsAreBounded(t *testing.T) {
	var mu sync.Mutex
	open, most := map[net.Conn]bool{}, 0
	_, opts, d := secure(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), func(s *httptest.Server) {
		s.EnableHTTP2 = true
		quiet(s)
		s.Config.ConnState = func(c net.Conn, state http.ConnState) {
			mu.Lock()
			defer mu.Unlock()
			if state == http.StateClosed {
				delete(open, c)
			} else {
				open[c] = true
			}
			most = max(most, len(open))
		}
	})
	client := redeem.NewClient(opts)
	for i := range 2 * redeem.MaxLines {
		h := newHandle(t)
		values, places := one(h, canary, d)
		p := prepare(t, redeem.Call{URL: fmt.Sprintf("https://example.com:%d", d.Port), Headers: []redeem.Field{{"X-Key", h}}})
		if _, err := client.Do(t.Context(), fmt.Sprint("agent:", i), p, values, places); err != nil {
			t.Fatal(err)
		}
	}
	client.Close()
	mu.Lock()
	defer mu.Unlock()
	if most < redeem.MaxLines || most > redeem.MaxLines+8 { // a server learns of an end a little later
		t.Fatalf("%d connections at once", most)
	}
}

// net/http writes what follows an answer on a kept connection to the log, and
// all headers of HTTP/2 where GODEBUG asks for them. It does so in a process of
// its own here, so that all of its output can be seen.
func TestNothingIsLogged(t *testing.T) {
	const inside = "REDEEM_TEST_LOG"
	if os.Getenv(inside) == "" {
		for _, debug := range []string{"", "http2debug=1", "x509sha1=0,http2debug=2"} {
			command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNothingIsLogged$", "-test.v")
			command.Env = append(os.Environ(), inside+"=1", "GODEBUG="+debug)
			out, err := command.CombinedOutput()
			if err != nil || strings.Contains(string(out), "canary") || strings.Contains(string(out), "Unsolicited") {
				t.Fatalf("%q: %v: %s", debug, err, out)
			}
		}
		return
	}
	server := newRawServer(t, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\n"+canary+"\r\n\r\n")
	client := redeem.NewClient(nil)
	defer client.Close()
	for range 50 {
		if r, err := ask(t, client, "GET", server.URL); err != nil || string(r.Body) != "a" {
			t.Fatal(err)
		}
	}
	api := newAPI(t, true, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if _, err := api.ask(t, "GET", "/"); err != nil {
		t.Fatal(err)
	}
}

package httpd_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/httpd"
)

func limit(l httpd.Limits) func(*httpd.Config) {
	return func(c *httpd.Config) { c.Limits = l }
}

func TestBodySize(t *testing.T) {
	d := start(t, limit(httpd.Limits{Body: 1000}))
	full, over := strings.Repeat("x", 1000), strings.Repeat("x", 1001)
	chunked := func(body string) string {
		return strings.Replace(request("POST", "/mcp", ""), "Content-Length: 0\r\n\r\n",
			fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body), 1)
	}
	t.Run("at the limit", func(t *testing.T) {
		a := d.raw(t, request("POST", "/mcp", full))
		want(t, a, 200, "")
		if a.body != "1000" {
			t.Fatalf("the handler read %s bytes", a.body)
		}
		want(t, d.raw(t, chunked(full)), 200, "")
	})
	reached := d.calls.Load()
	t.Run("one more", func(t *testing.T) {
		want(t, d.raw(t, request("POST", "/mcp", over)), 413, "BODY_TOO_LARGE")
		want(t, d.raw(t, chunked(over)), 413, "BODY_TOO_LARGE")
	})
	t.Run("announced and not sent", func(t *testing.T) {
		text := strings.Replace(request("POST", "/mcp", ""), "Content-Length: 0", "Content-Length: 9000000000", 1)
		want(t, d.raw(t, text), 413, "BODY_TOO_LARGE")
	})
	t.Run("of a GET", func(t *testing.T) {
		want(t, d.raw(t, request("GET", "/mcp", over)), 413, "BODY_TOO_LARGE")
	})
	t.Run("chunks without an end", func(t *testing.T) {
		c := dial(t, d.addr)
		_, _ = io.WriteString(c, strings.NewReplacer("{port}", d.port, "Content-Length: 0", "Transfer-Encoding: chunked").Replace(request("POST", "/mcp", "")))
		go func() { // until the server closes
			for {
				if _, err := io.WriteString(c, "10\r\n0123456789abcdef\r\n"); err != nil {
					return
				}
			}
		}()
		want(t, read(t, c, "POST"), 413, "BODY_TOO_LARGE")
	})
	if d.calls.Load() != reached {
		t.Fatal("a body over the limit reached the handler")
	}
}

func TestDefaultBodySize(t *testing.T) {
	d := start(t, nil)
	want(t, d.raw(t, request("POST", "/mcp", strings.Repeat("x", 4<<20))), 200, "")
	want(t, d.raw(t, strings.Replace(request("POST", "/mcp", ""), "Content-Length: 0", fmt.Sprintf("Content-Length: %d", 4<<20+1), 1)), 413, "BODY_TOO_LARGE")
}

func TestMediaType(t *testing.T) {
	d := start(t, nil)
	for name, field := range map[string]string{
		"none": "-Content-Type", "text": "Content-Type: text/plain", "form": "Content-Type: application/x-www-form-urlencoded",
		"multipart": "Content-Type: multipart/form-data; boundary=x", "JSON in text": "Content-Type: text/plain;application/json",
		"suffix": "Content-Type: application/json-rpc", "plus": "Content-Type: application/ld+json", "empty": "Content-Type:",
		"two in one": "Content-Type: application/json, text/plain", "charset": "Content-Type: application/json; charset=utf-16",
		"broken": "Content-Type: application/json; =", "encoded": "Content-Encoding: gzip",
		"twice": "Content-Type: application/json\r\nContent-Type: text/plain",
	} {
		t.Run(name, func(t *testing.T) {
			for _, route := range []string{"/mcp", "/sse", "/messages"} {
				for _, method := range []string{"POST", "PUT", "DELETE", "GET"} {
					want(t, d.raw(t, request(method, route, "{}", field)), 415, "UNSUPPORTED_MEDIA_TYPE")
				}
			}
		})
	}
	if d.calls.Load() != 0 {
		t.Fatal("reached the handler")
	}
	want(t, d.raw(t, request("POST", "/mcp", "", "-Content-Type")), 415, "UNSUPPORTED_MEDIA_TYPE")
	for _, good := range []string{"application/json", "Application/JSON; charset=UTF-8"} {
		want(t, d.raw(t, request("POST", "/mcp", "{}", "Content-Type: "+good)), 200, "")
	}
	want(t, d.raw(t, request("GET", "/mcp", "", "-Content-Type")), 200, "")
	want(t, d.raw(t, request("DELETE", "/mcp", "", "-Content-Type")), 200, "")
}

func TestHeaderSize(t *testing.T) {
	d := start(t, nil)
	fill := func(n int) string { // a request whose header has n bytes
		base := strings.ReplaceAll(request("GET", "/healthz", "", "X-Fill: "), "{port}", d.port)
		return strings.Replace(base, "X-Fill: ", "X-Fill: "+strings.Repeat("a", n-len(base)), 1)
	}
	want(t, d.raw(t, fill(16<<10-1)), 200, "")
	want(t, d.raw(t, fill(16<<10+1)), 431, "")
	want(t, d.raw(t, request("GET", "/"+strings.Repeat("a", 20<<10), "")), 431, "")
	var many []string
	for i := range 3000 {
		many = append(many, fmt.Sprintf("X-%d: 1", i))
	}
	want(t, d.raw(t, request("GET", "/healthz", "", many...)), 431, "")
}

// ends waits for the server to close c. Reading on is what a client would do;
// the deadline of dial fails the test.
func ends(t *testing.T, c io.Reader) string {
	t.Helper()
	rest, err := io.ReadAll(c)
	if err != nil && strings.Contains(err.Error(), "timeout") {
		t.Fatal("the server keeps the connection")
	}
	return string(rest)
}

func TestSlowHeader(t *testing.T) {
	d := start(t, limit(httpd.Limits{HeaderTime: 20 * time.Millisecond}))
	for name, part := range map[string]string{
		"nothing": "", "one byte": "G", "no end": "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ",
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, d.addr)
			_, _ = io.WriteString(c, part)
			if got := ends(t, c); strings.Contains(got, "200 OK") {
				t.Fatalf("answered %q", got)
			}
		})
	}
}

func TestSlowBody(t *testing.T) {
	d := start(t, limit(httpd.Limits{BodyTime: 30 * time.Millisecond}))
	begun := func(t *testing.T, fields ...string) io.Reader {
		t.Helper()
		c := dial(t, d.addr)
		text := strings.Replace(request("POST", "/mcp", "", fields...), "Content-Length: 0", "Content-Length: 1000", 1)
		_, _ = io.WriteString(c, strings.ReplaceAll(text, "{port}", d.port)+`{"half":`)
		return c
	}
	t.Run("of a known agent", func(t *testing.T) {
		want(t, read(t, begun(t), "POST"), 408, "BODY_TIMEOUT")
	})
	// net/http reads what is left of a refused body: it must not do so for ever.
	for name, field := range map[string]string{
		"of nobody": "Authorization: none", "from a page": "Origin: null", "of another type": "Content-Type: text/plain",
	} {
		t.Run(name, func(t *testing.T) {
			if got := ends(t, begun(t, field)); !strings.HasPrefix(got, "HTTP/1.1 4") {
				t.Fatalf("answered %q", got)
			}
		})
	}
	if d.calls.Load() != 0 {
		t.Fatal("half a body reached the handler")
	}
}

// TestBodyTimeEndsWithTheBody lets a call take longer than its body may.
func TestBodyTimeEndsWithTheBody(t *testing.T) {
	const bodyTime = 20 * time.Millisecond
	d := start(t, func(c *httpd.Config) {
		c.Limits.BodyTime = bodyTime
		c.MCP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
				w.WriteHeader(http.StatusTeapot)
			case <-time.After(3 * bodyTime):
			}
		})
	})
	want(t, d.raw(t, request("POST", "/mcp", "{}")), 200, "")
}

// TestWriteTimeIsPerWrite keeps a connection longer than one write may take.
func TestWriteTimeIsPerWrite(t *testing.T) {
	const writeTime = 20 * time.Millisecond
	d := start(t, func(c *httpd.Config) {
		c.Limits.WriteTime = writeTime
		c.MCP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodDelete {
				_, _ = io.WriteString(w, "early") // net/http keeps it until the end
			}
			<-time.After(2 * writeTime)
			if r.Method == http.MethodPost {
				_, _ = io.WriteString(w, "late")
			} // else nothing: net/http sends the header by itself
		})
	})
	c := dial(t, d.addr)
	for _, method := range []string{"POST", "GET", "DELETE", "POST"} {
		_, _ = io.WriteString(c, strings.ReplaceAll(request(method, "/mcp", ""), "{port}", d.port))
		want(t, read(t, c, method), 200, "")
	}
}

func TestClientThatDoesNotRead(t *testing.T) {
	gone := make(chan error, 1)
	d := start(t, func(c *httpd.Config) {
		c.Limits.WriteTime = 20 * time.Millisecond
		c.MCP = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			chunk := make([]byte, 1<<20)
			for {
				if _, err := w.Write(chunk); err != nil {
					gone <- err
					return
				}
			}
		})
	})
	c := dial(t, d.addr)
	_, _ = io.WriteString(c, strings.ReplaceAll(request("POST", "/mcp", "{}"), "{port}", d.port))
	select {
	case err := <-gone:
		if err == nil {
			t.Fatal("no error")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the handler still writes")
	}
}

// hold is a handler that waits: each call takes a turn from in, and goes on
// when out is closed or the call's context ends.
func hold(in chan<- struct{}, out <-chan struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in <- struct{}{}
		select {
		case <-out:
		case <-r.Context().Done():
			w.WriteHeader(http.StatusTeapot)
		}
	})
}

func TestPerPrincipal(t *testing.T) {
	in, out := make(chan struct{}), make(chan struct{})
	d := start(t, func(c *httpd.Config) {
		c.Limits = httpd.Limits{PerPrincipal: 2, RetryAfter: 1500 * time.Millisecond}
		c.MCP = hold(in, out)
	})
	done := make(chan int, 3)
	begin := func(k string) {
		c := dial(t, d.addr)
		_, _ = io.WriteString(c, strings.ReplaceAll(request("POST", "/mcp", "{}", "Authorization: Bearer "+k), "{port}", d.port))
		<-in
		go func() { done <- read(t, c, "POST").status }()
	}
	begin(key)
	begin(key)
	a := d.raw(t, request("POST", "/mcp", "{}"))
	want(t, a, 429, "RATE_LIMITED")
	if a.header.Get("Retry-After") != "2" {
		t.Fatalf("Retry-After %q", a.header.Get("Retry-After"))
	}
	want(t, d.raw(t, request("POST", "/messages", "{}")), 429, "RATE_LIMITED")
	begin(otherKey) // the other agent is not held up
	close(out)
	for range 3 {
		if status := <-done; status != 200 {
			t.Fatalf("status %d", status)
		}
	}
	go func() { <-in }()
	want(t, d.raw(t, request("POST", "/mcp", "{}")), 200, "")
}

// TestStreams: streams are counted by themselves, on all routes together.
func TestStreams(t *testing.T) {
	in, out := make(chan struct{}), make(chan struct{})
	d := start(t, func(c *httpd.Config) {
		c.Limits = httpd.Limits{PerPrincipal: 1, Streams: 2}
		c.MCP = hold(in, out)
		c.SSE = c.MCP
	})
	open := func(method, route, k string) {
		_, _ = io.WriteString(dial(t, d.addr), strings.ReplaceAll(request(method, route, "", "Authorization: Bearer "+k), "{port}", d.port))
		<-in
	}
	open("GET", "/sse", key)
	open("GET", "/mcp", key)
	for _, route := range []string{"/sse", "/mcp"} {
		want(t, d.raw(t, request("GET", route, "")), 429, "RATE_LIMITED")
	}
	open("POST", "/messages", key)
	open("GET", "/sse", otherKey)
	close(out)
}

// TestConnections opens many connections that never become a request. They do
// not keep others out, and a call under way is not what goes.
func TestConnections(t *testing.T) {
	in, out := make(chan struct{}), make(chan struct{})
	d := start(t, func(c *httpd.Config) {
		c.Limits.Connections, c.Limits.HeaderTime = 4, time.Minute
		c.MCP = hold(in, out)
	})
	busy := dial(t, d.addr)
	_, _ = io.WriteString(busy, strings.ReplaceAll(request("POST", "/mcp", "{}"), "{port}", d.port))
	<-in
	oldest := dial(t, d.addr)
	_, _ = io.WriteString(oldest, "GET /healthz HTTP/1.1\r\nX-Slow: ")
	for range 50 {
		c := dial(t, d.addr)
		_, _ = io.WriteString(c, "P")
		want(t, d.raw(t, request("GET", "/healthz", "")), 200, "")
	}
	ends(t, oldest)
	close(out)
	want(t, read(t, busy, "POST"), 200, "")
}

func TestConnectionsAllBusy(t *testing.T) {
	in, out := make(chan struct{}), make(chan struct{})
	d := start(t, func(c *httpd.Config) {
		c.Limits.Connections, c.Limits.HeaderTime = 1, time.Minute
		c.MCP = hold(in, out)
	})
	busy := dial(t, d.addr)
	_, _ = io.WriteString(busy, strings.ReplaceAll(request("POST", "/mcp", "{}"), "{port}", d.port))
	<-in
	ends(t, dial(t, d.addr))
	close(out)
	want(t, read(t, busy, "POST"), 200, "")
	_ = busy.Close()
}

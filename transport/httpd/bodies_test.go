package httpd_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/httpd"
)

// each begins a request with a body to every route by every method, has feed send
// it, all at once, and waits until the server has closed every connection.
func each(t *testing.T, d *desk, head func(method, route string) string, feed func(net.Conn)) {
	t.Helper()
	var all sync.WaitGroup
	for _, route := range routes {
		for _, method := range methods {
			c := dial(t, d.addr)
			_, _ = io.WriteString(c, strings.ReplaceAll(head(method, route), "{port}", d.port))
			all.Go(func() { feed(c) })
			all.Go(func() {
				if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s %s: the server keeps the connection", method, route)
				}
				_ = c.Close()
			})
		}
	}
	all.Wait()
}

// TestSlowBodies: a body that comes byte by byte, or not at all, holds its
// connection no longer than a body may take, whoever it is from, wherever to.
func TestSlowBodies(t *testing.T) {
	d := start(t, limit(httpd.Limits{BodyTime: 100 * time.Millisecond}))
	for name, fields := range map[string][]string{"known": nil, "unknown": {"Authorization: none"}, "from a page": {"Origin: null"}} {
		t.Run(name, func(t *testing.T) {
			each(t, d, func(method, route string) string {
				return strings.Replace(request(method, route, "", fields...), "Content-Length: 0", "Content-Length: 1000000", 1)
			}, func(c net.Conn) {
				for _, err := io.WriteString(c, " "); err == nil; _, err = io.WriteString(c, " ") {
					<-time.After(10 * time.Millisecond)
				}
			})
		})
	}
	if d.calls.Load() != 0 {
		t.Fatal("half a body reached a handler")
	}
}

// TestEndlessBodies: a body without an end is cut, and no more of it is kept than
// a body may have.
func TestEndlessBodies(t *testing.T) {
	d := start(t, limit(httpd.Limits{Body: 64 << 10}))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	each(t, d, func(method, route string) string {
		return strings.Replace(request(method, route, ""), "Content-Length: 0", "Transfer-Encoding: chunked", 1)
	}, func(c net.Conn) {
		if n := flood(c); n > 32<<20 {
			t.Errorf("%d bytes were taken", n)
		}
	})
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 16<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	if d.calls.Load() != 0 {
		t.Fatal("part of a body reached a handler")
	}
}

var block = sync.OnceValue(func() []byte {
	return append(append([]byte("10000\r\n"), bytes.Repeat([]byte("x"), 64<<10)...), "\r\n"...)
})

// flood sends chunks until the other side has enough.
func flood(c net.Conn) (sent int64) {
	for {
		n, err := c.Write(block())
		if sent += int64(n); err != nil {
			return sent
		}
	}
}

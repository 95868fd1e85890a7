package httpd_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/httpd"
)

func TestReady(t *testing.T) {
	d := start(t, nil)
	a := d.raw(t, request("GET", "/readyz", "", "-Authorization"))
	want(t, a, 200, "")
	if a.body != `{"status":"ready"}` || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%v %q", a.header, a.body)
	}
	if a = d.raw(t, request("HEAD", "/readyz", "", "-Authorization")); a.status != 200 || a.body != "" {
		t.Fatalf("HEAD: %d %q", a.status, a.body)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "BREW"} {
		if a = d.raw(t, request(method, "/readyz", "")); a.status != 405 || a.header.Get("Allow") != "GET, HEAD" {
			t.Fatalf("%s: %d", method, a.status)
		}
	}
}

// TestNotReady: neither the answer nor the log has the error's text.
func TestNotReady(t *testing.T) {
	for name, check := range map[string]func(context.Context) error{
		"an error": func(context.Context) error { return errors.New("canary") },
		"a panic":  func(context.Context) error { panic("canary") },
	} {
		t.Run(name, func(t *testing.T) {
			d := start(t, func(c *httpd.Config) { c.Ready = check })
			want(t, d.raw(t, request("GET", "/readyz", "")), 503, "NOT_READY")
			want(t, d.raw(t, request("GET", "/healthz", "")), 200, "")
			if logs := d.logs.String(); strings.Contains(logs, "canary") || !strings.Contains(logs, `msg="not ready" cause=*errors.errorString`) {
				t.Fatalf("log:\n%s", logs)
			}
		})
	}
}

// TestReadyIsCheap: however many ask, one check runs, and its outcome is kept
// for a while.
func TestReadyIsCheap(t *testing.T) {
	var checks atomic.Int64
	in, out := make(chan struct{}, 100), make(chan struct{})
	d := start(t, func(c *httpd.Config) {
		c.Ready = func(context.Context) error {
			checks.Add(1)
			in <- struct{}{}
			<-out
			return nil
		}
	})
	var all sync.WaitGroup
	ask := func() {
		all.Go(func() { want(t, d.raw(t, request("GET", "/readyz", "")), 200, "") })
	}
	ask()
	<-in
	for range 20 {
		ask()
	}
	close(out)
	all.Wait()
	for range 20 {
		want(t, d.raw(t, request("GET", "/readyz", "")), 200, "")
	}
	if n := checks.Load(); n > 2 { // a slow machine may see the second end
		t.Fatalf("%d checks for 41 requests", n)
	}
}

// TestReadyIsBounded: a check that does not come to an end is an answer too, and
// is told to.
func TestReadyIsBounded(t *testing.T) {
	ended := make(chan struct{})
	d := start(t, func(c *httpd.Config) {
		c.Ready = func(ctx context.Context) error {
			defer close(ended)
			<-ctx.Done()
			return ctx.Err()
		}
	})
	want(t, d.raw(t, request("GET", "/readyz", "")), 503, "NOT_READY")
	<-ended
}

// TestReadyEndsWithTheServer: Serve does not return before the check has.
func TestReadyEndsWithTheServer(t *testing.T) {
	in, ended := make(chan struct{}), make(chan struct{})
	d := start(t, func(c *httpd.Config) {
		c.Limits.Drain = 20 * time.Millisecond
		c.Ready = func(ctx context.Context) error {
			close(in)
			<-ctx.Done()
			close(ended)
			return ctx.Err()
		}
	})
	c := dial(t, d.addr)
	_, _ = io.WriteString(c, strings.ReplaceAll(request("GET", "/readyz", ""), "{port}", d.port))
	<-in
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	default:
		t.Fatal("Serve returned with a check running")
	}
}

package httpd_test

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/httpd"
)

func TestWrongCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := httpd.NewWrong(60)
		look := func(from, key string, right bool, want time.Duration) {
			t.Helper()
			if wait := w.Try(from, key, right); wait != want {
				t.Errorf("%s from %s: a wait of %s, want %s", key, from, wait, want)
			}
		}
		look("a", "early", true, 0)
		for range 6 { // one program that repeats itself
			look("a", "stale", false, 0)
		}
		for range 1000 {
			look("a", "stale", false, 10*time.Second)
		}
		for i := range 100 { // what is right is not charged
			look("a", "right "+strconv.Itoa(i), true, 0)
		}
		for i := range 54 { // a search
			look("a", "guess "+strconv.Itoa(i), false, 0)
		}
		for i := range 1000 {
			look("a", "guess "+strconv.Itoa(100+i), false, time.Second)
		}
		look("a", "new", true, time.Second)
		look("a", "early", true, 0)
		look("b", "new", true, 0) // another address
		look("a", "new", true, 0) // known by now
		look("a", "early", false, 0)
		look("a", "early", false, time.Second) // no longer known: it was revoked

		// What is right no longer is charged as well.
		for i := range 60 {
			look("c", strconv.Itoa(i), true, 0)
			look("c", strconv.Itoa(i), false, 0)
		}
		look("c", "new one", true, time.Second)
		time.Sleep(time.Second)
		look("a", "guess x", false, 0)
		look("a", "guess y", false, time.Second)
		time.Sleep(10 * time.Minute)
		for i := range 60 {
			look("a", "again "+strconv.Itoa(i), false, 0)
		}
		look("a", "new", true, 0)
		time.Sleep(20 * time.Minute)
		for i := range 60 {
			look("a", "again "+strconv.Itoa(i), false, 0)
		}
		look("a", "new", true, time.Second) // that is too long ago
	})
}

// asks counts the questions to authenticate.
type asks struct {
	mu   sync.Mutex
	n    int
	gone map[string]bool // revoked keys
}

func (a *asks) authenticate(ctx context.Context, k, addr string) (identity.Principal, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n++
	if a.gone[k] {
		return identity.Principal{}, identity.ErrUnauthenticated
	}
	return authenticate(ctx, k, addr)
}

func (a *asks) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n
}

// TestWrongKeysAreThrottled: on every route nobody is asked any more, and what
// was right lately still gets in.
func TestWrongKeysAreThrottled(t *testing.T) {
	for _, route := range []string{"/mcp", "/sse", "/messages", "/v1/secrets/a"} {
		t.Run(route, func(t *testing.T) {
			a := &asks{gone: map[string]bool{}}
			d := start(t, func(c *httpd.Config) { c.Authenticate, c.Limits.Failures = a.authenticate, 1 })
			send := func(k string) answer { return d.raw(t, request("POST", route, "{}", "Authorization: Bearer "+k)) }
			want(t, send(key), 200, "")
			for range 3 { // what is not the client's fault is not charged to it
				want(t, send("ass_live_fault"), 500, "INTERNAL")
			}
			want(t, send("ass_live_wrong"), 401, "UNAUTHORIZED")
			asked := a.count()
			for i := range 5 {
				got := send(fmt.Sprintf("ass_live_wrong%d", i))
				want(t, got, 429, "RATE_LIMITED")
				if n, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || n < 1 || n > 60 {
					t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
				}
				if got.header.Get("WWW-Authenticate") != "" {
					t.Error("asks for a credential")
				}
			}
			want(t, send(otherKey), 429, "RATE_LIMITED") // comes anew
			if n := a.count() - asked; n != 0 {
				t.Errorf("%d questions", n)
			}
			want(t, send(key), 200, "")
			want(t, d.raw(t, request("POST", route, "{}", "-Authorization")), 401, "UNAUTHORIZED") // nothing to look up
			a.mu.Lock()
			a.gone[key] = true
			a.mu.Unlock()
			want(t, send(key), 401, "UNAUTHORIZED")
			want(t, send(key), 429, "RATE_LIMITED")
		})
	}
}

// TestWrongKeysByClient: behind a proxy each client has its own ration.
func TestWrongKeysByClient(t *testing.T) {
	d := start(t, func(c *httpd.Config) {
		c.Limits.Failures, c.TrustedProxies = 1, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	send := func(from, k string) answer {
		return d.raw(t, request("POST", "/v1/secrets/a", "{}", "Authorization: Bearer "+k, "X-Forwarded-For: "+from))
	}
	want(t, send("198.51.100.7", "ass_live_wrong"), 401, "")
	want(t, send("198.51.100.7", "ass_live_wrong2"), 429, "")
	want(t, send("198.51.100.7, 198.51.100.8", "ass_live_wrong2"), 401, "")
	want(t, send("198.51.100.9", key), 200, "")
	want(t, send("2001:db8::1", "ass_live_wrong"), 401, "")
	want(t, send("2001:db8::2", "ass_live_wrong2"), 429, "") // the same customer
}

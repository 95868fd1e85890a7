package httpd_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/httpd"
)

// TestRecall: a credential is looked up once for the requests whose handler asks
// by itself, and for every other one each time; and anew once a handler has found
// that its principal is gone.
func TestRecall(t *testing.T) {
	a := &asks{gone: map[string]bool{}}
	var gone atomic.Bool
	var seen identity.Principal
	d := start(t, func(c *httpd.Config) {
		c.Authenticate, c.Limits.Failures = a.authenticate, 1000
		c.REST = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen, _ = httpd.PrincipalFrom(r.Context())
			if gone.Load() {
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
		c.RESTProves = func(r *http.Request) bool {
			return r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/secrets/")
		}
	})
	ask := func(what, text string, status, questions int) {
		t.Helper()
		before := a.count()
		seen = identity.Principal{}
		want(t, d.raw(t, text), status, "")
		if n := a.count() - before; n != questions {
			t.Errorf("%s: %d questions, want %d", what, n, questions)
		}
	}
	reading := request("GET", "/v1/secrets/a", "")
	other := request("GET", "/v1/secrets/a", "", "Authorization: Bearer "+otherKey)
	ask("the first reading", reading, 200, 1)
	for range 3 {
		ask("another one", reading, 200, 0)
		if seen.ID() != "agent:one" || seen.Door != policy.DoorREST || seen.Addr != "127.0.0.1" {
			t.Errorf("came as %+v", seen)
		}
	}
	ask("another credential", other, 200, 1)
	if seen.ID() != "agent:two" {
		t.Errorf("came as %+v", seen)
	}
	ask("a change", request("PUT", "/v1/secrets/a", "{}"), 200, 1)
	ask("a list", request("GET", "/v1/secrets", ""), 200, 1)
	ask("a body", request("GET", "/v1/secrets/a", "{}"), 200, 1)
	ask("a body of a wrong type", request("GET", "/v1/secrets/a", "{}", "Content-Type: text/plain"), 415, 1)
	ask("the door for models", request("GET", "/mcp", ""), 200, 1)
	ask("a wrong credential", request("GET", "/v1/secrets/a", "", "Authorization: Bearer ass_live_wrong"), 401, 1)
	ask("and again", request("GET", "/v1/secrets/a", "", "Authorization: Bearer ass_live_wrong"), 401, 1)

	a.mu.Lock()
	a.gone[key] = true
	a.mu.Unlock()
	gone.Store(true)
	ask("the one that finds out", reading, 401, 0)
	if seen.ID() != "agent:one" {
		t.Error("did not reach the handler")
	}
	gone.Store(false)
	ask("the next one", reading, 401, 1)
	if seen.Kind != "" {
		t.Error("reached the handler")
	}
	ask("another credential", other, 200, 0)
}

// TestRecallIsAsked for: without RESTProves every request is looked up.
func TestRecallIsAskedFor(t *testing.T) {
	a := &asks{gone: map[string]bool{}}
	d := start(t, func(c *httpd.Config) { c.Authenticate = a.authenticate })
	for range 3 {
		want(t, d.raw(t, request("GET", "/v1/secrets/a", "")), 200, "")
	}
	if a.count() != 3 {
		t.Errorf("%d questions", a.count())
	}
	_, err := httpd.New(httpd.Config{
		Listen: ":0", Authenticate: authenticate, Alive: alive, Ready: ready, MCP: http.NotFoundHandler(),
		RESTProves: func(*http.Request) bool { return true },
	})
	if err == nil {
		t.Error("RESTProves without REST is taken")
	}
}

// TestRecallEnds after two minutes at the latest, however often it is used.
func TestRecallEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := httpd.NewRecall()
		r.Put("key", identity.Principal{Kind: identity.Agent, Name: "one"})
		begun := time.Now()
		for r.Get("key").Kind != "" {
			time.Sleep(time.Second)
		}
		if took := time.Since(begun); took < time.Minute || took > 2*time.Minute {
			t.Errorf("it ended after %s", took)
		}
	})
}

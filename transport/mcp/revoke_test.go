package mcp_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/transport/httpd"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// registry is a real table of agents.
type registry struct {
	t      *testing.T
	db     *sqldb.DB
	agents *identity.Store
	ahead  atomic.Int64 // nanoseconds: how far its clock is ahead of ours
}

func (g *registry) now() time.Time { return time.Now().Add(time.Duration(g.ahead.Load())) }

func newRegistry(t *testing.T) *registry {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), filepath.Join(dir, "test.db"), identity.Migrations())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &registry{t: t, db: db, agents: identity.New(rowmac.New([rowmac.KeySize]byte{7}))}
}

// door is newDoor for the agents of the registry.
func (g *registry) door(recheck time.Duration, more ...tools.Tool) *web {
	g.t.Helper()
	w, _, _ := newDoorFor(g.t, httpd.Config{
		Limits: httpd.Limits{Recheck: recheck},
		Authenticate: func(ctx context.Context, key, _ string) (who identity.Principal, err error) {
			err = g.db.View(ctx, func(tx *sqldb.Tx) error {
				who, err = g.agents.ByCredential(tx, key, "", g.now())
				return err
			})
			return who, err
		},
		Alive: func(ctx context.Context, who identity.Principal) error {
			return g.db.View(ctx, func(tx *sqldb.Tx) error { return g.agents.Alive(tx, who, g.now()) })
		},
	}, more...)
	return w
}

func (g *registry) update(do func(tx *sqldb.Tx) error) {
	g.t.Helper()
	if err := g.db.Update(g.t.Context(), do); err != nil {
		g.t.Fatal(err)
	}
}

func (g *registry) add(name string) (key string) {
	g.t.Helper()
	g.update(func(tx *sqldb.Tx) (err error) {
		key, err = g.agents.Add(tx, identity.NewAgent{Name: name}, g.now())
		return err
	})
	return key
}

func (g *registry) revoke(name string) {
	g.t.Helper()
	g.update(func(tx *sqldb.Tx) error { return g.agents.Revoke(tx, name, g.now()) })
}

// token issues a token that lives for an hour, and returns how it ends.
func (g *registry) token(agent string) (text string, revoke func()) {
	g.t.Helper()
	scopes, err := identity.ParseScopes([]string{"secrets:read:*"})
	if err != nil {
		g.t.Fatal(err)
	}
	var token identity.Token
	g.update(func(tx *sqldb.Tx) error {
		text, token, err = g.agents.IssueToken(tx, identity.TokenSpec{Agent: agent, Scopes: scopes, TTL: time.Hour}, g.now())
		return err
	})
	return text, func() {
		g.t.Helper()
		g.update(func(tx *sqldb.Tx) error { return g.agents.RevokeToken(tx, token.ID, g.now()) })
	}
}

// as is the field with which a client shows a key.
func as(key string) string { return "Authorization: Bearer " + key }

// TestRevokedStreams: the streams of a revoked agent end, with the calls under
// way, and those of another go on.
func TestRevokedStreams(t *testing.T) {
	calls, ended := make(chan struct{}), make(chan struct{}, 3)
	g := newRegistry(t)
	w := g.door(20*time.Millisecond, doing("hold", func(ctx context.Context) string {
		calls <- struct{}{}
		<-ctx.Done()
		ended <- struct{}{}
		return "ended"
	}))
	gone, stays := g.add("gone"), g.add("stays")
	session := w.open("2025-11-25", as(gone))
	get := w.begin("GET", "", session, as(gone))
	sse, other := w.raw(gone), w.raw(stays)
	for _, s := range []struct {
		key string
		rawStream
	}{{gone, sse}, {stays, other}} {
		if status := w.say(s.key, s.to, toolCall("7", "hold", "{}")); status != 202 {
			t.Fatalf("a call over SSE: %d", status)
		}
		<-calls
	}
	answered := make(chan answer)
	go func() { answered <- w.do("POST", toolCall("8", "hold", "{}"), session, as(gone)) }()
	<-calls

	g.revoke("gone")
	if got := get.next(); got != "EOF" {
		t.Errorf("the stream of a session: %s", got)
	}
	sse.until(t, "\r\n0\r\n") // the last chunk
	<-ended
	<-ended
	<-answered
	if status := w.say(gone, sse.to, `{"jsonrpc":"2.0","id":1,"method":"ping"}`); status != 401 {
		t.Errorf("a message for it: %d", status)
	}
	if a := w.do("POST", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, session, as(gone)); a.status != 401 {
		t.Errorf("a call of its session: %d", a.status)
	}
	if status := w.say(stays, other.to, `{"jsonrpc":"2.0","id":1,"method":"ping"}`); status != 202 {
		t.Errorf("another's stream: %d", status)
	}
	other.until(t, `"result":{}}`+"\n\n")
	if len(ended) > 0 {
		t.Error("another's call ended")
	}
}

// TestTokenStreams: the streams that a token opened end with it, and with its
// agent, with the calls under way; those of its agent's own key and of another
// token go on.
func TestTokenStreams(t *testing.T) {
	for name, tc := range map[string]struct {
		end    func(g *registry, revoke func())
		others int // how many of the streams of others go on: the agent's key's and a token's
	}{
		"revoked":              {func(_ *registry, revoke func()) { revoke() }, 2},
		"expired":              {func(g *registry, _ func()) { g.ahead.Store(int64(time.Hour)) }, 1},
		"its agent is revoked": {func(g *registry, _ func()) { g.revoke("web") }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			calls, ended := make(chan struct{}), make(chan struct{}, 3)
			g := newRegistry(t)
			w := g.door(20*time.Millisecond, doing("hold", func(ctx context.Context) string {
				calls <- struct{}{}
				<-ctx.Done()
				ended <- struct{}{}
				return "ended"
			}))
			key := g.add("web")
			gone, revoke := g.token("web")
			other, _ := g.token("web")
			session := w.open("2025-11-25", as(gone))
			get := w.begin("GET", "", session, as(gone))
			sse, byKey, byOther := w.raw(gone), w.raw(key), w.raw(other)
			if status := w.say(gone, sse.to, toolCall("7", "hold", "{}")); status != 202 {
				t.Fatalf("a call over SSE: %d", status)
			}
			<-calls
			answered := make(chan answer)
			go func() { answered <- w.do("POST", toolCall("8", "hold", "{}"), session, as(gone)) }()
			<-calls

			tc.end(g, revoke)
			if got := get.next(); got != "EOF" {
				t.Errorf("the stream of a session: %s", got)
			}
			sse.until(t, "\r\n0\r\n") // the last chunk
			<-ended
			<-ended
			<-answered
			const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
			if status := w.say(gone, sse.to, ping); status != 401 {
				t.Errorf("a message for it: %d", status)
			}
			if a := w.do("POST", ping, session, as(gone)); a.status != 401 {
				t.Errorf("a call of its session: %d", a.status)
			}
			for i, s := range []struct {
				key string
				rawStream
			}{{key, byKey}, {other, byOther}} {
				want := 401
				if i < tc.others {
					want = 202
				}
				if status := w.say(s.key, s.to, ping); status != want {
					t.Errorf("stream %d of others: %d, want %d", i, status, want)
				}
				if want == 202 {
					s.until(t, `"result":{}}`+"\n\n")
				} else {
					s.until(t, "0\r\n")
				}
			}
		})
	}
}

// TestATokenIsNotItsAgent: what a token opened is not its agent's, nor another
// token's, and the other way round.
func TestATokenIsNotItsAgent(t *testing.T) {
	g := newRegistry(t)
	w := g.door(time.Hour)
	key := g.add("web")
	one, _ := g.token("web")
	two, _ := g.token("web")
	const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	shown := []string{key, one, two}
	for i, opener := range shown {
		session, sse := w.open("2025-11-25", as(opener)), w.raw(opener)
		for j, who := range shown {
			post, message := 404, 404
			if i == j {
				post, message = 200, 202
			}
			if a := w.do("POST", ping, session, as(who)); a.status != post {
				t.Errorf("%d in the session of %d: %d, want %d", j, i, a.status, post)
			}
			if status := w.say(who, sse.to, ping); status != message {
				t.Errorf("%d on the stream of %d: %d, want %d", j, i, status, message)
			}
		}
	}
}

// TestRegisteredAnew: an agent under the name of a revoked one is somebody else,
// also while the streams of the first are still open.
func TestRegisteredAnew(t *testing.T) {
	g := newRegistry(t)
	w := g.door(time.Hour)
	first := g.add("claude")
	session := w.open("2025-11-25", as(first))
	sse := w.raw(first)
	if a := w.do("POST", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, session, as(first)); a.status != 200 {
		t.Fatalf("its own session: %+v", a)
	}
	g.revoke("claude")
	second := g.add("claude")
	ping := `{"jsonrpc":"2.0","id":2,"method":"ping"}`
	for method, body := range map[string]string{"POST": ping, "GET": "", "DELETE": ""} {
		if a := w.do(method, body, session, as(second), "Accept: application/json, text/event-stream"); a.status != http.StatusNotFound {
			t.Errorf("%s of the first one's session: %d %s", method, a.status, a.body)
		}
	}
	if status := w.say(second, sse.to, ping); status != http.StatusNotFound {
		t.Errorf("a message for the first one's stream: %d", status)
	}
	if err := g.db.View(t.Context(), func(tx *sqldb.Tx) error {
		_, err := g.agents.ByCredential(tx, first, "", time.Now())
		return err
	}); !errors.Is(err, identity.ErrUnauthenticated) {
		t.Error(err)
	}
}

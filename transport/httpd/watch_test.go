package httpd_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/httpd"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// registry says who is alive, and counts how often it was asked.
type registry struct {
	mu    sync.Mutex
	says  map[string]error
	asked map[string]int
	looks chan struct{} // has one after each question about "two"
}

func newRegistry() *registry {
	return &registry{says: map[string]error{}, asked: map[string]int{}, looks: make(chan struct{}, 1)}
}

func (g *registry) alive(_ context.Context, who identity.Principal) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked[who.Name]++
	if who.Name == "two" {
		select {
		case g.looks <- struct{}{}:
		default:
		}
	}
	return g.says[who.Name]
}

func (g *registry) say(name string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.says[name] = err
}

func (g *registry) count(name string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked[name]
}

// held is a handler that lasts as long as its request, and tells of its start.
func held(in chan<- string, out chan<- string) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		who, _ := httpd.PrincipalFrom(r.Context())
		name := who.Name + " " + r.Method + " " + r.URL.Path
		in <- name
		<-r.Context().Done()
		out <- name
	})
}

// TestRevokedUnderWay: what a revoked agent has under way ends, on every route,
// and nobody else's does.
func TestRevokedUnderWay(t *testing.T) {
	for name, said := range map[string]error{
		"revoked": identity.ErrUnauthenticated, "damaged": fmt.Errorf("agent: %w", vault.ErrCorrupt),
	} {
		t.Run(name, func(t *testing.T) {
			g, in, out := newRegistry(), make(chan string), make(chan string, 10)
			d := start(t, func(c *httpd.Config) {
				c.Alive, c.Limits.Recheck, c.Limits.Drain = g.alive, 5*time.Millisecond, 20*time.Millisecond
				c.MCP, c.SSE = held(in, out), held(in, out)
			})
			ask := func(text string) {
				c := dial(t, d.addr)
				if _, err := io.WriteString(c, strings.ReplaceAll(text, "{port}", d.port)); err != nil {
					t.Error(err)
				}
				<-in
			}
			ask(request("GET", "/sse", "", "Authorization: Bearer "+otherKey))
			want := map[string]bool{}
			for _, one := range [][2]string{{"GET", "/mcp"}, {"POST", "/mcp"}, {"GET", "/sse"}, {"POST", "/messages"}} {
				ask(request(one[0], one[1], ""))
				want["one "+one[0]+" "+one[1]] = true
			}
			g.say("one", errors.New("the database is away"))
			for range 3 {
				<-g.looks
			}
			if len(out) > 0 {
				t.Fatalf("%s ended without a reason", <-out)
			}
			g.say("one", said)
			for range len(want) {
				delete(want, <-out)
			}
			if len(want) > 0 || len(out) > 0 {
				t.Errorf("left %v, and %d more ended", want, len(out))
			}
			<-g.looks
			<-g.looks
			if len(out) > 0 {
				t.Errorf("%s ended too", <-out)
			}
			if err := d.stop(); err != nil {
				t.Error(err)
			}
			if logs := d.logs.String(); !strings.Contains(logs, "ended what a revoked agent had under way") || strings.Contains(logs, "the database is away") {
				t.Errorf("log:\n%s", logs)
			}
		})
	}
}

// TestOneQuestionForManyStreams: idle streams cost one question each time, not one
// each; without any nobody is asked.
func TestOneQuestionForManyStreams(t *testing.T) {
	g, in, out := newRegistry(), make(chan string), make(chan string, 100)
	d := start(t, func(c *httpd.Config) {
		c.Alive, c.Limits.Recheck = g.alive, 5*time.Millisecond
		c.SSE = held(in, out)
	})
	var mine []net.Conn
	for range 40 {
		c := dial(t, d.addr)
		_, _ = io.WriteString(c, strings.ReplaceAll(request("GET", "/sse", ""), "{port}", d.port))
		<-in
		mine = append(mine, c)
	}
	other := dial(t, d.addr)
	_, _ = io.WriteString(other, strings.ReplaceAll(request("GET", "/sse", "", "Authorization: Bearer "+otherKey), "{port}", d.port))
	<-in
	before, from := g.count("one"), g.count("two")
	for range 5 {
		<-g.looks
	}
	if asked, looks := g.count("one")-before, g.count("two")-from; asked > looks+1 {
		t.Errorf("%d questions about an agent with 40 streams in %d looks", asked, looks)
	}
	for _, c := range mine {
		_ = c.Close()
		<-out
	}
	for range 2 { // a look that began before the last went
		<-g.looks
	}
	before = g.count("one")
	for range 5 {
		<-g.looks
	}
	if asked := g.count("one") - before; asked > 0 {
		t.Errorf("%d questions about an agent that has left", asked)
	}
	_ = other.Close()
	<-out
}

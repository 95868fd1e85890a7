package redeem_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const canary = "sk-canary/Zq7+Wx2%Vy&9"

func newHandle(t *testing.T) string {
	t.Helper()
	text, err := mint.New("ash_")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func destination(t *testing.T, to, in string) vault.HTTPDestination {
	t.Helper()
	place, err := vault.ParsePlace(in)
	if err != nil {
		t.Fatal(err)
	}
	d, err := vault.ParseDestination(to, place)
	if err != nil {
		t.Fatal(err)
	}
	return *d.HTTP
}

func prepare(t *testing.T, c redeem.Call) *redeem.Prepared {
	t.Helper()
	p, err := redeem.Prepare(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// one is the values and places for a call with one handle.
func one(handle, value string, d vault.HTTPDestination) (map[string]secret.Value, map[string]redeem.Placement) {
	return map[string]secret.Value{handle: secret.New([]byte(value))}, map[string]redeem.Placement{handle: {Destination: d}}
}

func refusal(t *testing.T, err error) *redeem.Refusal {
	t.Helper()
	var r *redeem.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a refusal", err)
	}
	return r
}

func upstream(t *testing.T, err error, code string) {
	t.Helper()
	var u *redeem.Upstream
	if !errors.As(err, &u) || u.Code != code {
		t.Fatalf("got %v, want upstream code %s", err, code)
	}
}

// resolver answers every host with the addresses, and counts.
type resolver struct {
	mu    sync.Mutex
	addrs []string
	asked int
}

func (r *resolver) LookupNetIP(_ context.Context, _, _ string) ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	var out []netip.Addr
	for _, a := range r.addrs {
		out = append(out, netip.MustParseAddr(a))
	}
	return out, nil
}

// rawServer accepts connections on loopback, records every byte of one request
// on each, answers with reply and closes.
type rawServer struct {
	URL   string
	Port  string
	mu    sync.Mutex
	heads []string
}

func newRawServer(t *testing.T, reply string) *rawServer {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{URL: "http://" + listener.Addr().String()}
	_, s.Port, _ = net.SplitHostPort(listener.Addr().String())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.serve(conn, reply) })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); running.Wait() })
	return s
}

func (s *rawServer) serve(conn net.Conn, reply string) {
	defer func() { _ = conn.Close() }()
	var seen strings.Builder
	request, err := http.ReadRequest(bufio.NewReader(io.TeeReader(conn, &seen)))
	if err == nil {
		_, err = io.Copy(io.Discard, request.Body)
	}
	s.mu.Lock()
	s.heads = append(s.heads, seen.String())
	s.mu.Unlock()
	if err == nil {
		_, _ = io.WriteString(conn, reply)
	}
}

func (s *rawServer) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.heads...)
}

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

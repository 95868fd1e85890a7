package redeem_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func quiet(s *httptest.Server) {
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
}

// clean fails when err says anything of the canary.
func clean(t *testing.T, err error) {
	t.Helper()
	text := fmt.Sprintf("%v %+v %#v %q", err, err, err, errors.Unwrap(err))
	for _, form := range []string{
		canary, "canary", url.QueryEscape(canary), hex.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte(canary)), "http", "127.0.0.1", "example.com",
	} {
		if strings.Contains(text, form) {
			t.Fatalf("the error says %q: %s", form, text)
		}
	}
}

// everywhere is a call with the canary in a header, the query and Basic.
func everywhere(t *testing.T, client *redeem.Client, ctx context.Context, to string, network ...netip.Prefix) error { //nolint:revive // the context comes after what it is for
	t.Helper()
	for _, c := range []struct {
		in     string
		header string
		query  string
	}{{"header:X-Key", "X-Key", ""}, {"query:key", "", "key"}, {"basic:u:{}", "Authorization", ""}} {
		h := newHandle(t)
		d := destination(t, to, c.in)
		d.Network = network
		call := redeem.Call{Method: "POST", URL: to + "/", Body: "b"}
		switch {
		case c.query != "":
			call.Query = []redeem.Field{{c.query, h}}
		case c.header == "Authorization":
			call.Headers = []redeem.Field{{c.header, "Basic u:" + h}}
		default:
			call.Headers = []redeem.Field{{c.header, h}}
		}
		values, places := one(h, canary, d)
		_, err := client.Do(ctx, "agent:test", prepare(t, call), values, places)
		clean(t, err)
		if c.in == "basic:u:{}" {
			return err
		}
	}
	return nil
}

func TestUpstreamErrorsAreCodes(t *testing.T) {
	long := strings.Repeat("a", 70<<10)
	for name, c := range map[string]struct{ reply, code string }{
		"closed at once":        {"", redeem.CodeMalformed},
		"not HTTP":              {"SSH-2.0-" + canary + "\r\n", redeem.CodeMalformed},
		"broken status":         {"HTTP/1.1 " + canary + "\r\n\r\n", redeem.CodeMalformed},
		"strange status":        {"HTTP/1.1 999 " + canary + "\r\nContent-Length: 0\r\n\r\n", redeem.CodeMalformed},
		"broken header":         {"HTTP/1.1 200 OK\r\n" + canary + "\r\n\r\n", redeem.CodeMalformed},
		"two lengths":           {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", redeem.CodeMalformed},
		"headers too long":      {"HTTP/1.1 200 OK\r\nX-A: " + long + canary + "\r\n\r\n", redeem.CodeMalformed},
		"endless informational": {strings.Repeat("HTTP/1.1 103 Hints\r\nX-A: "+canary+"\r\n\r\n", 9000), redeem.CodeMalformed},
		"body cut":              {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + canary, redeem.CodeCut},
		"broken chunk":          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + canary + "\r\n", redeem.CodeCut},
		"chunk cut":             {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + canary, redeem.CodeCut},
		"upgrade":               {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n" + canary, redeem.CodeUpgrade},
		"a part":                {"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nsk", redeem.CodePartial},
	} {
		t.Run(name, func(t *testing.T) {
			server := newRawServer(t, c.reply)
			err := everywhere(t, redeem.NewClient(nil), t.Context(), server.URL)
			upstream(t, err, c.code)
			if n := len(server.requests()); n != 3 {
				t.Fatalf("%d requests for 3 calls", n)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, f.err
}

// hanging resolves when its context is over.
type hanging struct{}

func (hanging) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, errors.New(canary)
}

func TestFailures(t *testing.T) {
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	t.Run("resolver fails", func(t *testing.T) {
		client := redeem.NewClient(&redeem.Options{Resolver: failing{&net.DNSError{Err: canary, Name: canary}}})
		upstream(t, everywhere(t, client, t.Context(), "https://api.example.com"), redeem.CodeDNS)
	})
	t.Run("no address", func(t *testing.T) {
		upstream(t, everywhere(t, redeem.NewClient(&redeem.Options{Resolver: &resolver{}}), t.Context(), "https://api.example.com"), redeem.CodeDNS)
	})
	t.Run("resolver hangs", func(t *testing.T) {
		client := redeem.NewClient(&redeem.Options{Resolver: hanging{}, Timeout: time.Millisecond})
		upstream(t, everywhere(t, client, t.Context(), "https://api.example.com"), redeem.CodeTimeout)
	})
	t.Run("caller gave up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		upstream(t, everywhere(t, redeem.NewClient(&redeem.Options{Resolver: hanging{}}), ctx, "https://api.example.com"), redeem.CodeCanceled)
	})
	t.Run("nobody listens", func(t *testing.T) {
		var config net.ListenConfig
		l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		upstream(t, everywhere(t, redeem.NewClient(nil), t.Context(), "http://"+l.Addr().String()), redeem.CodeConnect)
	})
	t.Run("server hangs", func(t *testing.T) {
		release := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		defer server.Close()
		defer close(release)
		upstream(t, everywhere(t, redeem.NewClient(&redeem.Options{Timeout: 50 * time.Millisecond}), t.Context(), server.URL), redeem.CodeTimeout)
	})
	t.Run("body hangs", func(t *testing.T) {
		release := make(chan struct{})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(canary))
			_ = http.NewResponseController(w).Flush()
			<-release
		}))
		defer server.Close()
		defer close(release)
		upstream(t, everywhere(t, redeem.NewClient(&redeem.Options{Timeout: 100 * time.Millisecond}), t.Context(), server.URL), redeem.CodeTimeout)
	})
	t.Run("TLS", func(t *testing.T) {
		server, opts, d := secure(t, http.NotFoundHandler(), quiet)
		right := vault.Destination{HTTP: &d}.String()
		strangers := &redeem.Options{Resolver: opts.Resolver}
		upstream(t, everywhere(t, redeem.NewClient(strangers), t.Context(), right, loopback), redeem.CodeTLS)
		wrongName := strings.Replace(right, "example.com", "example.org", 1)
		upstream(t, everywhere(t, redeem.NewClient(opts), t.Context(), wrongName, loopback), redeem.CodeTLS)
		_ = server
	})
	t.Run("no TLS there", func(t *testing.T) {
		server := newRawServer(t, okReply)
		upstream(t, everywhere(t, redeem.NewClient(nil), t.Context(), strings.Replace(server.URL, "http", "https", 1)), redeem.CodeTLS)
	})
	t.Run("unfit value", func(t *testing.T) {
		h := newHandle(t)
		values, places := one(h, canary+"\r\nX: y", destination(t, "api.example.com", "header:X-Key"))
		_, err := redeem.NewClient(nil).Do(t.Context(), "agent:test", prepare(t, redeem.Call{URL: base, Headers: []redeem.Field{{"X-Key", h}}}), values, places)
		if r := refusal(t, err); r.Code != redeem.CodeValue {
			t.Fatal(r)
		}
		clean(t, err)
	})
}

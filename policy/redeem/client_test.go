package redeem_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// ask sends one call with the canary in header X-Key to url.
func ask(t *testing.T, client *redeem.Client, method, url string) (*redeem.Response, error) {
	t.Helper()
	h := newHandle(t)
	p := prepare(t, redeem.Call{Method: method, URL: url, Headers: []redeem.Field{{"X-Key", h}}})
	d := destination(t, p.Target().Origin(), "header:X-Key")
	values, places := one(h, canary, d)
	return client.Do(t.Context(), "agent:test", p, values, places)
}

func TestSentIsWhatWasChecked(t *testing.T) {
	server := newRawServer(t, okReply)
	h := newHandle(t)
	p := prepare(t, redeem.Call{
		Method: "post", URL: server.URL + "/v1/%61%c3%a9;x=1?q=%2f&key=" + h + "&x[]", Query: []redeem.Field{{"a b", "c&d"}},
		Headers: []redeem.Field{{"x-trace", "1"}, {"X-Trace", "2"}, {"user-agent", "me"}}, Body: `{"a":1}`,
	})
	if want := (vault.Target{Scheme: "http", Host: "127.0.0.1", Port: port(t, server.Port), Method: "POST", Path: "/v1/a%C3%A9;x=1"}); p.Target() != want {
		t.Fatalf("%+v", p.Target())
	}
	values, places := one(h, canary, destination(t, "POST "+server.URL, "query:key"))
	r, err := redeem.NewClient(nil).Do(t.Context(), "agent:test", p, values, places)
	if err != nil || r.Status != 200 || string(r.Body) != "ok" || r.Truncated {
		t.Fatalf("%+v %v", r, err)
	}
	got := server.requests()
	want := "POST /v1/a%C3%A9;x=1?q=%2f&key=sk-canary%2FZq7%2BWx2%25Vy%269&x[]&a%20b=c%26d HTTP/1.1\r\n" +
		"Host: 127.0.0.1:" + server.Port + "\r\nUser-Agent: me\r\nContent-Length: 7\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\nContent-Type: application/json\r\nX-Trace: 1\r\nX-Trace: 2\r\nConnection: close\r\n\r\n{\"a\":1}"
	if len(got) != 1 || got[0] != want {
		t.Fatalf("got\n%q\nwant\n%q", got, want)
	}
}

func port(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, header := range []string{"Authorization", "X-Api-Key", "Private-Token", "X-Vault-Token", "Ocp-Apim-Subscription-Key", "X-Goog-Api-Key", "Cookie"} {
			t.Run(fmt.Sprint(status, header), func(t *testing.T) {
				second := newRawServer(t, okReply)
				other := "http://localhost:" + second.Port + "/next?x=1"
				first := newRawServer(t, fmt.Sprintf("HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", status, other))
				h := newHandle(t)
				values, places := one(h, canary, destination(t, first.URL, "header:"+header))
				p := prepare(t, redeem.Call{Method: "POST", URL: first.URL + "/", Headers: []redeem.Field{{header, h}}, Body: "b"})
				r, err := redeem.NewClient(nil).Do(t.Context(), "agent:test", p, values, places)
				if err != nil || r.Status != status || r.Redirect != other {
					t.Fatalf("%+v %v", r, err)
				}
				if n, m := len(first.requests()), len(second.requests()); n != 1 || m != 0 {
					t.Fatalf("%d and %d requests", n, m)
				}
			})
		}
	}
}

func TestRedirectIsAbsolute(t *testing.T) {
	for location, want := range map[string]string{"/b": "/b", "b?c": "/a/b?c", "../x": "/x", "//evil.example/x": "http://evil.example/x", "http://[": "http://["} {
		server := newRawServer(t, "HTTP/1.1 302 Found\r\nLocation: "+location+"\r\nContent-Length: 0\r\n\r\n")
		if want[0] == '/' {
			want = server.URL + want
		}
		if r, err := ask(t, redeem.NewClient(nil), "GET", server.URL+"/a/"); err != nil || r.Redirect != want {
			t.Errorf("%s: %v %v", location, r, err)
		}
	}
}

func TestResponseHeaders(t *testing.T) {
	server := newRawServer(t, "HTTP/1.1 200 "+canary+"\r\nContent-Length: 0\r\nX-B: 2\r\nX-A: 1\r\nx-b: 1\r\nConnection: x-hop\r\nX-Hop: a\r\nKeep-Alive: a\r\n"+
		"Proxy-Authenticate: a\r\nTrailer: X-T\r\nUpgrade: x\r\nSet-Cookie: a=b\r\n\r\n")
	r, err := ask(t, redeem.NewClient(nil), "GET", server.URL)
	want := []redeem.Field{{"Set-Cookie", "a=b"}, {"X-A", "1"}, {"X-B", "2"}, {"X-B", "1"}}
	if err != nil || !slices.Equal(r.Headers, want) {
		t.Fatalf("%+v %v", r, err)
	}
}

func TestResponseBodies(t *testing.T) {
	for name, c := range map[string]struct {
		reply     string
		body      string
		truncated bool
		withheld  string
	}{
		"at the limit":     {"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n12345678", "12345678", false, ""},
		"over the limit":   {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789", "12345678", true, ""},
		"chunked":          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n", "abcde", false, ""},
		"until the end":    {"HTTP/1.1 200 OK\r\n\r\nabc", "abc", false, ""},
		"identity":         {"HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 1\r\n\r\na", "a", false, ""},
		"listed":           {"HTTP/1.1 200 OK\r\nContent-Encoding: identity, rot13\r\nContent-Length: 1\r\n\r\na", "", false, redeem.WithheldEncoding},
		"listed twice":     {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Encoding: rot13\r\nContent-Length: 1\r\n\r\na", "", false, redeem.WithheldEncoding},
		"unknown":          {"HTTP/1.1 200 OK\r\nContent-Encoding: rot13\r\nContent-Length: 1\r\n\r\na", "", false, redeem.WithheldEncoding},
		"informational":    {"HTTP/1.1 103 Early Hints\r\nLink: <" + canary + ">\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "a", false, ""},
		"an error's":       {"HTTP/1.1 500 Oops\r\nContent-Length: 3\r\n\r\nbad", "bad", false, ""},
		"one more answer ": {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb", "a", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := newRawServer(t, c.reply)
			r, err := ask(t, redeem.NewClient(&redeem.Options{MaxBody: 8}), "GET", server.URL)
			if err != nil || string(r.Body) != c.body || r.Truncated != c.truncated || r.Withheld != c.withheld {
				t.Fatalf("%+v %v", r, err)
			}
		})
	}
}

// secure starts a TLS server that example.com leads to.
func secure(t *testing.T, handler http.Handler, config func(*httptest.Server)) (*httptest.Server, *redeem.Options, vault.HTTPDestination) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	if config != nil {
		config(server)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	_, number, _ := net.SplitHostPort(server.Listener.Addr().String())
	d := destination(t, "https://example.com:"+number, "header:X-Key")
	d.Network = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	return server, &redeem.Options{Resolver: &resolver{addrs: []string{"127.0.0.1"}}, RootCAs: roots}, d
}

func TestTLS(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprint("h2 ", h2), func(t *testing.T) {
			var seen atomic.Pointer[http.Request]
			server, opts, d := secure(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen.Store(r)
				_, _ = fmt.Fprint(w, r.TLS.ServerName)
			}), func(s *httptest.Server) { s.EnableHTTP2 = h2 })
			_ = server
			h := newHandle(t)
			values, places := one(h, canary, d)
			p := prepare(t, redeem.Call{URL: d.Scheme + "://EXAMPLE.com.:" + strconv.Itoa(d.Port) + "/a%2C?b=%2f", Headers: []redeem.Field{{"X-Key", h}}})
			r, err := redeem.NewClient(opts).Do(t.Context(), "agent:test", p, values, places)
			if err != nil || string(r.Body) != "example.com" {
				t.Fatalf("%+v %v", r, err)
			}
			got := seen.Load()
			if got.Host != "example.com:"+strconv.Itoa(d.Port) || got.RequestURI != "/a%2C?b=%2f" || got.Header.Get("X-Key") != canary || (got.ProtoMajor == 2) != h2 {
				t.Fatalf("%+v", got)
			}
			if n := opts.Resolver.(*resolver).asked; n != 1 {
				t.Fatalf("resolved %d times", n)
			}
		})
	}
}

// The environment is read once in a process, so the test runs in one of its
// own, whose proxy is this process.
func TestNoProxyFromTheEnvironment(t *testing.T) {
	const inside = "REDEEM_TEST_INSIDE"
	if os.Getenv(inside) == "" {
		proxy := newRawServer(t, okReply)
		command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNoProxyFromTheEnvironment$")
		command.Env = append(os.Environ(), inside+"=1")
		for _, name := range []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"} {
			command.Env = append(command.Env, name+"="+proxy.URL)
		}
		if out, err := command.CombinedOutput(); err != nil || len(proxy.requests()) != 0 {
			t.Fatalf("%d requests to the proxy, %v: %s", len(proxy.requests()), err, out)
		}
		return
	}
	server := newRawServer(t, okReply)
	h := newHandle(t)
	d := destination(t, "http://example.com:"+server.Port, "header:X-Key") // not a loopback name, which proxies are never asked for
	d.Network = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	values, places := one(h, canary, d)
	client := redeem.NewClient(&redeem.Options{Resolver: &resolver{addrs: []string{"127.0.0.1"}}})
	if _, err := client.Do(t.Context(), "agent:test", prepare(t, redeem.Call{URL: "http://example.com:" + server.Port, Headers: []redeem.Field{{"X-Key", h}}}), values, places); err != nil {
		t.Fatal(err)
	}
	if got := server.requests(); len(got) != 1 || !strings.HasPrefix(got[0], "GET / HTTP/1.1\r\n") {
		t.Fatalf("%q", got)
	}
}

// flip answers with a public address first and with loopback ever after.
func TestRebinding(t *testing.T) {
	names := &resolver{}
	var dialled []string
	client := redeem.NewClient(&redeem.Options{Resolver: names, Control: func(_, address string, _ syscall.RawConn) error {
		names.addrs = []string{"127.0.0.1"} // the attacker's answer to any second question
		dialled = append(dialled, address)
		return syscall.ECONNREFUSED
	}})
	for range 200 {
		names.addrs, names.asked, dialled = []string{"8.8.8.8", "2001:4860:4860::8888", "1.1.1.1"}, 0, nil
		_, err := client.Do(t.Context(), "agent:test", prepare(t, redeem.Call{URL: "http://api.example.com/"}), nil, nil)
		upstream(t, err, redeem.CodeConnect)
		if names.asked != 1 || !slices.Equal(dialled, []string{"8.8.8.8:80", "[2001:4860:4860::8888]:80", "1.1.1.1:80"}) {
			t.Fatalf("resolved %d times, dialled %v", names.asked, dialled)
		}
	}
}

// Two secrets in one request: an address must be open to both.
func TestNetworksDoNotAddUp(t *testing.T) {
	server := newRawServer(t, okReply)
	a, b := newHandle(t), newHandle(t)
	open, shut := destination(t, "http://example.com:"+server.Port, "header:X-A"), destination(t, "http://example.com:"+server.Port, "header:X-B")
	open.Network = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	p := prepare(t, redeem.Call{URL: "http://example.com:" + server.Port, Headers: []redeem.Field{{"X-A", a}, {"X-B", b}}})
	value := secret.New([]byte(canary))
	_, err := redeem.NewClient(&redeem.Options{Resolver: &resolver{addrs: []string{"127.0.0.1"}}}).Do(t.Context(), "agent:test", p,
		map[string]secret.Value{a: value, b: value}, map[string]redeem.Placement{a: {Destination: open}, b: {Destination: shut}})
	if r := refusal(t, err); r.Code != redeem.CodeAddress || len(server.requests()) != 0 {
		t.Fatal(r)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	_, opts, d := secure(t, http.NotFoundHandler(), func(s *httptest.Server) {
		s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
		quiet(s)
	})
	h := newHandle(t)
	values, places := one(h, canary, d)
	_, err := redeem.NewClient(opts).Do(t.Context(), "agent:test", prepare(t, redeem.Call{URL: vault.Destination{HTTP: &d}.String(), Headers: []redeem.Field{{"X-Key", h}}}), values, places)
	upstream(t, err, redeem.CodeTLS)
}

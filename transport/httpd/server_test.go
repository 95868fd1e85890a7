package httpd_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/httpd"
)

func TestHealth(t *testing.T) {
	d := start(t, nil)
	a := d.raw(t, request("GET", "/healthz", "", "-Authorization"))
	want(t, a, 200, "")
	if a.body != `{"status":"ok","version":"1.2.3"}` || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%v %q", a.header, a.body)
	}
	if a = d.raw(t, request("HEAD", "/healthz", "", "-Authorization")); a.status != 200 || a.body != "" {
		t.Fatalf("HEAD: %d %q", a.status, a.body)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "BREW"} {
		a = d.raw(t, request(method, "/healthz", ""))
		want(t, a, 405, "METHOD_NOT_ALLOWED")
		if a.header.Get("Allow") != "GET, HEAD" {
			t.Fatal("does not say what is allowed")
		}
	}
}

// TestHardened has a handler that says all it should not.
func TestHardened(t *testing.T) {
	d := start(t, func(c *httpd.Config) {
		c.MCP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for name, v := range map[string]string{
				"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Credentials": "true", "Server": "x/1", "X-Powered-By": "x",
				"Cache-Control": "public", "Content-Type": "application/json", "Mcp-Session-Id": "s",
			} {
				w.Header().Set(name, v)
			}
			switch r.URL.RawQuery {
			case "flush":
				w.(http.Flusher).Flush()
			case "write":
				_, _ = io.WriteString(w, "{}")
			case "status":
				w.WriteHeader(http.StatusAccepted)
			}
		})
	})
	for _, target := range []string{"/mcp?flush", "/mcp?write", "/mcp?status", "/mcp", "/healthz", "/nothing"} {
		t.Run(target, func(t *testing.T) {
			a := d.raw(t, request("GET", target, ""))
			for name, v := range map[string]string{
				"Access-Control-Allow-Origin": "", "Access-Control-Allow-Credentials": "", "Server": "", "X-Powered-By": "",
				"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Resource-Policy": "same-origin", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
				"Content-Type": "application/json",
			} {
				if got := a.header.Get(name); got != v {
					t.Errorf("%s: %q, want %q", name, got, v)
				}
			}
			if strings.HasPrefix(target, "/mcp") && a.header.Get("Mcp-Session-Id") != "s" {
				t.Error("the session id is lost")
			}
		})
	}
}

func TestPanic(t *testing.T) {
	const canary = "sk-live-canary"
	d := start(t, func(c *httpd.Config) {
		c.MCP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Canary", canary)
			if r.URL.RawQuery == "late" {
				_, _ = io.WriteString(w, "part")
				w.(http.Flusher).Flush()
			}
			if r.URL.RawQuery == "abort" {
				panic(http.ErrAbortHandler)
			}
			panic(errors.New(canary))
		})
	})
	t.Run("before the answer", func(t *testing.T) {
		a := d.raw(t, request("POST", "/mcp", "{}"))
		want(t, a, 500, "INTERNAL")
		_, ref, ok := strings.Cut(a.body, "reference ")
		if ref, _, _ = strings.Cut(ref, `"`); !ok || len(ref) != 12 || !strings.Contains(d.logs.String(), ref) {
			t.Fatalf("no reference that the log knows: %q", a.body)
		}
		if strings.Contains(a.body, canary) || a.header.Get("X-Canary") != "" {
			t.Fatal("the handler's text is in the answer")
		}
	})
	for _, how := range []string{"late", "abort"} {
		t.Run(how, func(t *testing.T) {
			c := dial(t, d.addr)
			_, _ = io.WriteString(c, strings.ReplaceAll(request("POST", "/mcp?"+how, "{}"), "{port}", d.port))
			if got := ends(t, c); strings.HasSuffix(got, "0\r\n\r\n") || strings.Contains(got, "INTERNAL") {
				t.Fatalf("a cut answer looks whole: %q", got)
			}
		})
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	if logs := d.logs.String(); strings.Contains(logs, canary) || !strings.Contains(logs, "server_test.go") && !strings.Contains(logs, "TestPanic") {
		t.Fatalf("the log has the panic's text, or not its place:\n%s", logs)
	}
}

func TestServeEnds(t *testing.T) {
	in, out := make(chan struct{}), make(chan struct{})
	d := start(t, func(c *httpd.Config) {
		c.MCP = hold(in, out)
		c.Limits.Drain = 4 * time.Second // less than net/http gives a connection that has sent nothing
	})
	call, stream, idle := dial(t, d.addr), dial(t, d.addr), dial(t, d.addr)
	for c, method := range map[net.Conn]string{call: "POST", stream: "GET"} {
		_, _ = io.WriteString(c, strings.ReplaceAll(request(method, "/mcp", ""), "{port}", d.port))
		<-in
	}
	stopped := make(chan error, 1)
	go func() { stopped <- d.stop() }()
	want(t, read(t, stream, "GET"), http.StatusTeapot, "") // ended at once
	ends(t, idle)
	select {
	case err := <-stopped:
		t.Fatalf("did not wait for the call under way: %v", err)
	default:
	}
	close(out)
	want(t, read(t, call, "POST"), 200, "")
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", d.addr); err == nil {
		_ = c.Close()
		t.Fatal("still listening")
	}
	if logs := d.logs.String(); !strings.Contains(logs, "addr="+d.addr) {
		t.Fatalf("the log does not say where it listens:\n%s", logs)
	}
}

// TestServeTellsStreams: a stream of /sse goes on after the server has stopped,
// learns of it, and is waited for.
func TestServeTellsStreams(t *testing.T) {
	in, last := make(chan struct{}), make(chan struct{})
	d := start(t, func(c *httpd.Config) {
		c.SSE = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			in <- struct{}{}
			<-httpd.Stopping(r.Context())
			<-last
			if r.Context().Err() == nil {
				_, _ = io.WriteString(w, "last words")
			}
		})
	})
	stream := dial(t, d.addr)
	_, _ = io.WriteString(stream, strings.ReplaceAll(request("GET", "/sse", ""), "{port}", d.port))
	<-in
	stopped := make(chan error, 1)
	go func() { stopped <- d.stop() }()
	last <- struct{}{}
	if a := read(t, stream, "GET"); a.status != 200 || a.body != "last words" {
		t.Fatalf("%d %q", a.status, a.body)
	}
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if httpd.Stopping(t.Context()) != nil {
		t.Fatal("stopping without a server")
	}
}

func TestWithoutSSE(t *testing.T) {
	d := start(t, func(c *httpd.Config) { c.SSE = nil })
	for _, route := range []string{"/sse", "/messages"} {
		want(t, d.raw(t, request("GET", route, "")), 404, "NOT_FOUND")
	}
}

func TestServeCutsWhatDoesNotEnd(t *testing.T) {
	in, ended := make(chan struct{}), make(chan struct{})
	d := start(t, func(c *httpd.Config) {
		c.Limits.Drain = 20 * time.Millisecond
		c.MCP = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			in <- struct{}{}
			<-r.Context().Done()
			close(ended)
		})
	})
	c := dial(t, d.addr)
	_, _ = io.WriteString(c, strings.ReplaceAll(request("POST", "/mcp", "{}"), "{port}", d.port))
	<-in
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	default:
		t.Fatal("Serve returned with a handler running")
	}
}

func TestNewRefuses(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.pem")
	for name, tt := range map[string]struct {
		change func(*httpd.Config)
		says   string
	}{
		"no authentication":  {func(c *httpd.Config) { c.Authenticate = nil }, "required"},
		"nobody alive":       {func(c *httpd.Config) { c.Alive = nil }, "required"},
		"no handler":         {func(c *httpd.Config) { c.MCP = nil }, "required"},
		"no readiness":       {func(c *httpd.Config) { c.Ready = nil }, "required"},
		"everywhere":         {func(c *httpd.Config) { c.Listen = "0.0.0.0:0" }, "clear text"},
		"everywhere v6":      {func(c *httpd.Config) { c.Listen = "[::]:0" }, "clear text"},
		"private":            {func(c *httpd.Config) { c.Listen = "192.168.1.1:0" }, "clear text"},
		"name":               {func(c *httpd.Config) { c.Listen = "desk.example.com:0" }, "IP address"},
		"no port":            {func(c *httpd.Config) { c.Listen = "127.0.0.1" }, "ADDRESS:PORT"},
		"port too large":     {func(c *httpd.Config) { c.Listen = "127.0.0.1:70000" }, "65535"},
		"port name":          {func(c *httpd.Config) { c.Listen = "127.0.0.1:http" }, "65535"},
		"certificate alone":  {func(c *httpd.Config) { c.CertFile = missing }, "key file"},
		"key alone":          {func(c *httpd.Config) { c.KeyFile = missing }, "certificate file"},
		"no such file":       {func(c *httpd.Config) { c.CertFile, c.KeyFile = missing, missing }, "TLS certificate"},
		"host with scheme":   {func(c *httpd.Config) { c.AllowHosts = []string{"https://desk.example.com"} }, "allowed host"},
		"host wildcard":      {func(c *httpd.Config) { c.AllowHosts = []string{"*.example.com"} }, "allowed host"},
		"any host":           {func(c *httpd.Config) { c.AllowHosts = []string{"*"} }, "allowed host"},
		"empty host":         {func(c *httpd.Config) { c.AllowHosts = []string{""} }, "allowed host"},
		"host with path":     {func(c *httpd.Config) { c.AllowHosts = []string{"desk.example.com/x"} }, "allowed host"},
		"host with user":     {func(c *httpd.Config) { c.AllowHosts = []string{"a@desk.example.com"} }, "allowed host"},
		"host without port":  {func(c *httpd.Config) { c.AllowHosts = []string{"desk.example.com:"} }, "allowed host"},
		"any origin":         {func(c *httpd.Config) { c.AllowOrigins = []string{"*"} }, "allowed origin"},
		"null origin":        {func(c *httpd.Config) { c.AllowOrigins = []string{"null"} }, "allowed origin"},
		"origin with path":   {func(c *httpd.Config) { c.AllowOrigins = []string{"https://a.example/"} }, "allowed origin"},
		"origin w/o scheme":  {func(c *httpd.Config) { c.AllowOrigins = []string{"a.example"} }, "allowed origin"},
		"origin wildcard":    {func(c *httpd.Config) { c.AllowOrigins = []string{"https://*.example"} }, "allowed origin"},
		"negative limit":     {func(c *httpd.Config) { c.Limits.Body = -1 }, "negative"},
		"tiny header limit":  {func(c *httpd.Config) { c.Limits.Header = 100 }, "header limit"},
		"negative recheck":   {func(c *httpd.Config) { c.Limits.Recheck = -1 }, "negative"},
		"open path alone":    {func(c *httpd.Config) { c.RESTOpen = []string{"/v1/health"} }, "/v1/"},
		"open path of MCP":   {func(c *httpd.Config) { c.REST, c.RESTOpen = http.NotFoundHandler(), []string{"/mcp"} }, "/v1/"},
		"everybody trusted":  {func(c *httpd.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")} }, "trusted proxy"},
		"bits beyond":        {func(c *httpd.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")} }, "trusted proxy"},
		"IPv4 in IPv6":       {func(c *httpd.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")} }, "trusted proxy"},
		"no proxy":           {func(c *httpd.Config) { c.TrustedProxies = make([]netip.Prefix, 1) }, "trusted proxy"},
		"negative rate":      {func(c *httpd.Config) { c.Limits.Rate = -1 }, "negative"},
		"negative open rate": {func(c *httpd.Config) { c.Limits.OpenRate = -1 }, "negative"},
		"negative failures":  {func(c *httpd.Config) { c.Limits.Failures = -1 }, "negative"},
		"negative principal": {func(c *httpd.Config) { c.Limits.PerPrincipal = -1 }, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := httpd.Config{Listen: ":0", Authenticate: authenticate, Alive: alive, MCP: http.NotFoundHandler(), Ready: ready}
			tt.change(&cfg)
			srv, err := httpd.New(cfg)
			if err == nil {
				_ = srv.Close()
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("says %q, want %q in it", err, tt.says)
			}
			if tt.says == "clear text" && !errors.Is(err, httpd.ErrInsecureListen) {
				t.Fatal("not ErrInsecureListen")
			}
		})
	}
}

func TestListen(t *testing.T) {
	for listen, url := range map[string]string{
		":0": "http://127.0.0.1:", "127.0.0.1:0": "http://127.0.0.1:", "localhost:0": "http://127.0.0.1:", "LOCALHOST:0": "http://127.0.0.1:",
	} {
		t.Run(listen, func(t *testing.T) {
			d := start(t, func(c *httpd.Config) { c.Listen = listen })
			if !strings.HasPrefix(d.addr, "127.0.0.1:") || d.url != url+d.port {
				t.Fatalf("listens at %s, says %s", d.addr, d.url)
			}
		})
	}
	t.Run("taken", func(t *testing.T) {
		d := start(t, nil)
		if _, err := httpd.New(httpd.Config{Listen: d.addr, Authenticate: authenticate, Alive: alive, MCP: http.NotFoundHandler(), Ready: ready}); err == nil {
			t.Fatal("bound twice")
		}
	})
	t.Run("everywhere by request", func(t *testing.T) {
		d := start(t, func(c *httpd.Config) { c.Listen, c.InsecureListen = "0.0.0.0:0", true })
		if d.url != "http://127.0.0.1:"+d.port {
			t.Fatalf("says %s", d.url)
		}
		want(t, d.raw(t, request("GET", "/healthz", "", "Host: 0.0.0.0:{port}")), 403, "HOST_REFUSED")
	})
	t.Run("closed without serving", func(t *testing.T) {
		srv, err := httpd.New(httpd.Config{Listen: ":0", Authenticate: authenticate, Alive: alive, MCP: http.NotFoundHandler(), Ready: ready})
		if err != nil {
			t.Fatal(err)
		}
		if err := srv.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestTLS(t *testing.T) {
	cert, certFile, keyFile := certificate(t)
	d := start(t, func(c *httpd.Config) {
		c.CertFile, c.KeyFile = certFile, keyFile
		c.Listen = "0.0.0.0:0" // needs no flag with TLS
		c.AllowHosts = []string{"desk.example.com"}
		c.Limits.Connections = 2
	})
	if d.url != "https://127.0.0.1:"+d.port {
		t.Fatalf("says %s", d.url)
	}
	addr := "127.0.0.1:" + d.port
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	ask := func(t *testing.T, fields ...string) answer {
		t.Helper()
		c := tls.Client(dial(t, addr), &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", NextProtos: []string{"h2", "http/1.1"}})
		_, _ = io.WriteString(c, strings.ReplaceAll(request("POST", "/mcp", "{}", fields...), "{port}", d.port))
		return read(t, c, "POST")
	}
	for range 5 { // more than connections may be open: those that wait give way
		want(t, ask(t), 200, "")
	}
	want(t, ask(t, "Host: desk.example.com"), 200, "")
	want(t, ask(t, "Host: evil.example:{port}"), 403, "HOST_REFUSED")
	want(t, ask(t, "Origin: https://127.0.0.1:{port}"), 403, "ORIGIN_REFUSED")
	t.Run("plain text", func(t *testing.T) {
		c := dial(t, addr)
		_, _ = io.WriteString(c, "GET /healthz?canary HTTP/1.1\r\nHost: x\r\n\r\n")
		if got := ends(t, c); strings.Contains(got, "200 OK") {
			t.Fatalf("answered %q", got)
		}
	})
	t.Run("garbage", func(t *testing.T) {
		c := dial(t, addr)
		_, _ = io.WriteString(c, "\x16\x03\x01canary canary canary canary")
		ends(t, c)
	})
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	logs := d.logs.String()
	if strings.Contains(logs, "canary") || !strings.Contains(logs, `msg="http server" kind="TLS handshake error"`) {
		t.Fatalf("log:\n%s", logs)
	}
}

func TestServeError(t *testing.T) {
	srv, err := httpd.New(httpd.Config{Listen: ":0", Authenticate: authenticate, Alive: alive, MCP: http.NotFoundHandler(), Ready: ready})
	if err != nil {
		t.Fatal(err)
	}
	_ = srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := srv.Serve(ctx); err == nil {
		t.Fatal("served on a closed socket")
	}
}

// TestListenerBreaks: a call under way is answered and its handler has ended when
// Serve returns what broke.
func TestListenerBreaks(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	var left atomic.Bool
	srv, err := httpd.New(httpd.Config{Listen: ":0", Authenticate: authenticate, Alive: alive, Ready: ready, MCP: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "done")
		left.Store(true)
	})})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- srv.Serve(t.Context()) }()
	addr := srv.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	idle, call := dial(t, addr), dial(t, addr)
	if _, err := io.WriteString(call, strings.ReplaceAll(request("POST", "/mcp", "{}"), "{port}", port)); err != nil {
		t.Fatal(err)
	}
	<-entered
	if err := srv.Break(); err != nil {
		t.Fatal(err)
	}
	ends(t, idle) // the server has noticed
	close(release)
	if got := read(t, call, "POST"); got.status != http.StatusOK || got.body != "done" {
		t.Errorf("answered %d %q", got.status, got.body)
	}
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
	if !left.Load() {
		t.Error("Serve returned before the handler")
	}
}

// certificate makes a self-signed one for 127.0.0.1.
func certificate(t *testing.T) (cert *x509.Certificate, certFile, keyFile string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return cert, write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
}

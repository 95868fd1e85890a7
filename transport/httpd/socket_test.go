//go:build linux || darwin

package httpd_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/httpd"
	"github.com/coatcheck-dev/coatcheck/transport/socket"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// socketPath is where a test may have a socket.
func socketPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "run", "desk.sock")
}

// overSocket sends bytes as they are.
func overSocket(t *testing.T, path, text string) answer {
	t.Helper()
	c, _, err := socket.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err = errors.Join(err, r.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return answer{r.StatusCode, r.Header, string(body)}
}

// TestSocket: what holds over TCP holds here, with one Host and no Origin.
func TestSocket(t *testing.T) {
	path := socketPath(t)
	d := start(t, func(c *httpd.Config) {
		c.Socket, c.Private = path, []string{"/home/of/desk"}
		c.Program = "/usr/bin/desk"
		c.AllowHosts, c.AllowOrigins = []string{"desk.example.com"}, []string{"https://app.example.com"}
		c.Limits.Body = 100
	})
	post := func(fields, body string) string {
		return "POST /mcp HTTP/1.1\r\nContent-Type: application/json\r\n" + fields + "\r\n" + body
	}
	const bearer = "Authorization: Bearer " + key + "\r\n"
	for name, test := range map[string]struct {
		text   string
		status int
		body   string
	}{
		"a call":           {post("Host: localhost\r\nContent-Length: 2\r\n"+bearer, "{}"), http.StatusOK, "2"},
		"no key":           {post("Host: localhost\r\nContent-Length: 2\r\n", "{}"), http.StatusUnauthorized, "UNAUTHORIZED"},
		"too large":        {post("Host: localhost\r\nContent-Length: 101\r\n"+bearer, ""), http.StatusRequestEntityTooLarge, "BODY_TOO_LARGE"},
		"health":           {"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", http.StatusOK, `"private":["/home/of/desk"],"program":"/usr/bin/desk"`},
		"an address":       {"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", http.StatusForbidden, "HOST_REFUSED"},
		"a port":           {"GET /healthz HTTP/1.1\r\nHost: localhost:" + d.port + "\r\n\r\n", http.StatusForbidden, "HOST_REFUSED"},
		"an empty port":    {"GET /healthz HTTP/1.1\r\nHost: localhost:\r\n\r\n", http.StatusForbidden, "HOST_REFUSED"},
		"an allowed host":  {"GET /healthz HTTP/1.1\r\nHost: desk.example.com\r\n\r\n", http.StatusForbidden, "HOST_REFUSED"},
		"no host":          {"GET /healthz HTTP/1.1\r\nHost: \r\n\r\n", http.StatusForbidden, "HOST_REFUSED"},
		"an origin":        {"GET /healthz HTTP/1.1\r\nHost: localhost\r\nOrigin: https://app.example.com\r\n\r\n", http.StatusForbidden, "ORIGIN_REFUSED"},
		"nothing there":    {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", http.StatusNotFound, "NOT_FOUND"},
		"an absolute form": {"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", http.StatusBadRequest, "BAD_TARGET"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := overSocket(t, path, test.text); got.status != test.status || !strings.Contains(got.body, test.body) {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	if got := d.raw(t, "GET /healthz HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"); got.status != http.StatusOK || strings.Contains(got.body, "private") {
		t.Errorf("over TCP: %d %s", got.status, got.body)
	}
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket after the end: %v", err)
	}
}

// TestSocketAlone: without TCP there is nothing but the socket.
func TestSocketAlone(t *testing.T) {
	path := socketPath(t)
	d := start(t, func(c *httpd.Config) { c.Listen, c.Socket = httpd.NoListen, path })
	if d.url != "" || d.addr != path {
		t.Errorf("serves %q at %q", d.url, d.addr)
	}
	if got := overSocket(t, path, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestSocketRefused: what cannot be served is an error before anything is.
func TestSocketRefused(t *testing.T) {
	loose := t.TempDir()
	if err := os.Chmod(loose, 0o777); err != nil {
		t.Fatal(err)
	}
	taken := socketPath(t)
	start(t, func(c *httpd.Config) { c.Socket = taken })
	for name, test := range map[string]struct {
		listen, path string
		want         error
	}{
		"nothing to listen on": {httpd.NoListen, "", nil},
		"a relative path":      {":0", "desk.sock", socket.ErrPath},
		"an open folder":       {":0", filepath.Join(loose, "desk.sock"), vault.ErrLoosePermissions},
		"in use":               {":0", taken, socket.ErrInUse},
	} {
		srv, err := httpd.New(httpd.Config{Listen: test.listen, Socket: test.path, Authenticate: authenticate, Alive: alive, MCP: http.NotFoundHandler(), Ready: ready})
		if err == nil {
			t.Errorf("%s: served at %v, %v", name, srv.Addr(), srv.Close())
		}
		if test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestStrangers: a user who tries on does not fill the log.
func TestStrangers(t *testing.T) {
	var text bytes.Buffer
	refused := httpd.Strangers(slog.New(slog.NewTextHandler(&text, nil)))
	for range 100 {
		refused(1001, nil)
		refused(1002, nil)
	}
	refused(0, errors.New("no such option"))
	if got := strings.Count(text.String(), "turned away"); got != 2 || strings.Count(text.String(), "level=ERROR") != 1 {
		t.Errorf("%d warnings:\n%s", got, text.String())
	}
}

// TestSocketSource: over the socket there is no address, whatever a field says;
// what is wrong is charged to the user.
func TestSocketSource(t *testing.T) {
	path := socketPath(t)
	var addrs []string
	d := start(t, func(c *httpd.Config) {
		c.Socket, c.Limits.Failures = path, 1
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/1"), netip.MustParsePrefix("::/1")}
		c.Authenticate = func(ctx context.Context, k, addr string) (identity.Principal, error) {
			addrs = append(addrs, addr)
			return authenticate(ctx, k, addr)
		}
		c.REST = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			who, _ := httpd.PrincipalFrom(r.Context())
			addrs = append(addrs, who.Addr)
		})
	})
	get := func(k string) answer {
		return overSocket(t, path, "GET /v1/secrets/a HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 198.51.100.7\r\nAuthorization: Bearer "+k+"\r\n\r\n")
	}
	want(t, get(key), 200, "")
	want(t, get("ass_live_wrong"), 401, "UNAUTHORIZED")
	want(t, get("ass_live_wrong2"), 429, "RATE_LIMITED")
	want(t, get(key), 200, "")
	if len(addrs) != 5 || strings.Join(addrs, "") != "" {
		t.Errorf("addresses over the socket: %q", addrs)
	}
	want(t, d.raw(t, request("GET", "/v1/secrets/a", "", "Authorization: Bearer ass_live_wrong2")), 401, "UNAUTHORIZED")
}

package httpd_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/httpd"
)

var (
	routes  = []string{"/mcp", "/sse", "/messages", "/healthz", "/readyz", "/", "/nothing?x=1", "/v1/secrets/a%2Fb", "/v1/health"}
	methods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW"}
)

// everywhere sends the fields, with a right key, to each route by each method.
// Nothing may come through, and nothing may differ but the status.
func everywhere(t *testing.T, d *desk, status int, code string, fields ...string) {
	t.Helper()
	for _, route := range routes {
		for _, method := range methods {
			a := d.raw(t, request(method, route, "{}", fields...))
			if a.status != status {
				t.Fatalf("%s %s: status %d, want %d", method, route, a.status, status)
			}
			if method != "HEAD" && code != "" && a.code(t) != code {
				t.Fatalf("%s %s: code %s, want %s", method, route, a.code(t), code)
			}
			for name := range a.header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Fatalf("%s %s: %s in a refusal", method, route, name)
				}
			}
		}
	}
	if n := d.calls.Load(); n != 0 {
		t.Fatalf("%d requests reached the handler", n)
	}
}

func TestEvilHost(t *testing.T) {
	d := start(t, func(c *httpd.Config) { c.AllowHosts = []string{"desk.example.com:8443"} })
	for name, host := range map[string]string{
		"rebound name":             "evil.example:{port}",
		"upper case rebound name":  "EVIL.EXAMPLE:{port}",
		"localhost as a label":     "localhost.evil:{port}",
		"localhost as a suffix":    "evil.localhost:{port}",
		"address as a label":       "127.0.0.1.evil.example:{port}",
		"unspecified":              "0.0.0.0:{port}",
		"unspecified v6":           "[::]:{port}",
		"mapped":                   "[::ffff:127.0.0.1]:{port}",
		"long form of ::1":         "[0:0:0:0:0:0:0:1]:{port}",
		"no brackets":              "::1:{port}",
		"zone":                     "[::1%25lo]:{port}",
		"trailing dot":             "localhost.:{port}",
		"trailing dot of address":  "127.0.0.1.:{port}",
		"short address":            "127.1:{port}",
		"number":                   "2130706433:{port}",
		"hex":                      "0x7f.0.0.1:{port}",
		"octal":                    "0177.0.0.1:{port}",
		"other address":            "128.0.0.1:{port}",
		"private address":          "192.168.0.1:{port}",
		"other port":               "localhost:1",
		"no port":                  "localhost",
		"empty port":               "localhost:",
		"port with a zero":         "localhost:0{port}",
		"port twice":               "localhost:{port}:{port}",
		"text after the port":      "localhost:{port}.evil.example",
		"two hosts in one field":   "localhost:{port},evil.example",
		"allowed host, other port": "desk.example.com:{port}",
		"allowed host, no port":    "desk.example.com",
		"empty":                    "",
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, d, 403, "HOST_REFUSED", "Host: "+host)
		})
	}
}

// TestMalformedHost holds for what net/http refuses before any handler.
func TestMalformedHost(t *testing.T) {
	d := start(t, nil)
	for name, fields := range map[string][]string{
		"two hosts":             {"Host: 127.0.0.1:{port}", "Host: evil.example"},
		"two hosts, evil first": {"Host: evil.example", "Host: 127.0.0.1:{port}"},
		"the same twice":        {"Host: 127.0.0.1:{port}", "hOST: 127.0.0.1:{port}"},
		"long s":                {"Host: localho\u017ft:{port}"},
		"userinfo":              {"Host: localhost@evil.example:{port}"},
		"user before localhost": {"Host: evil@localhost:{port}"},
		"space":                 {"Host: localhost :{port}"},
		"slash":                 {"Host: localhost:{port}/evil"},
		"folded":                {"Host: evil.example", " localhost:{port}"},
		"space before colon":    {"Host: 127.0.0.1:{port}", "Host : evil.example"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, route := range routes {
				for _, method := range []string{"GET", "POST", "OPTIONS"} {
					if a := d.raw(t, request(method, route, "{}", fields...)); a.status < 400 {
						t.Fatalf("%s %s: status %d", method, route, a.status)
					}
				}
			}
			if d.calls.Load() != 0 {
				t.Fatal("reached the handler")
			}
		})
	}
	t.Run("none in HTTP/1.0", func(t *testing.T) {
		want(t, d.raw(t, "GET /healthz HTTP/1.0\r\n\r\n"), 403, "HOST_REFUSED")
	})
}

func TestGoodHost(t *testing.T) {
	d := start(t, func(c *httpd.Config) {
		c.AllowHosts = []string{"Desk.Example.com", "other.example:8443", "[fd00::1]"}
	})
	for _, host := range []string{
		"localhost:{port}", "LocalHost:{port}", "127.0.0.1:{port}", "127.8.9.10:{port}", "[::1]:{port}",
		"desk.example.com", "DESK.example.com:{port}", "other.example:8443", "[fd00::1]", "[FD00::1]:{port}",
	} {
		t.Run(host, func(t *testing.T) {
			want(t, d.raw(t, request("POST", "/mcp", "{}", "Host: "+host)), 200, "")
			want(t, d.raw(t, request("GET", "/healthz", "", "Host: "+host)), 200, "")
		})
	}
}

func TestEvilOrigin(t *testing.T) {
	d := start(t, func(c *httpd.Config) { c.AllowOrigins = []string{"https://app.example.com"} })
	for name, fields := range map[string][]string{
		"a site":                     {"Origin: https://evil.example"},
		"null":                       {"Origin: null"},
		"empty":                      {"Origin:"},
		"own, not allowed by itself": {"Origin: http://127.0.0.1:{port}"},
		"localhost":                  {"Origin: http://localhost:{port}"},
		"v6 loopback":                {"Origin: http://[::1]:{port}"},
		"unspecified":                {"Origin: http://0.0.0.0:{port}"},
		"localhost as a label":       {"Origin: http://localhost.evil"},
		"allowed, http":              {"Origin: http://app.example.com"},
		"allowed, with a port":       {"Origin: https://app.example.com:8443"},
		"allowed, own port":          {"Origin: https://app.example.com:443"},
		"allowed, trailing dot":      {"Origin: https://app.example.com."},
		"allowed, slash":             {"Origin: https://app.example.com/"},
		"allowed, userinfo":          {"Origin: https://app.example.com@evil.example"},
		"allowed as a label":         {"Origin: https://app.example.com.evil.example"},
		"below allowed":              {"Origin: https://x.app.example.com"},
		"two in one field":           {"Origin: https://app.example.com https://evil.example"},
		"two fields":                 {"Origin: https://app.example.com", "Origin: https://evil.example"},
		"allowed twice":              {"Origin: https://app.example.com", "origin: https://app.example.com"},
		"extension":                  {"Origin: chrome-extension://abcdef"},
		"cross-site without Origin":  {"Sec-Fetch-Site: cross-site"},
		"same-site without Origin":   {"Sec-Fetch-Site: same-site"},
		"unknown site":               {"Sec-Fetch-Site: near"},
		"two sites":                  {"Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"},
		"null and same-origin":       {"Origin: null", "Sec-Fetch-Site: same-origin"},
		"CORS-simple POST":           {"Origin: https://evil.example", "Content-Type: text/plain"},
		"preflight":                  {"Origin: https://evil.example", "Access-Control-Request-Method: POST"},
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, d, 403, "ORIGIN_REFUSED", fields...)
		})
	}
}

func TestGoodOrigin(t *testing.T) {
	d := start(t, func(c *httpd.Config) {
		c.AllowOrigins = []string{"https://App.example.com:443", "http://localhost:3000", "http://other.example:80"}
	})
	for _, origin := range []string{"https://app.example.com", "HTTPS://APP.EXAMPLE.COM", "http://localhost:3000", "http://other.example"} {
		t.Run(origin, func(t *testing.T) {
			a := d.raw(t, request("POST", "/mcp", "{}", "Origin: "+origin, "Sec-Fetch-Site: cross-site"))
			want(t, a, 200, "")
			if got := a.header.Get("Access-Control-Allow-Origin"); got != origin {
				t.Fatalf("shared with %q", got)
			}
			if a.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Fatal("cookies are shared")
			}
		})
	}
	t.Run("preflight", func(t *testing.T) {
		a := d.raw(t, request("OPTIONS", "/mcp", "", "Origin: https://app.example.com", "Access-Control-Request-Method: POST", "Authorization: none"))
		want(t, a, 204, "")
		if !strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "X-Agent-Key") || !strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "POST") {
			t.Fatalf("preflight without what it asks for: %v", a.header)
		}
		for _, route := range []string{"/v1/secrets/a", "/v1/health"} {
			a = d.raw(t, request("OPTIONS", route, "", "Origin: https://app.example.com", "Access-Control-Request-Method: PUT", "Authorization: none"))
			want(t, a, 204, "")
			for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
				if !strings.Contains(a.header.Get("Access-Control-Allow-Methods"), method) {
					t.Errorf("%s: preflight without %s", route, method)
				}
			}
		}
		if d.calls.Load() != 4 {
			t.Fatal("a preflight reached the handler")
		}
	})
	t.Run("OPTIONS that is no preflight wants a key", func(t *testing.T) {
		want(t, d.raw(t, request("OPTIONS", "/mcp", "", "Origin: https://app.example.com", "Authorization: none")), 401, "UNAUTHORIZED")
		want(t, d.raw(t, request("OPTIONS", "/mcp", "", "Access-Control-Request-Method: POST", "Authorization: none")), 401, "UNAUTHORIZED")
	})
	for _, site := range []string{"none", "same-origin"} {
		t.Run("a program that says "+site, func(t *testing.T) {
			want(t, d.raw(t, request("POST", "/mcp", "{}", "Sec-Fetch-Site: "+site)), 200, "")
		})
	}
}

// TestTargetForms holds for the forms in which net/http takes the host from the
// target and forgets the field.
func TestTargetForms(t *testing.T) {
	d := start(t, nil)
	for name, target := range map[string]string{
		"absolute, evil Host":       "POST http://127.0.0.1:{port}/mcp",
		"absolute health":           "GET http://127.0.0.1:{port}/healthz",
		"absolute, evil target":     "POST http://evil.example/mcp",
		"absolute, upper case":      "POST HTTP://127.0.0.1:{port}/mcp",
		"absolute, userinfo":        "POST http://evil@127.0.0.1:{port}/mcp",
		"absolute, other scheme":    "POST file://127.0.0.1:{port}/mcp",
		"opaque":                    "POST http:mcp",
		"CONNECT":                   "CONNECT 127.0.0.1:{port}",
		"CONNECT to another":        "CONNECT evil.example:443",
		"asterisk":                  "OPTIONS *",
		"asterisk of another kind":  "GET *",
		"no slash":                  "POST mcp",
		"two slashes and a name":    "POST //127.0.0.1:{port}/mcp",
		"backslash":                 "POST \\mcp",
		"tab":                       "POST /mcp\t/x",
		"control character in path": "POST /mcp\x01",
	} {
		t.Run(name, func(t *testing.T) {
			method, rest, _ := strings.Cut(target, " ")
			a := d.raw(t, request(method, rest, "{}", "Host: evil.example"))
			if a.status < 400 || d.calls.Load() != 0 {
				t.Fatalf("status %d, %d calls", a.status, d.calls.Load())
			}
			if a = d.raw(t, request(method, rest, "{}")); a.status < 400 || d.calls.Load() != 0 {
				t.Fatalf("with a good Host: status %d, %d calls", a.status, d.calls.Load())
			}
		})
	}
}

func TestOtherPathsAreNotFound(t *testing.T) {
	d := start(t, nil)
	for _, path := range []string{
		"/", "/mcp/", "//mcp", "/./mcp", "/x/../mcp", "/%6dcp", "/mcp%2f", "/mcp%00", "/MCP", "/mcp;x", "/debug/pprof/", "/debug/vars",
		"/metrics", "/sse/", "/sse/messages", "/message", "/favicon.ico", "/v1", "/V1/secrets", "//v1/secrets", "/./v1/secrets", "/%76%31/secrets", "/%76%31/secret|s", "/v1%2Fsecrets", "/v1;/secrets", "/v2/secrets", "/.well-known/oauth-protected-resource", "/healthz/", "/readyz/", "/ready",
	} {
		t.Run(path, func(t *testing.T) {
			for _, method := range []string{"GET", "POST", "DELETE"} {
				a := d.raw(t, request(method, path, ""))
				want(t, a, 404, "NOT_FOUND")
				if a.header.Get("Location") != "" {
					t.Fatal("redirected")
				}
			}
		})
	}
	if d.calls.Load() != 0 {
		t.Fatal("reached the handler")
	}
	want(t, d.raw(t, request("POST", "/mcp?session=1", "{}")), 200, "")
}

func FuzzHost(f *testing.F) {
	for _, seed := range []string{
		"localhost:7420", "LOCALHOST:7420", "127.0.0.1:7420", "[::1]:7420", "desk.example.com", "localhost.:7420", "evil@localhost:7420",
		"localho\u017ft:7420", "des\u212a.example.com", "127.1:7420", "[::ffff:127.0.0.1]:7420", "localhost:7420:7420", ":7420", "",
	} {
		f.Add(seed)
	}
	check, err := httpd.HostCheck("7420", "desk.example.com")
	if err != nil {
		f.Fatal(err)
	}
	good := regexp.MustCompile(`^(?:(?:[lL][oO][cC][aA][lL][hH][oO][sS][tT]|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\]):7420|[dD][eE][sS][kK]\.[eE][xX][aA][mM][pP][lL][eE]\.[cC][oO][mM](?::7420)?)$`)
	f.Fuzz(func(t *testing.T, host string) {
		if check(host) && !good.MatchString(host) {
			t.Fatalf("accepted %q", host)
		}
	})
}

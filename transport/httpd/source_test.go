package httpd_test

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/httpd"
)

func TestSource(t *testing.T) {
	proxies := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("fe80::/64"),
	}
	for name, tt := range map[string]struct {
		remote    string
		forwarded []string
		addr      string
		payer     string // "": as addr
	}{
		"straight":                       {"192.0.2.1:1234", nil, "192.0.2.1", ""},
		"straight, IPv6":                 {"[2001:db8:1:2:3::4]:1234", nil, "2001:db8:1:2:3::4", "2001:db8:1:2::/64"},
		"a neighbour of that":            {"[2001:db8:1:2:ffff::4]:1234", nil, "2001:db8:1:2:ffff::4", "2001:db8:1:2::/64"},
		"IPv4 in IPv6":                   {"[::ffff:192.0.2.1]:1234", nil, "192.0.2.1", ""},
		"a zone":                         {"[fe80::1:0:0:5%eth0]:1234", nil, "fe80::1:0:0:5", "fe80::/64"},
		"no address":                     {"@", nil, "", ""},
		"spoofed":                        {"192.0.2.1:1234", []string{"198.51.100.7"}, "192.0.2.1", ""},
		"spoofed as a proxy":             {"192.0.2.1:1234", []string{"10.0.0.1"}, "192.0.2.1", ""},
		"spoofed as loopback":            {"192.0.2.1:1234", []string{"127.0.0.1"}, "192.0.2.1", ""},
		"a proxy":                        {"10.1.2.3:1234", []string{"198.51.100.7"}, "198.51.100.7", ""},
		"a proxy, IPv4 in IPv6":          {"[::ffff:10.1.2.3]:1234", []string{"198.51.100.7"}, "198.51.100.7", ""},
		"a proxy with a zone":            {"[fe80::9%eth0]:1234", []string{"198.51.100.7"}, "198.51.100.7", ""},
		"a proxy's own":                  {"10.1.2.3:1234", nil, "10.1.2.3", ""},
		"what the client sent first":     {"10.1.2.3:1234", []string{"127.0.0.1, 10.9.9.9, 198.51.100.7"}, "198.51.100.7", ""},
		"in a field of its own":          {"10.1.2.3:1234", []string{"127.0.0.1", "198.51.100.7"}, "198.51.100.7", ""},
		"garbage first":                  {"10.1.2.3:1234", []string{"<script>, ,, 198.51.100.7"}, "198.51.100.7", ""},
		"two proxies":                    {"10.1.2.3:1234", []string{"203.0.113.9, 198.51.100.7,10.4.4.4"}, "198.51.100.7", ""},
		"two proxies, several fields":    {"10.1.2.3:1234", []string{"203.0.113.9", "198.51.100.7", "\tfd00::1"}, "198.51.100.7", ""},
		"proxies alone":                  {"10.1.2.3:1234", []string{"10.5.5.5, 10.4.4.4"}, "10.5.5.5", ""},
		"with a port":                    {"10.1.2.3:1234", []string{"198.51.100.7:55555"}, "198.51.100.7", ""},
		"forwarded IPv6":                 {"10.1.2.3:1234", []string{"2001:db8::7"}, "2001:db8::7", "2001:db8::/64"},
		"in brackets":                    {"10.1.2.3:1234", []string{"[2001:db8::7]"}, "2001:db8::7", "2001:db8::/64"},
		"in brackets with a port":        {"10.1.2.3:1234", []string{"[2001:db8::7]:443"}, "2001:db8::7", "2001:db8::/64"},
		"with a zone":                    {"10.1.2.3:1234", []string{"fe80:1::7%eth0"}, "fe80:1::7", "fe80:1::/64"},
		"with a zone, brackets and port": {"10.1.2.3:1234", []string{"[fe80:1::7%eth0]:443"}, "fe80:1::7", "fe80:1::/64"},
		"forwarded IPv4 in IPv6":         {"10.1.2.3:1234", []string{"::ffff:198.51.100.7"}, "198.51.100.7", ""},
		"a trusted one in IPv6":          {"10.1.2.3:1234", []string{"198.51.100.7, ::ffff:10.4.4.4"}, "198.51.100.7", ""},
		"unknown":                        {"10.1.2.3:1234", []string{"unknown"}, "", "10.1.2.3"},
		"unknown after an address":       {"10.1.2.3:1234", []string{"198.51.100.7, unknown"}, "", "10.1.2.3"},
		"nothing after an address":       {"10.1.2.3:1234", []string{"198.51.100.7, "}, "", "10.1.2.3"},
		"an empty field":                 {"10.1.2.3:1234", []string{""}, "", "10.1.2.3"},
		"an empty field after another":   {"10.1.2.3:1234", []string{"198.51.100.7", ""}, "", "10.1.2.3"},
		"a name":                         {"10.1.2.3:1234", []string{"client.example.com"}, "", "10.1.2.3"},
		"a network":                      {"10.1.2.3:1234", []string{"198.51.100.0/24"}, "", "10.1.2.3"},
		"quoted":                         {"10.1.2.3:1234", []string{`"198.51.100.7"`}, "", "10.1.2.3"},
		"as in Forwarded":                {"10.1.2.3:1234", []string{"for=198.51.100.7"}, "", "10.1.2.3"},
		"leading zeros":                  {"10.1.2.3:1234", []string{"198.051.100.007"}, "", "10.1.2.3"},
		"a number":                       {"10.1.2.3:1234", []string{"3325256711"}, "", "10.1.2.3"},
		"IPv4 in brackets":               {"10.1.2.3:1234", []string{"[198.51.100.7]"}, "", "10.1.2.3"},
		"half a bracket":                 {"10.1.2.3:1234", []string{"[2001:db8::7"}, "", "10.1.2.3"},
		"spaces within":                  {"10.1.2.3:1234", []string{"198.51.100.7 203.0.113.9"}, "", "10.1.2.3"},
		"no-break space":                 {"10.1.2.3:1234", []string{"198.51.100.7\u00a0"}, "", "10.1.2.3"},
		"very many":                      {"10.1.2.3:1234", []string{strings.Repeat("10.0.0.1,", 1500) + "10.0.0.1"}, "10.0.0.1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.payer == "" {
				tt.payer = tt.addr
			}
			if addr, payer := httpd.Source(proxies, tt.remote, tt.forwarded...); addr != tt.addr || payer != tt.payer {
				t.Errorf("from %q, charged to %q; want %q and %q", addr, payer, tt.addr, tt.payer)
			}
			if addr, _ := httpd.Source(nil, tt.remote, tt.forwarded...); tt.forwarded != nil && addr != bareAddr(t, tt.remote) {
				t.Errorf("believed of nobody: %q", addr)
			}
		})
	}
}

func bareAddr(t *testing.T, remote string) string {
	t.Helper()
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		t.Fatal(err)
	}
	return at.Addr().Unmap().WithZone("").String()
}

// FuzzSource: whatever a client writes, its proxy's last word holds.
func FuzzSource(f *testing.F) {
	for _, seed := range []string{"", "127.0.0.1", "10.0.0.1, 10.0.0.2", ",,", "unknown", "[::1]:80, fe80::1%x", "\x00", "192.0.2.1,"} {
		f.Add(seed)
	}
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, sent string) {
		for _, fields := range [][]string{{sent + ", 198.51.100.7"}, {sent, "198.51.100.7, 10.0.0.9"}} {
			if addr, _ := httpd.Source(proxies, "10.1.2.3:1", fields...); addr != "198.51.100.7" {
				t.Fatalf("%q makes it %q", fields, addr)
			}
		}
		if addr, _ := httpd.Source(proxies, "192.0.2.1:1", sent); addr != "192.0.2.1" {
			t.Fatalf("%q makes it %q", sent, addr)
		}
		if addr, _ := httpd.Source(proxies, "10.1.2.3:1", sent); addr != "" {
			if a, err := netip.ParseAddr(addr); err != nil || a.Zone() != "" || a.Is4In6() {
				t.Fatalf("%q makes it %q", sent, addr)
			}
		}
	})
}

// TestForwarded: the address goes to whoever asks about the credential, and into
// the principal.
func TestForwarded(t *testing.T) {
	for name, tt := range map[string]struct {
		proxies []netip.Prefix
		want    string
	}{
		"by nobody":  {nil, "127.0.0.1"},
		"by a proxy": {[]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "198.51.100.7"},
		"by another": {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked, seen string
			d := start(t, func(c *httpd.Config) {
				c.TrustedProxies = tt.proxies
				c.Authenticate = func(ctx context.Context, k, addr string) (identity.Principal, error) {
					asked = addr
					return authenticate(ctx, k, addr)
				}
				c.MCP = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					who, _ := httpd.PrincipalFrom(r.Context())
					seen = who.Addr
				})
				c.REST = c.MCP
			})
			for _, route := range []string{"/mcp", "/v1/secrets/a"} {
				asked, seen = "", ""
				want(t, d.raw(t, request("POST", route, "{}", "X-Forwarded-For: 127.0.0.9, 198.51.100.7", "Forwarded: for=203.0.113.9", "X-Real-IP: 203.0.113.9")), 200, "")
				if asked != tt.want || seen != tt.want {
					t.Errorf("%s: asked about %q, seen as %q, want %q", route, asked, seen, tt.want)
				}
			}
		})
	}
}

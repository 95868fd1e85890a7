package vault_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
)

func TestParseDestination(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want vault.HTTPDestination
		text string
	}{
		{"api.openai.com", vault.HTTPDestination{Scheme: "https", Host: "api.openai.com", Port: 443}, "https://api.openai.com"},
		{"API.openai.com.", vault.HTTPDestination{Scheme: "https", Host: "api.openai.com", Port: 443}, "https://api.openai.com"},
		{"https://api.openai.com/v1/*", vault.HTTPDestination{Scheme: "https", Host: "api.openai.com", Port: 443, Paths: []vault.Glob{"/v1/*"}}, "https://api.openai.com/v1/*"},
		{"https://api.openai.com/", vault.HTTPDestination{Scheme: "https", Host: "api.openai.com", Port: 443}, "https://api.openai.com"},
		{"HTTPS://api.openai.com:443", vault.HTTPDestination{Scheme: "https", Host: "api.openai.com", Port: 443}, "https://api.openai.com"},
		{"post,GET,POST https://*.example.com:8443/api/*", vault.HTTPDestination{Scheme: "https", Host: "*.example.com", Port: 8443, Methods: []string{"GET", "POST"}, Paths: []vault.Glob{"/api/*"}}, "GET,POST https://*.example.com:8443/api/*"},
		{"http://localhost:8080", vault.HTTPDestination{Scheme: "http", Host: "localhost", Port: 8080}, "http://localhost:8080"},
		{"http://127.0.0.1", vault.HTTPDestination{Scheme: "http", Host: "127.0.0.1", Port: 80}, "http://127.0.0.1"},
		{"http://h:443", vault.HTTPDestination{Scheme: "http", Host: "h", Port: 443}, "http://h:443"},
		{"[::1]", vault.HTTPDestination{Scheme: "https", Host: "::1", Port: 443}, "https://[::1]"},
		{"http://[2001:db8::1]:8080/x", vault.HTTPDestination{Scheme: "http", Host: "2001:db8::1", Port: 8080, Paths: []vault.Glob{"/x"}}, "http://[2001:db8::1]:8080/x"},
		{"GET api.openai.com", vault.HTTPDestination{Scheme: "https", Host: "api.openai.com", Port: 443, Methods: []string{"GET"}}, "GET https://api.openai.com"},
		{"h/a,b:c@d", vault.HTTPDestination{Scheme: "https", Host: "h", Port: 443, Paths: []vault.Glob{"/a,b:c@d"}}, "https://h/a,b:c@d"},
	} {
		tc.want.In = vault.Bearer
		d, err := vault.ParseDestination(tc.in, vault.Bearer)
		if err != nil || !d.HTTP.Equal(tc.want) || d.String() != tc.text {
			t.Errorf("%q: %+v (%q), %v", tc.in, d.HTTP, d, err)
		}
	}
}

func TestParseDestinationRefuses(t *testing.T) {
	for _, in := range []string{
		"", " ", "/", "/path", "://x", "https://", "https:///x", "ftp://example.com", "javascript://x", "https:/example.com", "https:example.com",
		"user@example.com", "https://user:pass@example.com", "https://example.com:x", "https://example.com:", "https://example.com:0", "https://example.com:65536", "https://example.com:0443",
		"https://example.com:+443", "https://example.com:44 3", "example.com:443:443", "2001:db8::1", "2001:db8::1:8443", "https://2001:db8::1:8443", "[::1", "[::1]x", "[::1]:", "::1", "[fe80::1%eth0]:80",
		"https://example.com?x=1", "https://example.com#x", "https://example.com/a?b", "https://example.com/a#b", `https://example.com\@evil.com`, `https://example.com/a\b`, "https://example.com/%2e%2e", "https://example.com//x",
		"https://example.com/a/../b", "https://example.com/./b", "https://example.com/a b", "https://example.com/ä", "https://exa\tmple.com", "https://example.com/a\x00", "https://example.com/\n",
		"https://*.com", "https://*", "*.co.uk", "https://*example.com", "2130706433", "0x7f.1",
		"get https://example.com https://b", "G3T https://example.com", ", https://example.com", "GET,, https://example.com", "CONNECT https://example.com", "trace https://example.com", "GET  https://example.com",
		strings.Repeat("A", 21) + " https://example.com", "https://example.com/" + strings.Repeat("a", vault.MaxDestinationPathLen),
	} {
		d, err := vault.ParseDestination(in, vault.Bearer)
		if err == nil {
			t.Errorf("%q was read as %q", in, d)
			continue
		}
		wantInvalid(t, err, "to", in)
	}
	_, err := vault.ParseDestination("example.com", vault.Place{})
	wantInvalid(t, err, "in", "")
	_, err = vault.ParseDestination("example.com", vault.Bearer, netip.Prefix{})
	wantInvalid(t, err, "to", "")
}

func TestDestinationCheck(t *testing.T) {
	good := func() vault.HTTPDestination {
		return vault.HTTPDestination{
			Scheme: "https", Host: "Example.com", Port: 443, Methods: []string{"POST", "GET", "POST"}, In: vault.Bearer,
			Network: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/8")},
		}
	}
	h := good()
	d := vault.Destination{HTTP: &h}
	if err := d.Check(); err != nil || h.Host != "example.com" || !slices.Equal(h.Methods, []string{"GET", "POST"}) || h.Network[0].String() != "10.0.0.0/8" {
		t.Errorf("%+v, %v", h, err)
	}
	for name, spoil := range map[string]func(*vault.HTTPDestination){
		"no scheme":    func(h *vault.HTTPDestination) { h.Scheme = "" },
		"no host":      func(h *vault.HTTPDestination) { h.Host = "" },
		"no port":      func(h *vault.HTTPDestination) { h.Port = 0 },
		"big port":     func(h *vault.HTTPDestination) { h.Port = 65536 },
		"lower method": func(h *vault.HTTPDestination) { h.Methods = []string{"get"} },
		"many methods": func(h *vault.HTTPDestination) {
			h.Methods = slices.Repeat([]string{"GET"}, vault.MaxDestinationMethods+1)
		},
		"relative path": func(h *vault.HTTPDestination) { h.Paths = []vault.Glob{"*"} },
		"many paths": func(h *vault.HTTPDestination) {
			h.Paths = slices.Repeat([]vault.Glob{"/a"}, vault.MaxDestinationPaths+1)
		},
		"many networks": func(h *vault.HTTPDestination) { h.Network = slices.Repeat(h.Network, vault.MaxDestinationNetworks+1) },
	} {
		h := good()
		spoil(&h)
		d := vault.Destination{HTTP: &h}
		if err := d.Check(); err == nil {
			t.Errorf("%s is allowed", name)
		} else {
			wantInvalid(t, err, "to", "")
		}
	}
	wantInvalid(t, (&vault.Destination{}).Check(), "to", "")
	if (vault.Destination{}).String() != "" || !(vault.Destination{}).Equal(vault.Destination{}) || d.Equal(vault.Destination{}) {
		t.Error("the destination without a kind")
	}
}

func TestAllows(t *testing.T) {
	d, err := vault.ParseDestination("GET,POST https://*.example.com/v1/*", vault.Bearer)
	if err != nil {
		t.Fatal(err)
	}
	good := vault.Target{Scheme: "https", Host: "api.example.com", Port: 443, Method: "POST", Path: "/v1/x"}
	if !d.HTTP.Allows(good) {
		t.Error("refuses its own")
	}
	for name, spoil := range map[string]func(*vault.Target){
		"scheme": func(t *vault.Target) { t.Scheme = "http" }, "host": func(t *vault.Target) { t.Host = "example.com" }, "other host": func(t *vault.Target) { t.Host = "api.example.com.evil" },
		"port": func(t *vault.Target) { t.Port = 8443 }, "method": func(t *vault.Target) { t.Method = "DELETE" }, "path": func(t *vault.Target) { t.Path = "/v2/x" }, "shorter path": func(t *vault.Target) { t.Path = "/v1" },
	} {
		bad := good
		spoil(&bad)
		if d.HTTP.Allows(bad) {
			t.Errorf("allows another %s", name)
		}
	}
	open, err := vault.ParseDestination("api.example.com", vault.Bearer)
	if err != nil {
		t.Fatal(err)
	}
	if !open.HTTP.Allows(good) || !open.HTTP.Allows(vault.Target{Scheme: "https", Host: "api.example.com", Port: 443, Method: "DELETE", Path: "/"}) {
		t.Error("without methods and paths not every one is allowed")
	}
	if good.Origin() != "https://api.example.com" || (vault.Target{Scheme: "http", Host: "::1", Port: 8080}).Origin() != "http://[::1]:8080" {
		t.Errorf("origin %q", good.Origin())
	}
}

// Destinations that older versions stored, and how new ones are stored: each is
// read and written back to the byte.
func TestStoredDestinations(t *testing.T) {
	for stored, want := range map[string]string{
		`{"http":{"scheme":"https","host":"api.openai.com","port":443,"in":{"in":"header","name":"Authorization","template":"Bearer {}"}}}`:                             "header:Authorization: Bearer {}, full",
		`{"http":{"scheme":"http","host":"h","port":1,"methods":["GET"],"paths":["/a"],"in":{"in":"query","name":"key","template":"{}"},"network":["10.0.0.0/8"]}}`:     "query:key, full",
		`{"http":{"scheme":"https","host":"h","port":443,"in":{"in":"basic","template":"user:{}"}}}`:                                                                    "basic:user:{}, full",
		`{"http":{"scheme":"https","host":"h","port":443,"in":{"in":"json","name":"/a","template":"{}"},"answer":{"show":"status"}}}`:                                   "json:/a, status",
		`{"http":{"scheme":"https","host":"h","port":443,"in":{"in":"form","name":"a","template":"k={}"},"answer":{"show":"fields","fields":["/id","/items/*/name"]}}}`: "form:a: k={}, fields:/id,/items/*/name",
	} {
		var d vault.Destination
		if err := json.Unmarshal([]byte(stored), &d); err != nil {
			t.Fatal(err)
		}
		back, err := json.Marshal(d)
		if got := d.HTTP.In.String() + ", " + d.HTTP.Answer.String(); err != nil || got != want || string(back) != stored || d.Check() != nil {
			t.Errorf("%s\n%s %s %v", stored, got, back, err)
		}
	}
}

func FuzzDestination(f *testing.F) {
	for _, s := range []string{
		"api.openai.com", "https://api.openai.com/v1/*", "GET,POST https://*.example.com:8443/api/*", "http://localhost:8080", "[::1]:80", "2001:db8::1:8443", "u@h", "https://h/%2e", "h/a,b", "x://y",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := vault.ParseDestination(s, vault.Bearer)
		if err != nil {
			wantInvalid(t, err, "to", "")
			return
		}
		again, err := vault.ParseDestination(d.String(), vault.Bearer)
		if err != nil || !again.Equal(d) || again.String() != d.String() {
			t.Fatalf("%q gives %q, which gives %q, %v", s, d, again, err)
		}
		data, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var stored vault.Destination
		if err := json.Unmarshal(data, &stored); err != nil || !reflect.DeepEqual(stored, d) {
			t.Fatalf("%q stored: %+v, %v", d, stored, err)
		}
	})
}

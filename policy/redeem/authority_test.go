package redeem_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/redeem"
)

// arrival is a request as a server took it.
type arrival struct {
	host, sni, target string
	proto             int
}

// recorder keeps every request, and fails the test when the canary is in one
// that should not have it.
type recorder struct {
	mu   sync.Mutex
	seen []arrival
	raw  []string // every header and the body, as text
	then http.HandlerFunc
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	a := arrival{host: q.Host, target: q.RequestURI, proto: q.ProtoMajor}
	if q.TLS != nil {
		a.sni = q.TLS.ServerName
	}
	var raw strings.Builder
	_ = q.Write(&raw)
	r.mu.Lock()
	r.seen, r.raw = append(r.seen, a), append(r.raw, raw.String()+q.RequestURI)
	r.mu.Unlock()
	if r.then != nil {
		r.then(w, q)
	}
}

func (r *recorder) take() ([]arrival, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen, raw := r.seen, strings.Join(r.raw, "\n")
	r.seen, r.raw = nil, nil
	return seen, raw
}

// TestOneAuthority is a matrix of what the destination names and what the URL
// says, over HTTP/1.1 and HTTP/2: only the diagonal passes, and there the server
// is told one name by SNI and by Host or :authority.
func TestOneAuthority(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprint("h2 ", h2), func(t *testing.T) {
			var seen recorder
			first, opts, _ := secure(t, &seen, func(s *httptest.Server) { s.EnableHTTP2 = h2; quiet(s) })
			second, _, _ := secure(t, &seen, func(s *httptest.Server) { s.EnableHTTP2 = h2; quiet(s) })
			opts.RootCAs.AddCert(second.Certificate())
			client := redeem.NewClient(opts)
			t.Cleanup(client.Close)
			port := func(s *httptest.Server) string { _, p, _ := net.SplitHostPort(s.Listener.Addr().String()); return p }
			// The certificate of httptest is for example.com, *.example.com and 127.0.0.1.
			authorities := []string{
				"example.com:" + port(first), "example.com:" + port(second), "api.example.com:" + port(first), "www.example.com:" + port(first), "127.0.0.1:" + port(first), "127.0.0.1:" + port(second),
			}
			passed := 0
			for i, named := range authorities {
				for j, said := range authorities {
					h := newHandle(t)
					d := destination(t, "https://"+named, "header:X-Key")
					d.Network = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
					p := prepare(t, redeem.Call{URL: "https://" + said + "/x?y", Headers: []redeem.Field{{"X-Key", h}}})
					values, places := one(h, canary, d)
					_, err := client.Do(t.Context(), "agent:a", p, values, places)
					got, raw := seen.take()
					if i != j {
						if r := refusal(t, err); r.Code != redeem.CodeDestination || len(got) != 0 || raw != "" {
							t.Errorf("%s for %s: %v, %v", said, named, r, got)
						}
						continue
					}
					passed++
					host, _, _ := net.SplitHostPort(said)
					sni := host
					if host == "127.0.0.1" { // RFC 6066 §3: names only
						sni = ""
					}
					if want := (arrival{said, sni, "/x?y", map[bool]int{false: 1, true: 2}[h2]}); err != nil || len(got) != 1 || got[0] != want || !strings.Contains(raw, canary) {
						t.Errorf("%s: %+v, want %+v, %v", said, got, want, err)
					}
				}
				// No header sets another authority, not even the same one.
				for _, name := range []string{"Host", "host", ":authority", "X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-Host"} {
					_, err := redeem.Prepare(redeem.Call{URL: "https://" + named, Headers: []redeem.Field{{name, named}}})
					if r := refusal(t, err); r.Code != redeem.CodeHeader {
						t.Errorf("%s: %v", name, r)
					}
				}
			}
			if passed != len(authorities) {
				t.Errorf("%d of the diagonal passed", passed)
			}
		})
	}
}

// TestWhatWasCheckedIsSent: paths and queries arrive over both protocols as
// they were checked.
func TestWhatWasCheckedIsSent(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		var seen recorder
		server := newAPI(t, h2, &seen)
		for _, target := range []string{
			"/", "/a%2Cb", "/a;b=1/c", "/%C3%A9", "/a+b/@/:/!$&'()*+,=", "/a?", "/a?b=%2f&c[]=1&&d", "/?/../x", "/a?b=http://x.example/@", "/x/y/?a=%00%0d%0a",
		} {
			p := prepare(t, redeem.Call{URL: server.origin + target})
			h := newHandle(t)
			if _, err := server.call(t, redeem.Call{URL: server.origin + target, Headers: []redeem.Field{{"X-Key", h}}}, h, "header:X-Key"); err != nil {
				t.Fatal(err)
			}
			got, _ := seen.take()
			if want := strings.TrimPrefix(p.URL(), p.Target().Origin()); len(got) != 1 || got[0].target != want || got[0].host != server.host {
				t.Errorf("%s: %+v, want %s", target, got, want)
			}
		}
	}
}

// secretNames are headers in which APIs take keys.
func secretNames() []string {
	return strings.Fields(`Authorization X-Api-Key Api-Key Apikey X-Apikey X-Auth-Token X-Auth-Key X-Auth-Email X-Access-Token X-Token Token Private-Token Job-Token
		Deploy-Token X-Vault-Token X-Consul-Token X-Nomad-Token X-Goog-Api-Key X-Goog-Iam-Authorization-Token Ocp-Apim-Subscription-Key X-Amz-Security-Token X-Functions-Key
		X-Ms-Client-Secret X-Shopify-Access-Token X-Github-Token X-Gitlab-Token X-Hub-Signature X-Slack-Signature X-Rapidapi-Key X-Figma-Token X-Sentry-Token Dd-Api-Key
		Dd-Application-Key X-Honeycomb-Team X-Newrelic-Api-Key X-Algolia-Api-Key X-Mbx-Apikey X-Cmc-Pro-Api-Key X-Postmark-Server-Token Cookie`)
}

// TestNoRedirectCarriesASecret: every kind of redirect, every header of a key,
// to another host, port, scheme, a name below, and there and back.
func TestNoRedirectCarriesASecret(t *testing.T) {
	names := secretNames()
	if len(names) != 40 {
		t.Fatalf("%d headers", len(names))
	}
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprint("h2 ", h2), func(t *testing.T) {
			var first, second, plain recorder
			target := map[string]string{}
			second.then = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", target["back"])
				w.WriteHeader(http.StatusFound)
			}
			first.then = func(w http.ResponseWriter, r *http.Request) {
				status, to, _ := strings.Cut(r.URL.Path[1:], "/")
				code, _ := strconv.Atoi(status)
				w.Header().Set("Location", target[to])
				w.WriteHeader(code)
			}
			from := newAPI(t, h2, &first)
			there := newAPI(t, h2, &second)
			inClear := httptest.NewServer(&plain)
			t.Cleanup(inClear.Close)
			_, port, _ := net.SplitHostPort(there.host)
			target["host"], target["port"] = "https://example.org:"+port+"/", there.origin+"/"
			target["scheme"], target["sub-domain"] = strings.Replace(inClear.URL, "127.0.0.1", "example.com", 1), "https://api.example.com:"+port+"/"
			target["back"] = there.origin + "/back" // whose answer points to where it began
			for _, status := range []int{301, 302, 303, 307, 308} {
				for to, location := range target {
					for _, name := range names {
						h := newHandle(t)
						r, err := from.call(t, redeem.Call{
							Method: "POST", URL: from.origin + "/" + strconv.Itoa(status) + "/" + to, Body: "b", Headers: []redeem.Field{{name, h}},
						}, h, "header:"+name)
						if err != nil || r.Status != status || r.Redirect != location {
							t.Fatalf("%d to %s with %s: %+v %v", status, to, name, r, err)
						}
					}
				}
			}
			arrived, raw := first.take()
			if len(arrived) != 1000 || strings.Count(raw, canary) != 1000 {
				t.Errorf("%d requests for 1000 calls", len(arrived))
			}
			for _, other := range []*recorder{&second, &plain} {
				if got, raw := other.take(); len(got) != 0 || raw != "" {
					t.Errorf("%d requests followed", len(got))
				}
			}
		})
	}
}

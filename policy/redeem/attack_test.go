package redeem_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// flipping is a resolver in an attacker's hand: now and then it answers with an
// address that may not be dialled, alone or beside the right one.
type flipping struct{ right string }

func (f flipping) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	right := netip.MustParseAddr(f.right)
	wrong := netip.MustParseAddr([]string{"169.254.169.254", "10.0.0.1", "127.0.0.2", "::1", "100.64.0.1"}[rand.IntN(5)])
	switch rand.IntN(4) {
	case 0:
		return []netip.Addr{wrong}, nil
	case 1:
		return []netip.Addr{right, wrong}, nil
	case 2:
		return []netip.Addr{wrong, right}, nil
	default:
		return []netip.Addr{right}, nil
	}
}

// TestFlippingResolver: ten thousand calls of eight principals at once, each
// resolved anew, and a thousand that share connections; whatever the resolver
// says, every socket goes to the one address that the destination opens.
func TestFlippingResolver(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprint("h2 ", h2), func(t *testing.T) {
			var served, refused, strange atomic.Int64
			count := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) })
			_, opts, d := secure(t, count, func(s *httptest.Server) { s.EnableHTTP2 = true; quiet(s) })
			calls := 1000
			if !h2 {
				server := httptest.NewServer(count)
				t.Cleanup(server.Close)
				d, calls = destination(t, strings.Replace(server.URL, "127.0.0.1", "example.com", 1), "header:X-Key"), 10_000
			}
			d.Network = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
			var elsewhere sync.Map
			opts.Resolver = flipping{"127.0.0.1"}
			opts.Control = func(_, address string, _ syscall.RawConn) error {
				if !strings.HasPrefix(address, "127.0.0.1:") {
					elsewhere.Store(address, true)
				}
				return nil
			}
			client := redeem.NewClient(opts)
			t.Cleanup(client.Close)
			h := newHandle(t)
			p := prepare(t, redeem.Call{URL: vault.Destination{HTTP: &d}.String(), Headers: []redeem.Field{{"X-Key", h}}})
			values, places := one(h, canary, d)
			var running sync.WaitGroup
			for worker := range 8 {
				running.Go(func() {
					for i := range calls / 8 {
						if i%10 == 9 {
							client.Age(redeem.LineAge)
						}
						_, err := client.Do(t.Context(), fmt.Sprint("agent:", worker), p, values, places)
						var r *redeem.Refusal
						switch {
						case errors.As(err, &r) && r.Code == redeem.CodeAddress:
							refused.Add(1)
						case err != nil:
							strange.Add(1)
						}
					}
				})
			}
			running.Wait()
			elsewhere.Range(func(address, _ any) bool { t.Errorf("a socket for %s", address); return true })
			if served.Load() == 0 || refused.Load() == 0 || strange.Load() != 0 || served.Load()+refused.Load() != int64(calls) {
				t.Errorf("%d served, %d refused, %d else", served.Load(), refused.Load(), strange.Load())
			}
		})
	}
}

// locations puts a handle into every part of a request.
func locations(h string) map[string]redeem.Call {
	header := func(name, value string) redeem.Call {
		return redeem.Call{Method: "POST", Headers: []redeem.Field{{name, value}}}
	}
	body := func(kind, text string) redeem.Call {
		return redeem.Call{Method: "POST", Body: text, ContentType: kind}
	}
	return map[string]redeem.Call{
		"header": header("X-Key", h), "bearer": header("Authorization", "Bearer "+h), "basic": header("Authorization", "Basic u:"+h), "cookie": header("Cookie", "a="+h),
		"basic, encoded": header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("u:"+h))), "user agent": header("User-Agent", h), "referer": header("Referer", h),
		"header name": header(h, "x"), "content type": body("text/"+h, "x"),
		"query": {Query: []redeem.Field{{"key", h}}}, "query name": {Query: []redeem.Field{{h, "x"}}},
		"json": {Method: "POST", JSON: json.RawMessage(`{"key":"` + h + `"}`)}, "json name": {Method: "POST", JSON: json.RawMessage(`{"` + h + `":1}`)},
		"json below": {Method: "POST", JSON: json.RawMessage(`[[{"key":"` + h + `"}]]`)}, "json text": body("", `{"key":"`+h+`"}`),
		"form": {Method: "POST", Form: []redeem.Field{{"key", h}}}, "form name": {Method: "POST", Form: []redeem.Field{{h, "x"}}}, "form text": body(formType, "key="+h),
		"part": {Method: "POST", Parts: []redeem.Part{{Name: "key", Value: h}}}, "part name": {Method: "POST", Parts: []redeem.Part{{Name: h}}},
		"file": {Method: "POST", Parts: []redeem.Part{{Name: "key", Filename: "f", Value: h}}}, "file name": {Method: "POST", Parts: []redeem.Part{{Name: "key", Filename: h}}},
		"text": body("text/plain", h), "xml": body("application/xml", "<k>"+h+"</k>"), "multipart text": body("multipart/form-data; boundary=x", "--x\r\n\r\n"+h+"\r\n--x--"),
		"path": {URL: "/" + h}, "path, escaped": {URL: "/%61" + h[1:]}, "raw query": {URL: "/?key=" + h}, "raw query, escaped": {URL: "/?k%65y=%61" + h[1:]}, "raw query name": {URL: "/?" + h},
		"host": {URL: "//" + h + ".example/"}, "user": {URL: "//" + h + "@example.com/"}, "fragment": {URL: "/#" + h},
	}
}

// TestHandleAtAWrongPlace: a handle in every part of a request, for a secret of
// every place, to the right host and to wrong ones, over both protocols. Where
// the place is not the secret's own at its own host, nothing is sent at all.
func TestHandleAtAWrongPlace(t *testing.T) {
	places := []string{"header:X-Key", "header:Authorization: Bearer {}", "query:key", "basic:u:{}", "json:/key", "form:key"}
	right := map[string]string{
		"header": places[0], "bearer": places[1], "query": places[2], "raw query": places[2], "raw query, escaped": places[2], "basic": places[3], "basic, encoded": places[3],
		"json": places[4], "json text": places[4], "form": places[5], "form text": places[5], "part": places[5],
	}
	for _, h2 := range []bool{false, true} {
		t.Run(fmt.Sprint("h2 ", h2), func(t *testing.T) {
			var seen recorder
			server := newAPI(t, h2, &seen)
			other := newAPI(t, h2, &seen)
			_, port, _ := strings.Cut(server.host, ":")
			origins := []string{
				server.origin, other.origin, "https://api.example.com:" + port, "https://example.org:" + port, "https://127.0.0.1:" + port,
				"https://xexample.com:" + port, "https://example.com.evil.example:" + port, "http://example.com:" + port,
			}
			for i, origin := range origins {
				h := newHandle(t)
				for name, call := range locations(h) {
					for _, in := range places {
						attempt(t, server, call, h, origin, in)
						got, raw := seen.take()
						if i == 0 && right[name] == in {
							if len(got) != 1 || strings.Contains(raw, h) {
								t.Errorf("%s as %s: %d requests: %s", name, in, len(got), raw)
							}
						} else if len(got) != 0 {
							t.Errorf("%s as %s to %s: %s", name, in, origin, raw)
						}
					}
				}
			}
		})
	}
}

// attempt tries a call by every step there is, with a destination at server.
func attempt(t *testing.T, server *api, call redeem.Call, h, origin, in string) {
	t.Helper()
	d := destination(t, server.origin, in)
	d.Network = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	switch {
	case strings.HasPrefix(call.URL, "//"):
		call.URL = "https:" + call.URL
	default:
		call.URL = origin + call.URL
	}
	p, err := redeem.Prepare(call)
	if err != nil {
		return
	}
	values, forced := one(h, canary, d)
	if place, err := p.Fit(h, "", []vault.Destination{{HTTP: &d}}); err == nil {
		forced[h] = place
	}
	_, _ = server.Do(t.Context(), "agent:a", p, values, forced)
}

// Hints that come first and fields that come last are nobody's to see.
func TestInformationalAndTrailers(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		server := newAPI(t, h2, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			key := r.Header.Get("X-Key")
			w.Header().Set("Link", "<"+key+">")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			w.Header().Set("Trailer", "X-Late")
			_, _ = w.Write([]byte("ok"))
			w.Header().Set("X-Late", key)
			w.Header().Set(http.TrailerPrefix+"X-Later", key)
		}))
		r, err := server.ask(t, "GET", "/")
		if err != nil || string(r.Body) != "ok" || slices.ContainsFunc(r.Headers, func(f redeem.Field) bool { return strings.Contains(f.Value, canary) }) {
			t.Errorf("h2 %v: %+v %v", h2, r, err)
		}
	}
}

package redeem_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/redeem"
)

func endpoint(t *testing.T, url string, network ...string) redeem.Endpoint {
	t.Helper()
	var in []netip.Prefix
	for _, n := range network {
		in = append(in, netip.MustParsePrefix(n))
	}
	e, err := redeem.ParseEndpoint(url, in)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestPostIsWhatIsSent(t *testing.T) {
	server := newRawServer(t, "HTTP/1.1 202 Accepted\r\nRetry-After: 7\r\nContent-Length: 1000000\r\n\r\nthe body is not read")
	e := endpoint(t, server.URL+"/hook/%7Etoken?k=v")
	if e.URL() != server.URL+"/hook/~token?k=v" || e.Origin() != server.URL {
		t.Fatal(e.URL(), e.Origin())
	}
	// What looks like a handle is nothing but text here.
	body := `{"client":"` + newHandle(t) + `"}`
	r, err := redeem.NewClient(nil).Post(t.Context(), "webhook", e, []redeem.Field{{"Content-Type", "application/json"}, {"Webhook-Id", "evt_1"}}, []byte(body))
	if err != nil || r.Status != 202 || r.Body != nil || len(r.Headers) != 1 || r.Headers[0] != (redeem.Field{Name: "Retry-After", Value: "7"}) {
		t.Fatalf("%+v %v", r, err)
	}
	want := "POST /hook/~token?k=v HTTP/1.1\r\nHost: 127.0.0.1:" + server.Port + "\r\nUser-Agent: coatcheck\r\nContent-Length: " + fmt.Sprint(len(body)) +
		"\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nContent-Type: application/json\r\nWebhook-Id: evt_1\r\nConnection: close\r\n\r\n" + body
	if got := server.requests(); len(got) != 1 || got[0] != want {
		t.Fatalf("got\n%q\nwant\n%q", got, want)
	}
}

func TestPostFollowsNoRedirect(t *testing.T) {
	second := newRawServer(t, okReply)
	first := newRawServer(t, "HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:"+second.Port+"/\r\nContent-Length: 0\r\n\r\n")
	r, err := redeem.NewClient(nil).Post(t.Context(), "webhook", endpoint(t, first.URL), nil, []byte("{}"))
	if err != nil || r.Status != 307 || len(second.requests()) != 0 {
		t.Fatalf("%+v %v %d", r, err, len(second.requests()))
	}
}

func TestPostOverHTTP2KeepsItsConnection(t *testing.T) {
	var mu sync.Mutex
	from := map[string]int{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		from[r.RemoteAddr]++
		_, _ = w.Write([]byte(strings.Repeat("not read ", 1000)))
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	client := redeem.NewClient(&redeem.Options{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs})
	defer client.Close()
	for range 3 {
		if r, err := client.Post(t.Context(), "webhook", endpoint(t, server.URL), nil, []byte("{}")); err != nil || r.Status != 200 {
			t.Fatal(r, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(from) != 1 {
		t.Fatalf("connections: %v", from)
	}
}

func TestEndpointRefused(t *testing.T) {
	for url, code := range map[string]string{
		"":                                  redeem.CodeURL,
		"hooks.example.com":                 redeem.CodeURL,
		"ftp://hooks.example.com/":          redeem.CodeURL,
		"http://hooks.example.com/":         redeem.CodeURL,
		"http://10.0.0.1/":                  redeem.CodeURL,
		"http://localhost.example.com/":     redeem.CodeURL,
		"https://user@hooks.example.com/":   redeem.CodeURL,
		"https://hooks.example.com/#f":      redeem.CodeURL,
		"https://a.example.com//b":          redeem.CodeURL,
		"https://169.254.169.254/":          redeem.CodeAddress,
		"https://[fd00:ec2::254]/":          redeem.CodeAddress,
		"https://0.0.0.0/":                  redeem.CodeAddress,
		"https://[::ffff:169.254.169.254]/": redeem.CodeAddress,
	} {
		// A network does not open what is never sent to, nor make plain http good.
		if e, err := redeem.ParseEndpoint(url, []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}); err == nil || refusal(t, err).Code != code {
			t.Errorf("%s: %v %v", url, e, err)
		}
	}
	for _, url := range []string{"https://hooks.example.com", "http://127.0.0.1:1/x", "http://localhost:1/", "http://[::1]:1/", "https://10.0.0.1/"} {
		if _, err := redeem.ParseEndpoint(url, nil); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// flip answers each lookup with the next address.
type flip struct{ addrs []string }

func (f *flip) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	a := netip.MustParseAddr(f.addrs[0])
	f.addrs = f.addrs[1:]
	return []netip.Addr{a}, nil
}

// TestPostGoesWhereConfigurationSays: a host that leads to a private address is
// reached only if configuration has its network, whatever it led to before, and
// no socket is opened otherwise.
func TestPostGoesWhereConfigurationSays(t *testing.T) {
	var dialled []string
	stop := errors.New("not really")
	client := redeem.NewClient(&redeem.Options{
		Resolver: &flip{[]string{"93.184.216.34", "10.1.2.3", "127.0.0.1", "169.254.169.254", "10.1.2.3", "10.1.2.3", "127.0.0.1"}},
		Control: func(_, address string, _ syscall.RawConn) error {
			dialled = append(dialled, address)
			return stop
		},
	})
	post := func(network ...string) string {
		_, err := client.Post(t.Context(), "webhook", endpoint(t, "https://hooks.example.com/", network...), nil, nil)
		if refused, ok := errors.AsType[*redeem.Refusal](err); ok {
			return refused.Code
		}
		if failed, ok := errors.AsType[*redeem.Upstream](err); ok {
			return failed.Code
		}
		return fmt.Sprint(err)
	}
	for i, step := range []struct {
		network []string
		want    string
	}{
		{nil, redeem.CodeConnect},                        // public
		{nil, redeem.CodeAddress},                        // then private
		{nil, redeem.CodeAddress},                        // then this machine
		{[]string{"0.0.0.0/0"}, redeem.CodeAddress},      // metadata, whatever is opened
		{[]string{"10.0.0.0/8"}, redeem.CodeConnect},     // named
		{[]string{"192.168.0.0/16"}, redeem.CodeAddress}, // another one is named
		{[]string{"10.0.0.0/8"}, redeem.CodeAddress},     // and it flips to this machine
	} {
		if got := post(step.network...); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
	if got := fmt.Sprint(dialled); got != "[93.184.216.34:443 10.1.2.3:443]" {
		t.Error(got)
	}
}

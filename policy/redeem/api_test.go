package redeem_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// api is a local HTTPS server that example.com leads to, and a client for it.
type api struct {
	*redeem.Client
	names  *resolver
	origin string // https://example.com:PORT
	host   string
}

func newAPI(t *testing.T, h2 bool, handler http.Handler) *api {
	t.Helper()
	_, opts, d := secure(t, handler, func(s *httptest.Server) { s.EnableHTTP2 = h2; quiet(s) })
	client := redeem.NewClient(opts)
	t.Cleanup(client.Close)
	return &api{Client: client, names: opts.Resolver.(*resolver), origin: vault.Destination{HTTP: &d}.String(), host: net.JoinHostPort("example.com", strconv.Itoa(d.Port))}
}

// ask sends the canary in header X-Key.
func (a *api) ask(t *testing.T, method, path string) (*redeem.Response, error) {
	t.Helper()
	h := newHandle(t)
	return a.call(t, redeem.Call{Method: method, URL: a.origin + path, Headers: []redeem.Field{{"X-Key", h}}}, h, "header:X-Key")
}

// call sends a call whose handle stands in a place.
func (a *api) call(t *testing.T, c redeem.Call, h, in string) (*redeem.Response, error) {
	t.Helper()
	return a.as(t, "agent:test", c, h, in, "127.0.0.0/8")
}

// as is call for another principal, by a destination that may lie in networks.
func (a *api) as(t *testing.T, principal string, c redeem.Call, h, in string, networks ...string) (*redeem.Response, error) {
	t.Helper()
	p := prepare(t, c)
	d := destination(t, p.Target().Origin(), in)
	for _, n := range networks {
		d.Network = append(d.Network, netip.MustParsePrefix(n))
	}
	values, places := one(h, canary, d)
	return a.Do(t.Context(), principal, p, values, places)
}

package rest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/rest"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// TestReadingsProve: a request that comes as whom its credential belonged to a
// moment ago is answered with 401 and nothing else, whatever it asks, once its
// principal may not act any more.
func TestReadingsProve(t *testing.T) {
	targets := []string{
		"/v1/secrets/app/key", "/v1/secrets/app%2Fkey", "/v1/secrets/app/key?version=1", "/v1/secrets/app/key?version=9", "/v1/secrets/app/key?version=x", "/v1/secrets/app/key/versions",
		"/v1/secrets/app/none", "/v1/secrets/app/none/versions", "/v1/secrets/app/ns", "/v1/secrets/app%2Fns", "/v1/secrets/other/key", "/v1/secrets/other", "/v1/secrets/none",
		"/v1/secrets/a..b/../x", "/v1/secrets/%00", "/v1/secrets/app%2Fkey%2Fversions", "/v1/secrets//", "/v1/secrets/",
	}
	for name, tt := range map[string]struct {
		scope, more string
		end         func(t *testing.T, d *desk, who *identity.Principal)
	}{
		"a revoked token": {"secrets:read:app/*", "", func(t *testing.T, d *desk, who *identity.Principal) {
			t.Helper()
			must(t, d.RevokeToken(t.Context(), identity.OwnerCLI(), who.Token))
		}},
		"a revoked token for all": {"secrets:read:*", "", func(t *testing.T, d *desk, who *identity.Principal) {
			t.Helper()
			must(t, d.RevokeToken(t.Context(), identity.OwnerCLI(), who.Token))
		}},
		"an expired token": {"secrets:read:app/key", `,"ttl_seconds":60`, func(_ *testing.T, d *desk, _ *identity.Principal) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.clock = d.clock.Add(time.Minute)
		}},
		"an exhausted token": {"secrets:read:app/*", `,"max_uses":1`, func(t *testing.T, d *desk, who *identity.Principal) {
			t.Helper()
			reader := *who
			reader.Door = policy.DoorREST
			_, err := d.Reveal(t.Context(), reader, "app/key", vault.Latest)
			must(t, err)
		}},
		"a token from elsewhere": {"secrets:read:app/*", `,"allowed_ips":["` + address + `"]`, func(_ *testing.T, _ *desk, who *identity.Principal) { who.Addr = "192.0.2.77" }},
		"a token of a revoked agent": {"secrets:read:app/*", "", func(t *testing.T, d *desk, who *identity.Principal) {
			t.Helper()
			must(t, d.RevokeAgent(t.Context(), identity.OwnerCLI(), who.Name))
		}},
		"a revoked agent": {"", "", func(t *testing.T, d *desk, who *identity.Principal) {
			t.Helper()
			must(t, d.RevokeAgent(t.Context(), identity.OwnerCLI(), who.Name))
		}},
		"an agent that was registered anew": {"", "", func(t *testing.T, d *desk, who *identity.Principal) {
			t.Helper()
			must(t, d.RevokeAgent(t.Context(), identity.OwnerCLI(), who.Name))
			_, err := d.AddAgent(t.Context(), identity.OwnerCLI(), identity.NewAgent{Name: who.Name})
			must(t, err)
		}},
		"a revoked admin": {"admin", "", func(t *testing.T, d *desk, who *identity.Principal) {
			t.Helper()
			must(t, d.RevokeAdmin(t.Context(), identity.OwnerCLI(), who.Name))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, programs)
			d.put(t, "app/key", "v", vault.Change{})
			d.put(t, "app/ns/key", "v", vault.Change{})
			d.put(t, "other/key", "v", vault.Change{})
			credential := "program"
			switch tt.scope {
			case "":
			case "admin":
				credential = "ada"
			default:
				credential, _ = d.send(t, "program", "POST /v1/tokens", `{"scope":"`+tt.scope+`"`+tt.more+`}`).fields(t)["token"].(string)
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/secrets/app/key", nil)
			must(t, err)
			r.Header.Set("Authorization", "Bearer "+credential)
			who, ok := d.caller(r)
			if !ok {
				t.Fatal("not known to begin with")
			}
			d.door = rest.New(d.Broker, func(*http.Request) (identity.Principal, bool) { return who, true }, nil)
			tt.end(t, d, &who)
			for _, target := range targets {
				got := d.send(t, credential, "GET "+target, "")
				if got.status != 401 || !strings.Contains(got.body, `"code":"UNAUTHORIZED"`) {
					t.Errorf("%s: %d %s", target, got.status, got.body)
				}
			}
		})
	}
}

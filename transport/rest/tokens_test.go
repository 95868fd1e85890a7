package rest_test

import (
	"context"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/rest"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// TestLifetimes issues exactly what was asked for, in every spelling, or refuses
// (R12).
func TestLifetimes(t *testing.T) {
	d := newDesk(t, programs)
	for fields, seconds := range map[string]float64{
		``:                                3600,
		`,"ttl":null`:                     3600,
		`,"ttl_seconds":60`:               60,
		`,"ttl_seconds":86400`:            86400,
		`,"ttl":900`:                      900,
		`,"ttl":"900"`:                    900,
		`,"ttl":"90s"`:                    90,
		`,"ttl":9e2`:                      900,
		`,"ttl":900.0`:                    900,
		`,"ttl_seconds":3600.0`:           3600,
		`,"ttl_seconds":36E+2`:            3600,
		`,"ttl_seconds":null`:             3600,
		`,"max_uses":1.0,"ttl":"1h"`:      3600,
		`,"max_uses":null,"ttl":"1h"`:     3600,
		`,"ttl":"15m"`:                    900,
		`,"ttl":"24h"`:                    86400,
		`,"ttl":"1d"`:                     86400,
		`,"ttl":"1h","ttl_seconds":3600`:  3600,
		`,"ttl_seconds":59`:               0,
		`,"ttl_seconds":0`:                0,
		`,"ttl_seconds":-60`:              0,
		`,"ttl_seconds":86401`:            0,
		`,"ttl_seconds":1e300`:            0,
		`,"ttl_seconds":"60"`:             0,
		`,"ttl_seconds":60.5`:             0,
		`,"ttl":604800`:                   0,
		`,"ttl":"7d"`:                     0,
		`,"ttl":"59s"`:                    0,
		`,"ttl":""`:                       0,
		`,"ttl":"h"`:                      0,
		`,"ttl":"1w"`:                     0,
		`,"ttl":"1 h"`:                    0,
		`,"ttl":"-1h"`:                    0,
		`,"ttl":"+1h"`:                    0,
		`,"ttl":"1h30m"`:                  0,
		`,"ttl":"1.5h"`:                   0,
		`,"ttl":900.5`:                    0,
		`,"ttl":"99999999999999999999s"`:  0,
		`,"ttl":"4294967295d"`:            0,
		`,"ttl":true`:                     0,
		`,"ttl":["1h"]`:                   0,
		`,"ttl":{"h":1}`:                  0,
		`,"ttl":"1h","ttl_seconds":3601`:  0,
		`,"max_uses":4294967296000000000`: 0,
		`,"max_uses":1000001`:             0,
		`,"max_uses":1000000`:             3600,
		`,"max_uses":-1`:                  0,
		`,"max_uses":0.5`:                 0,
		`,"max_uses":1e400`:               0,
		`,"max_uses":true`:                0,
		`,"scopes":"secrets:read:app/*"`:  0,
		`,"allowed_ips":"10.0.0.1"`:       0,
		`,"allowed_ips":["10.0.0.1/33"]`:  0,
		`,"allowed_ips":["fe80::1%eth0"]`: 0,
		`,"allowed_ips":["10.0.0.1"],"ip_allowlist":["10.0.0.1"]`: 0,
	} {
		got := d.send(t, "program", "POST /v1/tokens", `{"scope":"secrets:read:app/*"`+fields+`}`)
		switch {
		case seconds == 0 && (got.status != 400 || got.code(t) != "VALIDATION_ERROR"),
			seconds != 0 && (got.status != 201 || got.fields(t)["ttl_seconds"] != seconds):
			t.Errorf("%s: %d %s", fields, got.status, got.body)
		}
	}
}

// TestOnlyDirectReadsGet202: the same secret, read by a token, is refused: its
// client takes any 2xx for a value (R8).
func TestOnlyDirectReadsGet202(t *testing.T) {
	d := newDesk(t, programs)
	d.put(t, "app/key", "v", vault.Change{})
	token, _ := d.send(t, "program", "POST /v1/tokens", `{"scope":"secrets:read:app/*"}`).fields(t)["token"].(string)
	critical := vault.Critical
	d.put(t, "app/key", "v", vault.Change{Tier: &critical}) // guarded since
	for name, tt := range map[string]struct {
		who, target, agent string
		status             int
	}{
		"key":             {"program", "GET /v1/secrets/app%2Fkey", "node", 202},
		"key, CLI":        {"program", "GET /v1/secrets/app/key", "ass-cli/1.0.0", 403},
		"token":           {token, "GET /v1/secrets/app/key", "node", 403},
		"admin":           {"ada", "GET /v1/secrets/app/key", "node", 403},
		"key, for change": {"program", "DELETE /v1/secrets/app/key", "node", 403},
	} {
		got := d.send(t, tt.who, tt.target, "", "User-Agent", tt.agent)
		problem, _ := got.fields(t)["error"].(map[string]any)
		if got.status != tt.status || problem["code"] != "APPROVAL_REQUIRED" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

// TestAgentSeesItsTokensRequests: what an agent may look at it may list too.
func TestAgentSeesItsTokensRequests(t *testing.T) {
	d := newDesk(t, programs)
	d.put(t, "app/key", "v", vault.Change{})
	token, _ := d.send(t, "program", "POST /v1/tokens", `{"scope":"secrets:read:app/*"}`).fields(t)["token"].(string)
	critical := vault.Critical
	d.put(t, "app/key", "v", vault.Change{Tier: &critical})
	refused, _ := d.send(t, token, "GET /v1/secrets/app/key", "").fields(t)["error"].(map[string]any)
	id, _ := refused["approval_id"].(string)
	for who, sees := range map[string]bool{"program": true, token: true, "ada": true, "stranger": false} {
		looked, listed := d.send(t, who, "GET /v1/approvals/agent/"+id, ""), d.send(t, who, "GET /v1/approvals", "")
		if id == "" || (looked.status == 200) != sees || strings.Contains(listed.body, id) != sees {
			t.Errorf("%s: %s\n%s", who, looked.body, listed.body)
		}
	}
}

// TestAgentsOfTheCommandLine: what the published command line offers to limit an
// agent to (R9).
func TestAgentsOfTheCommandLine(t *testing.T) {
	d := newDesk(t, programs)
	for body, want := range map[string]string{
		`{"name":"a","allowed_namespaces":["*"],"allowed_scopes":["read:secrets","import:secrets"]}`: `"allowed_namespaces":[],"allowed_scopes":["secrets:read:*","secrets:write:*"]`,
		`{"name":"b","allowed_namespaces":["production/*","staging"]}`:                               `"allowed_namespaces":["production","staging"],"allowed_scopes":[]`,
		`{"name":"c","allowed_scopes":["read:secrets","manage:agents"]}`:                             "scope manage:agents is for admins only: leave it out, and give people who manage agents an admin's key.",
		`{"name":"c","allowed_scopes":["secrets:read:a/b//c"]}`:                                      "scope does not end in a path or a glob over paths: its path segment 3 is empty.",
		`{"name":"c","allowed_namespaces":["a*"]}`:                                                   "namespace segment 1 has a character",
	} {
		if got := d.send(t, "ada", "POST /v1/agents", body); !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
	if got := d.send(t, "ada", "GET /v1/agents", ""); strings.Contains(got.body, `"name":"c"`) {
		t.Errorf("an agent of refused limits: %s", got.body)
	}
}

// looking counts the requests of which the desk is to find out what they mean,
// and the lists that it is asked for.
type looking struct {
	rest.Desk
	looks, lists *int
}

func (l looking) RevealUnlessNamespace(ctx context.Context, who identity.Principal, p vault.Path) (vault.Secret, error) {
	*l.looks++
	return l.Desk.RevealUnlessNamespace(ctx, who, p)
}

func (l looking) List(ctx context.Context, who identity.Principal, r broker.ListRequest) (vault.Page, error) {
	*l.lists++
	return l.Desk.List(ctx, who, r)
}

// TestANameIsRead: what says by itself that it means a secret is read as one, and
// to read no secret takes a list.
func TestANameIsRead(t *testing.T) {
	d := newDesk(t, programs)
	d.put(t, "app/a/key", "v", vault.Change{})
	token := map[string]string{}
	for _, scope := range []string{"secrets:read:app/a/key", "secrets:read:app/*"} {
		token[scope], _ = d.send(t, "program", "POST /v1/tokens", `{"scope":"`+scope+`"}`).fields(t)["token"].(string)
	}
	looks, lists := 0, 0
	d.door = rest.New(looking{d.Broker, &looks, &lists}, d.caller, nil)
	for _, tt := range []struct {
		scope, target string
		want          int
	}{
		{"secrets:read:app/a/key", "/v1/secrets/app/a/key", 0},
		{"secrets:read:app/*", "/v1/secrets/app%2Fa/key", 0},
		{"secrets:read:app/*", "/v1/secrets/app/a/key?version=1", 0},
		{"secrets:read:app/*", "/v1/secrets/app/a/key", 1},
	} {
		looks = 0
		got := d.send(t, token[tt.scope], "GET "+tt.target, "")
		if got.status != 200 || looks != tt.want || lists != 0 {
			t.Errorf("%s by %s: %d, %d looks, %d lists", tt.target, tt.scope, got.status, looks, lists)
		}
	}
}

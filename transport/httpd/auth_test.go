package httpd_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/httpd"
)

func TestCredentials(t *testing.T) {
	long := strings.Repeat("a", 513)
	d := start(t, func(c *httpd.Config) {
		c.Authenticate = func(ctx context.Context, k, addr string) (identity.Principal, error) {
			if k == "" || k == long || strings.ContainsAny(k, " \u00e9") {
				t.Errorf("asked for a key of a wrong form")
			}
			return authenticate(ctx, k, addr)
		}
	})
	var first string
	for name, fields := range map[string][]string{
		"none":                    {"-Authorization"},
		"wrong":                   {"Authorization: Bearer ass_live_wrong"},
		"wrong agent key":         {"-Authorization", "X-Agent-Key: ass_live_wrong"},
		"both, different":         {"Authorization: Bearer " + key, "X-Agent-Key: " + otherKey},
		"right and wrong":         {"Authorization: Bearer " + key, "X-Agent-Key: ass_live_wrong"},
		"right and empty":         {"Authorization: Bearer " + key, "X-Agent-Key:"},
		"basic":                   {"Authorization: Basic " + key},
		"basic and right":         {"Authorization: Basic x", "X-Agent-Key: " + key},
		"no scheme":               {"Authorization: " + key},
		"empty bearer":            {"Authorization: Bearer "},
		"two words":               {"Authorization: Bearer " + key + " x"},
		"not ASCII":               {"Authorization: Bearer " + key + "\u00e9"},
		"too long":                {"Authorization: Bearer " + long},
		"two bearers":             {"Authorization: Bearer " + key, "Authorization: Bearer " + key},
		"two agent keys":          {"-Authorization", "X-Agent-Key: " + key, "X-Agent-Key: " + otherKey},
		"in the query only":       {"-Authorization"},
		"a comma between two":     {"Authorization: Bearer " + key + "," + otherKey},
		"underscore for a hyphen": {"-Authorization", "X_Agent_Key: " + key},
	} {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{"GET", "POST", "DELETE", "PUT", "OPTIONS"} {
				a := d.raw(t, request(method, "/mcp?key="+key, "{}", fields...))
				want(t, a, 401, "UNAUTHORIZED")
				if a.header.Get("WWW-Authenticate") != `Bearer realm="coatcheck"` {
					t.Fatal("does not say how to authenticate")
				}
				if first == "" {
					first = a.body
				}
				if a.body != first {
					t.Fatal("the answer tells one failure from another")
				}
			}
		})
	}
	if d.calls.Load() != 0 {
		t.Fatal("reached the handler")
	}
	if logs := d.logs.String(); strings.Contains(logs, "ass_live") || strings.Contains(logs, long) {
		t.Fatal("a key is in the log")
	}
}

func TestGoodCredentials(t *testing.T) {
	var seen identity.Principal
	var header http.Header
	d := start(t, func(c *httpd.Config) {
		c.MCP = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			who, ok := httpd.PrincipalFrom(r.Context())
			if !ok {
				t.Error("no principal")
			}
			seen, header = who, r.Header
		})
	})
	for name, fields := range map[string][]string{
		"bearer":               {"Authorization: Bearer " + key},
		"bearer in lower case": {"Authorization: bearer " + key},
		"two spaces":           {"Authorization: Bearer  " + key},
		"both the same":        {"Authorization: Bearer " + key, "x-agent-key: " + key},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, d.raw(t, request("POST", "/mcp", "{}", append(fields, "Cookie: a=b", "Mcp-Session-Id: s1")...)), 200, "")
			if seen.ID() != "agent:one" || seen.Addr != "127.0.0.1" || seen.Door != policy.DoorMCP {
				t.Fatalf("seen as %+v", seen)
			}
			for _, name := range []string{"Authorization", "X-Agent-Key", "Cookie"} {
				if _, ok := header[name]; ok {
					t.Fatalf("%s was passed on", name)
				}
			}
			if header.Get("Mcp-Session-Id") != "s1" {
				t.Fatal("the session id was not passed on")
			}
		})
	}
	t.Run("agent key alone", func(t *testing.T) {
		want(t, d.raw(t, request("POST", "/mcp", "{}", "-Authorization", "x-agent-key: "+otherKey)), 200, "")
		if seen.ID() != "agent:two" {
			t.Fatalf("seen as %+v", seen)
		}
	})
	if _, ok := httpd.PrincipalFrom(t.Context()); ok {
		t.Fatal("a principal from nothing")
	}
}

func TestAuthenticationFault(t *testing.T) {
	d := start(t, nil)
	for _, k := range []string{"ass_live_fault", "ass_live_nobody"} {
		t.Run(k, func(t *testing.T) {
			a := d.raw(t, request("POST", "/mcp", "{}", "Authorization: Bearer "+k))
			want(t, a, 500, "INTERNAL")
			if strings.Contains(a.body, "database") {
				t.Fatal("the fault's text is in the answer")
			}
		})
	}
	if d.calls.Load() != 0 {
		t.Fatal("reached the handler")
	}
}

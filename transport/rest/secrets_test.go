package rest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// TestPathsOfBothEditions reads one secret in every spelling of its path that a
// known client sends (CONTRACT §3).
func TestPathsOfBothEditions(t *testing.T) {
	d := newDesk(t, programs)
	d.put(t, "app/openai/API KEY", "sk-value", vault.Change{})
	d.put(t, "flat", "flat-value", vault.Change{})
	for name, tt := range map[string]struct{ target, value string }{
		"edition A":              {"/v1/secrets/app%2Fopenai%2FAPI%20KEY", "sk-value"},
		"edition A, lower case":  {"/v1/secrets/app%2fopenai%2fAPI%20KEY", "sk-value"},
		"SDK":                    {"/v1/secrets/app/openai/API%20KEY", "sk-value"},
		"MCP server, CLI":        {"/v1/secrets/app%2Fopenai/API%20KEY", "sk-value"},
		"a slash more":           {"/v1/secrets/app/openai%2FAPI%20KEY", "sk-value"},
		"letters in percent":     {"/v1/secrets/%61pp/openai/API%20KEY", "sk-value"},
		"flat":                   {"/v1/secrets/flat", "flat-value"},
		"with a version":         {"/v1/secrets/app/openai/API%20KEY?version=1", "sk-value"},
		"with unknown arguments": {"/v1/secrets/flat?x=1&y", "flat-value"},
	} {
		t.Run(name, func(t *testing.T) {
			got := d.send(t, "program", "GET "+tt.target, "")
			if got.status != 200 || got.fields(t)["value"] != tt.value {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
}

// TestGetOrList is R2: one request means a secret or a namespace, by what is there.
func TestGetOrList(t *testing.T) {
	d := newDesk(t, programs)
	d.put(t, "app/openai/key", "v", vault.Change{})
	d.put(t, "app/openai/deep/key", "v", vault.Change{})
	d.put(t, "flat/key", "v", vault.Change{})
	d.put(t, "other/key", "v", vault.Change{})
	for name, tt := range map[string]struct {
		who, target, agent string
		status             int
		has                string
	}{
		"SDK lists":                       {"program", "/v1/secrets/app/openai", "node", 200, `"namespace":"app/openai"`},
		"MCP server lists":                {"program", "/v1/secrets/app%2Fopenai", "node", 200, `"namespace":"app/openai"`},
		"a namespace of one segment":      {"program", "/v1/secrets/flat", "node", 200, `"key":"key"`},
		"a namespace and a key":           {"program", "/v1/secrets/app%2Fopenai/deep", "node", 404, "SECRET_NOT_FOUND"},
		"a namespace with a version":      {"program", "/v1/secrets/app/openai?version=1", "node", 404, "SECRET_NOT_FOUND"},
		"nothing":                         {"program", "/v1/secrets/app/nothing", "node", 404, "SECRET_NOT_FOUND"},
		"nothing, asked by the CLI":       {"program", "/v1/secrets/app%2Fnothing", "ass-cli/1.0.0", 200, `"items":[]`},
		"beyond the policy":               {"program", "/v1/secrets/other", "node", 403, "SCOPE_DENIED"},
		"beyond the policy, and nothing":  {"program", "/v1/secrets/nowhere", "node", 403, "SCOPE_DENIED"},
		"by one whom no rule knows":       {"stranger", "/v1/secrets/app/openai", "node", 403, "SCOPE_DENIED"},
		"a secret, by him":                {"stranger", "/v1/secrets/app/openai/key", "node", 403, "SCOPE_DENIED"},
		"no secret, by him":               {"stranger", "/v1/secrets/app/openai/none", "node", 403, "SCOPE_DENIED"},
		"a prefix that is no namespace":   {"program", "/v1/secrets/app/open", "node", 404, "SECRET_NOT_FOUND"},
		"versions is a name like another": {"program", "/v1/secrets/app/openai/versions", "node", 404, "SECRET_NOT_FOUND"},
	} {
		t.Run(name, func(t *testing.T) {
			got := d.send(t, tt.who, "GET "+tt.target, "", "User-Agent", tt.agent)
			if got.status != tt.status || !strings.Contains(got.body, tt.has) {
				t.Errorf("%d %s", got.status, got.body)
			}
			if strings.Contains(got.body, `"value"`) {
				t.Error("a value in", got.body)
			}
		})
	}
}

// TestListOfOne: what one secret is called, without its value, for clients that
// have to know one of many.
func TestListOfOne(t *testing.T) {
	d := newDesk(t, programs)
	d.put(t, "app/openai/key", "v", vault.Change{})
	d.put(t, "app/openai/key2", "\xff", vault.Change{})
	d.put(t, "other/key", "v", vault.Change{})
	for name, tt := range map[string]struct {
		who, query string
		status     int
		has        string
	}{
		"a secret":               {"program", "path=app%2Fopenai%2Fkey", 200, `"path":"app/openai/key",`},
		"and other fields":       {"program", "path=app/openai/key&namespace=app&cursor=x&limit=9", 200, `"next_cursor":null`},
		"bytes are told":         {"program", "path=app/openai/key2", 200, `"encoding":"base64"`},
		"a namespace":            {"program", "path=app/openai", 200, `"items":[]`},
		"nothing":                {"program", "path=app/none", 200, `"items":[]`},
		"no path":                {"program", "path=app//x", 400, "VALIDATION_ERROR"},
		"beyond the policy":      {"program", "path=other/key", 403, "SCOPE_DENIED"},
		"nothing, beyond it too": {"program", "path=other/none", 403, "SCOPE_DENIED"},
	} {
		t.Run(name, func(t *testing.T) {
			got := d.send(t, tt.who, "GET /v1/secrets?"+tt.query, "")
			if got.status != tt.status || !strings.Contains(got.body, tt.has) || strings.Count(got.body, `"path"`) > 1 {
				t.Errorf("%d %s", got.status, got.body)
			}
			if strings.Contains(got.body, `"value"`) {
				t.Error("a value in", got.body)
			}
		})
	}
}

// TestPatchEndsExpiry: null is not the same as nothing.
func TestPatchEndsExpiry(t *testing.T) {
	d := newDesk(t, programs)
	d.put(t, "app/key", "v", vault.Change{ExpiresAt: new(d.now().Add(time.Hour))})
	for _, step := range []struct{ body, has string }{
		{`{"description":"d"}`, `"expires_at":"2026-05-04T04:02:01Z"`},
		{`{"expires_at":"2027-01-01T00:00:00Z"}`, `"expires_at":"2027-01-01T00:00:00Z"`},
		{`{"expires_at":null}`, `"expires_at":null`},
	} {
		if got := d.send(t, "owner", "PATCH /v1/secrets/app/key", step.body); got.status != 200 || !strings.Contains(got.body, step.has) {
			t.Errorf("%s: %d %s", step.body, got.status, got.body)
		}
	}
}

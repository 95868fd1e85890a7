package client_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/client"
)

func TestDetect(t *testing.T) {
	get := func(path, bearer string) exchange {
		return exchange{request: "GET /v1/secrets/" + path, bearer: bearer, answer: `{"value":"v"}`}
	}
	token := exchange{request: "POST /v1/tokens", body: `{"scopes":["secrets:read:a/b"],"ttl":"1h"}`, answer: `{"token":"t","expires_at":"2030-01-01T00:00:00Z"}`}
	health := func(status int, answer string) exchange {
		return exchange{request: "GET /v1/health", bearer: "-", status: status, answer: answer}
	}
	for name, exchanges := range map[string][]exchange{
		"coatcheck":      {health(200, `{"status":"ok","version":"1","service":"coatcheck"}`), get("a%2Fb", ""), get("a%2Fb", "")},
		"no such route":  {health(404, `{}`), get("a%2Fb", ""), get("a%2Fb", "")},
		"not for all":    {health(401, ``), get("a%2Fb", ""), get("a%2Fb", "")},
		"edition B":      {health(200, `{"status":"ok","version":"1","service":"api"}`), token, get("a/b", "t"), get("a/b", "t")},
		"something else": {health(200, `ok`), token, get("a/b", "t"), get("a/b", "t")},
	} {
		t.Run(name, func(t *testing.T) {
			c := script(t, exchanges...).of(func(o *client.Options) { o.Edition = client.Detect })
			for range 2 {
				if _, err := c.GetSecret(t.Context(), "a/b", nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	t.Run("not now", func(t *testing.T) {
		down := health(500, "")
		c := script(t, down, down, health(404, ""), get("a%2Fb", "")).of(func(o *client.Options) { o.Edition = client.Detect })
		for range 2 {
			_, err := c.GetSecret(t.Context(), "a/b", nil)
			wantCode(t, err, client.CodeUnknown, 500)
		}
		if _, err := c.GetSecret(t.Context(), "a/b", nil); err != nil { // nothing was learned from the failure
			t.Error(err)
		}
	})
	for e, name := range map[client.Edition]string{client.Detect: "detect", client.EditionA: "A", client.EditionB: "B", 9: "unknown"} {
		want(t, "name", e.String(), name)
	}
}

// TestEditionB has every method in the words of the published packages.
func TestEditionB(t *testing.T) {
	token := func(scope, value string) exchange {
		return exchange{request: "POST /v1/tokens", body: `{"scopes":["` + scope + `"],"ttl":"1h"}`, answer: `{"token":"` + value + `","token_id":"tok_1","expires_at":"2030-01-01T00:00:00.000000"}`}
	}
	s := script(
		t, token("secrets:read:production/openai/KEY A", "r"),
		exchange{request: "GET /v1/secrets/production%2Fopenai/KEY%20A", bearer: "r", answer: `{"value":"v","secret_type":"certificate","access_tier":"sensitive","metadata":{"team":"ml","rank":3},"version":2,"updated_at":"2026-01-01T00:00:00"}`},
		token("secrets:write:production/openai/KEY", "w"),
		exchange{request: "PUT /v1/secrets/production%2Fopenai/KEY", bearer: "w", body: `{"value":"v","secret_type":"custom","access_tier":"standard"}`, answer: `{"id":"1","namespace":"production/openai","key":"KEY","version":3,"access_tier":"critical","metadata":{}}`},
		exchange{request: "PUT /v1/secrets/production%2Fopenai/KEY", bearer: "w", body: `{"value":"v","secret_type":"ssh_key","access_tier":"critical","metadata":{"team":"ml"}}`, answer: `{"version":4}`},
		token("secrets:read:production/openai/*", "l"),
		exchange{request: "GET /v1/secrets/production%2Fopenai", bearer: "l", answer: `{"namespace":"production/openai","items":[{"namespace":"production/openai","key":"KEY","version":4,"secret_type":"ssh_key","access_tier":"critical","metadata":{}}]}`},
		exchange{request: "POST /v1/secrets/production%2Fopenai/KEY/rotate", bearer: "w", body: `{"new_value":"w"}`, answer: `{"version":5}`},
		token("secrets:delete:production/openai/KEY", "d"),
		exchange{request: "DELETE /v1/secrets/production%2Fopenai/KEY", bearer: "d", status: 204},
		token("secrets:write:production/app/*", "i"),
		exchange{request: "POST /v1/secrets/import", bearer: "i", body: `{"namespace":"production/app","content":"A=b","secret_type":"custom","access_tier":"standard"}`, answer: `{"imported":["A"]}`},
		exchange{
			request: "POST /v1/tokens", body: `{"scopes":["namespaces:read"],"ttl":"15m","max_uses":1,"ip_allowlist":["10.0.0.0/8"],"description":"d"}`,
			answer: `{"token":"t","token_id":"tok_1","expires_at":"2030-01-01T00:00:00Z"}`,
		},
		exchange{request: "GET /v1/secrets/a/b", bearer: "own", answer: `{"value":"v"}`},
		exchange{request: "GET /v1/approvals/agent/apr_1", answer: `{"status":"approved","approved_at":"2026-01-01T00:00:00Z","expires_at":"2026-01-01T01:00:00Z"}`},
	)
	c := s.of(editionB)
	got, err := c.GetSecret(t.Context(), "production/openai/KEY A", nil)
	if err != nil {
		t.Fatal(err)
	}
	wantValue(t, got.Value, "v")
	want(t, "type, tier and tags", []any{got.Type, got.Tier, got.Tags, string(got.Extra["rank"])}, []any{vault.Certificate, vault.Sensitive, map[string]string{"team": "ml"}, "3"})
	m, err := c.SetSecret(t.Context(), "production/openai/KEY", text("v"), nil)
	if err != nil || m.Tier != vault.Critical {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := c.SetSecret(t.Context(), "production/openai/KEY", text("v"), &client.SetOptions{Type: vault.SSHKey, Tier: vault.Critical, Tags: map[string]string{"team": "ml"}}); err != nil {
		t.Error(err)
	}
	page, err := c.ListSecrets(t.Context(), "production/openai", &client.ListOptions{Limit: 10})
	if err != nil || len(page.Items) != 1 || page.Items[0].Path != "production/openai/KEY" || page.NextCursor != "" {
		t.Errorf("%+v, %v", page, err)
	}
	rotated, err := c.RotateSecret(t.Context(), "production/openai/KEY", text("w"), nil)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "rotation", *rotated, client.RotateResult{NewVersion: 5, OldVersion: 4})
	if err := c.DeleteSecret(t.Context(), "production/openai/KEY", &client.DeleteOptions{Permanent: true}); err != nil {
		t.Error(err)
	}
	if _, err := c.ImportEnv(t.Context(), "production/app", text("A=b"), nil); err != nil {
		t.Error(err)
	}
	if _, err := c.RequestToken(t.Context(), client.TokenOptions{Scope: "namespaces:read", TTL: 15 * time.Minute, MaxUses: 1, AllowedIPs: []string{"10.0.0.0/8"}, Description: "d"}); err != nil {
		t.Error(err)
	}
	if _, err := c.GetSecret(t.Context(), "a/b", &client.GetOptions{Token: text("own")}); err != nil {
		t.Error(err)
	}
	if token, err := c.WaitForApproval(t.Context(), "apr_1", nil); err != nil || !token.Value.IsZero() || token.ApprovalStatus != client.Approved {
		t.Errorf("%+v, %v", token, err)
	}
}

// TestEditionBLacks: what the edition has no words for is refused, and nothing is sent.
func TestEditionBLacks(t *testing.T) {
	c := script(t).of(editionB)
	ctx := t.Context()
	set := func(v string, o client.SetOptions) error { _, err := c.SetSecret(ctx, "a/b", text(v), &o); return err }
	list := func(ns string, o client.ListOptions) error { _, err := c.ListSecrets(ctx, ns, &o); return err }
	for name, err := range map[string]error{
		"version":     func() error { _, err := c.GetSecret(ctx, "a/b", &client.GetOptions{Version: 1}); return err }(),
		"description": set("v", client.SetOptions{Description: "d"}),
		"expiry":      set("v", client.SetOptions{ExpiresAt: time.Now().Add(time.Hour)}),
		"bytes":       set("\xff", client.SetOptions{}),
		"cursor":      list("a", client.ListOptions{Cursor: "c"}),
		"everything":  list("", client.ListOptions{}),
		"grace": func() error {
			_, err := c.RotateSecret(ctx, "a/b", text("v"), &client.RotateOptions{Grace: time.Hour})
			return err
		}(),
		"trash":    c.DeleteSecret(ctx, "a/b", nil),
		"restore":  func() error { _, err := c.RestoreSecret(ctx, "a/b"); return err }(),
		"versions": func() error { _, err := c.ListVersions(ctx, "a/b"); return err }(),
	} {
		t.Run(name, func(t *testing.T) {
			if wantCode(t, err, client.CodeUnsupported, 0); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("got %v", err)
			}
		})
	}
	_, err := c.GetSecret(ctx, "flat", nil)
	wantCode(t, err, client.CodeValidation, 0)
}

// TestTokenCache has what edition B's tokens are kept for and how long.
func TestTokenCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issued, revoked := 0, map[string]bool{}
		c := clientOf(t, func(r *http.Request) (*http.Response, error) {
			bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			switch {
			case r.URL.Path == "/v1/tokens" && bearer == key:
				issued++
				return response(200, `{"token":"t`+strconv.Itoa(issued)+`","expires_at":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano)+`"}`), nil
			case revoked[bearer] || bearer == key:
				return response(401, ""), nil
			case strings.Contains(r.URL.Path, "forbidden"):
				return response(403, `{"error":{"code":"SCOPE_DENIED"}}`), nil
			case r.Method == http.MethodGet && r.URL.Path == "/v1/secrets/n":
				return response(200, `{"items":[]}`), nil
			}
			return response(200, `{"value":"v"}`), nil
		}, editionB)
		get := func(path string, tokens int) {
			t.Helper()
			if _, err := c.GetSecret(t.Context(), path, nil); err != nil {
				t.Error(err)
			}
			if issued != tokens {
				t.Errorf("%s: %d tokens were issued, want %d", path, issued, tokens)
			}
		}
		get("n/a", 1)
		get("n/a", 1) // again
		get("n/b", 2) // another secret
		if _, err := c.ListSecrets(t.Context(), "n", nil); err != nil || issued != 3 {
			t.Errorf("list: %v, %d tokens", err, issued)
		}
		get("n/c/d", 3) // covered by the list's
		if _, err := c.SetSecret(t.Context(), "n/a", text("v"), nil); err != nil || issued != 4 {
			t.Errorf("set: %v, %d tokens", err, issued)
		}
		revoked["t1"], revoked["t3"] = true, true
		get("n/a", 5) // every token that covers it is dropped with the first
		get("n/c/d", 6)
		time.Sleep(time.Hour - 6*time.Second)
		get("n/a", 6)
		time.Sleep(time.Second) // the last five seconds are not used
		get("n/a", 7)
		if _, err := c.GetSecret(t.Context(), "n/forbidden", nil); !errors.Is(err, client.ErrPermission) || issued != 8 {
			t.Errorf("forbidden: %v, %d tokens", err, issued)
		}
		if _, err := c.GetSecret(t.Context(), "n/forbidden", nil); !errors.Is(err, client.ErrPermission) || issued != 8 {
			t.Errorf("forbidden again: %v, %d tokens", err, issued) // 403 is an answer, not a reason for another token
		}
	})
}

// TestFirstTokenRefused: a token that was fetched for this very call is not
// fetched again when it is refused.
func TestFirstTokenRefused(t *testing.T) {
	token := exchange{request: "POST /v1/tokens", body: `{"scopes":["secrets:read:a/b"],"ttl":"1h"}`, answer: `{"token":"t","expires_at":"2030-01-01T00:00:00Z"}`}
	get := exchange{request: "GET /v1/secrets/a/b", bearer: "t", status: 401}
	c := script(t, token, get, token, get).of(editionB)
	for range 2 {
		_, err := c.GetSecret(t.Context(), "a/b", nil)
		wantKind(t, err, client.ErrAuth)
	}
}

// TestEditionBApproval: a call that needs a token that needs an approval.
func TestEditionBApproval(t *testing.T) {
	body := `{"scopes":["secrets:read:a/b"],"ttl":"1h"}`
	s := script(
		t, exchange{request: "POST /v1/tokens", body: body, answer: `{"requires_approval":true,"approval_id":"apr_1"}`},
		exchange{request: "GET /v1/approvals/agent/apr_1", answer: `{"status":"approved"}`},
		exchange{request: "POST /v1/tokens", body: body, answer: `{"token":"t","expires_at":"2030-01-01T00:00:00Z"}`},
		exchange{request: "GET /v1/secrets/a/b", bearer: "t", answer: `{"value":"v"}`},
	)
	c := s.of(editionB)
	_, err := c.GetSecret(t.Context(), "a/b", nil)
	wantKind(t, err, client.ErrApprovalPending)
	pending, ok := errors.AsType[*client.ApprovalPendingError](err)
	if !ok {
		t.Fatal(err)
	}
	if _, err := c.WaitForApproval(t.Context(), pending.ApprovalRequestID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetSecret(t.Context(), "a/b", nil); err != nil { // with the token that was waited for
		t.Error(err)
	}
}

// TestBoundedMemory: a client that asks for ever more keeps the newest of it.
func TestBoundedMemory(t *testing.T) {
	const many = 300
	issued, pending := 0, false
	c := clientOf(t, func(r *http.Request) (*http.Response, error) {
		switch {
		case r.URL.Path == "/v1/tokens" && pending:
			issued++
			return response(202, `{"requires_approval":true,"approval_id":"apr_`+strconv.Itoa(issued)+`"}`), nil
		case r.URL.Path == "/v1/tokens":
			issued++
			return response(200, `{"token":"t`+strconv.Itoa(issued)+`","expires_at":"2100-01-01T00:00:00Z"}`), nil
		case strings.HasPrefix(r.URL.Path, "/v1/approvals/"):
			return response(200, `{"status":"approved"}`), nil
		}
		return response(200, `{"value":"v"}`), nil
	}, editionB)
	get := func(i int) {
		if _, err := c.GetSecret(t.Context(), "n/"+strconv.Itoa(i), nil); err != nil {
			t.Fatal(err)
		}
	}
	for i := range many {
		get(i)
	}
	get(many - 1)
	want(t, "tokens, the newest asked for again", issued, many)
	get(0)
	want(t, "tokens, the oldest asked for again", issued, many+1)

	issued, pending = 0, true
	for i := range many {
		if _, err := c.RequestToken(t.Context(), client.TokenOptions{Scope: "secrets:read:n/" + strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
	}
	pending = false
	for id, known := range map[string]bool{"apr_300": true, "apr_1": false} {
		if token, err := c.WaitForApproval(t.Context(), id, nil); err != nil || token.Value.IsZero() == known {
			t.Errorf("%s: %+v, %v", id, token, err)
		}
	}
}

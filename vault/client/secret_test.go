package client_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/client"
)

const openai = "/v1/secrets/production%2Fopenai%2Fapi-key"

const openaiSecret = `{"path":"production/openai/api-key","namespace":"production/openai","key":"api-key","value":"sk-proj-abc123","version":1,
	"tier":"sensitive","access_tier":"sensitive","type":"api_key","secret_type":"api_key","description":"OpenAI production key","tags":{"team":"ml"},
	"metadata":{"team":"ml","rank":3,"none":null,"deep":{"a":["b"]}},"created_at":"2026-01-02T03:04:05.123456Z","updated_at":"2026-01-03T05:04:05+02:00",
	"accessed_at":"2026-01-04T03:04:05Z","expires_at":null,"future":["unknown"]}`

var openaiMetadata = client.Metadata{
	Path: "production/openai/api-key", Version: 1, Tier: vault.Sensitive, Type: vault.APIKey, Description: "OpenAI production key", Tags: map[string]string{"team": "ml"},
	Extra:     map[string]json.RawMessage{"rank": json.RawMessage("3"), "none": json.RawMessage("null"), "deep": json.RawMessage(`{"a":["b"]}`)},
	CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 123456000, time.UTC), UpdatedAt: time.Date(2026, 1, 3, 3, 4, 5, 0, time.UTC), AccessedAt: time.Date(2026, 1, 4, 3, 4, 5, 0, time.UTC),
}

func TestGetSecret(t *testing.T) {
	s := script(
		t, exchange{request: "GET " + openai, answer: openaiSecret},
		exchange{request: "GET " + openai + "?version=2", answer: `{"value":"old","version":2}`},
		exchange{request: "GET " + openai, bearer: "ast_tok_1", answer: `{"value":"v","version":3}`},
		exchange{request: "GET " + openai + "?version=2", answer: `{"value":"new","version":3}`},
		exchange{request: "GET /v1/secrets/some%20thing%2F100%25%23%3F", answer: `{"value":"/wD+","encoding":"base64"}`},
		exchange{request: "GET /v1/secrets/flat", answer: `{"value":""}`},
	)
	c := s.of()
	got, err := c.GetSecret(t.Context(), "production/openai/api-key", nil)
	if err != nil {
		t.Fatal(err)
	}
	wantValue(t, got.Value, "sk-proj-abc123")
	want(t, "metadata", got.Metadata, openaiMetadata)

	t.Run("version", func(t *testing.T) {
		got, err := c.GetSecret(t.Context(), "production/openai/api-key", &client.GetOptions{Version: 2})
		if err != nil {
			t.Fatal(err)
		}
		wantValue(t, got.Value, "old")
		want(t, "metadata", got.Metadata, client.Metadata{Path: "production/openai/api-key", Version: 2, Tier: vault.Standard, Type: vault.Custom})
	})
	t.Run("token", func(t *testing.T) {
		got, err := c.GetSecret(t.Context(), "production/openai/api-key", &client.GetOptions{Token: text("ast_tok_1")})
		if err != nil {
			t.Fatal(err)
		}
		want(t, "version", got.Version, 3)
	})
	t.Run("another version than asked for", func(t *testing.T) {
		_, err := c.GetSecret(t.Context(), "production/openai/api-key", &client.GetOptions{Version: 2})
		wantCode(t, err, client.CodeInvalidResponse, 200)
	})
	t.Run("odd path, bytes", func(t *testing.T) {
		got, err := c.GetSecret(t.Context(), "some thing/100%#?", nil)
		if err != nil {
			t.Fatal(err)
		}
		wantValue(t, got.Value, "\xff\x00\xfe")
		want(t, "binary", got.Binary, true)
	})
	t.Run("empty", func(t *testing.T) {
		if got, err := c.GetSecret(t.Context(), "flat", nil); err != nil || !got.Value.IsZero() {
			t.Error(err)
		}
	})
}

func TestSetSecret(t *testing.T) {
	s := script(
		t, exchange{
			request: "PUT " + openai, answer: openaiSecret,
			body: `{"value":"sk-1","tier":"sensitive","type":"api_key","description":"OpenAI production key","tags":{"team":"ml","env":"prod"},"expires_at":"2027-12-31T00:00:00Z"}`,
		},
		exchange{request: "PUT /v1/secrets/staging%2Fconfig%2Ffeature-flag", body: `{"value":"true"}`, status: 201, answer: `{"version":1,"tier":"standard"}`},
		exchange{request: "PUT /v1/secrets/a", body: `{"value":"v","tags":{}}`, answer: `{"version":2}`},
		exchange{request: "PUT /v1/secrets/a", body: `{"value":"v","metadata":{"team":"ml","rank":3}}`, answer: `{"version":3}`},
		exchange{request: "PUT /v1/secrets/a", body: `{"value":"/w==","encoding":"base64"}`, answer: `{"version":4,"encoding":"base64"}`},
		exchange{request: "PUT /v1/secrets/a", body: `{"value":"<&>\u2028\"\\"}`, answer: `{"version":5}`},
		exchange{request: "PUT /v1/secrets/a", body: `{"value":"v"}`, status: 202, answer: `{"approval_request_id":"apr_1"}`},
	)
	c := s.of()
	set := func(t *testing.T, path, value string, opts *client.SetOptions) *client.Metadata {
		t.Helper()
		m, err := c.SetSecret(t.Context(), path, text(value), opts)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := set(t, "production/openai/api-key", "sk-1", &client.SetOptions{
		Tier: vault.Sensitive, Type: vault.APIKey, Description: "OpenAI production key", Tags: map[string]string{"team": "ml", "env": "prod"},
		ExpiresAt: time.Date(2027, 12, 31, 2, 0, 0, 0, time.FixedZone("", 7200)),
	})
	want(t, "metadata", *m, openaiMetadata)
	want(t, "minimal", *set(t, "staging/config/feature-flag", "true", nil), client.Metadata{Path: "staging/config/feature-flag", Version: 1, Tier: vault.Standard, Type: vault.Custom})
	set(t, "a", "v", &client.SetOptions{Tags: map[string]string{}})
	set(t, "a", "v", &client.SetOptions{Tags: map[string]string{"team": "ml"}, Extra: map[string]json.RawMessage{"rank": json.RawMessage("3")}})
	want(t, "binary", set(t, "a", "\xff", nil).Binary, true)
	set(t, "a", "<&>\u2028\"\\", nil)
	_, err := c.SetSecret(t.Context(), "a", text("v"), nil)
	wantKind(t, err, client.ErrApprovalPending)
}

func TestRotateSecret(t *testing.T) {
	s := script(
		t, exchange{
			request: "PATCH " + openai, body: `{"value":"sk-2","grace_period_seconds":300}`,
			answer: `{"path":"production/openai/api-key","version":2,"new_version":2,"old_version":1,"grace_expires_at":"2026-01-01T00:05:00Z","expires_at":"2026-01-01T00:05:00Z"}`,
		},
		exchange{request: "PATCH " + openai, body: `{"value":"sk-3","grace_period_seconds":0}`, answer: `{"version":3,"expires_at":"2026-01-01T00:00:00Z"}`},
		exchange{request: "PATCH " + openai, body: `{"value":"sk-4","grace_period_seconds":0}`, status: 403, answer: `{"error":{"code":"APPROVAL_REQUIRED","approval_id":"apr_9"}}`},
	)
	c := s.of()
	got, err := c.RotateSecret(t.Context(), "production/openai/api-key", text("sk-2"), &client.RotateOptions{Grace: 5 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "result", *got, client.RotateResult{NewVersion: 2, OldVersion: 1, ExpiresAt: time.Date(2026, 1, 1, 0, 5, 0, 0, time.UTC)})
	if got, err = c.RotateSecret(t.Context(), "production/openai/api-key", text("sk-3"), nil); err != nil {
		t.Fatal(err)
	}
	want(t, "result without grace", *got, client.RotateResult{NewVersion: 3, OldVersion: 2, ExpiresAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
	_, err = c.RotateSecret(t.Context(), "production/openai/api-key", text("sk-4"), nil)
	wantKind(t, err, client.ErrApprovalPending)
}

func TestDeleteSecret(t *testing.T) {
	s := script(
		t, exchange{request: "DELETE /v1/secrets/staging%2Fopenai%2Ftest-key", status: 204},
		exchange{request: "DELETE /v1/secrets/staging%2Fopenai%2Ftest-key?permanent=true", status: 200, answer: `{}`},
		exchange{request: "DELETE /v1/secrets/staging%2Fopenai%2Ftest-key", status: 404, answer: `{"error":{"code":"SECRET_NOT_FOUND"}}`},
		exchange{request: "DELETE /v1/secrets/staging%2Fopenai%2Ftest-key", status: 202, answer: `{"approval_request_id":"apr_1"}`},
	)
	c := s.of()
	if err := c.DeleteSecret(t.Context(), "staging/openai/test-key", nil); err != nil {
		t.Error(err)
	}
	if err := c.DeleteSecret(t.Context(), "staging/openai/test-key", &client.DeleteOptions{Permanent: true}); err != nil {
		t.Error(err)
	}
	wantKind(t, c.DeleteSecret(t.Context(), "staging/openai/test-key", nil), client.ErrNotFound)
	wantKind(t, c.DeleteSecret(t.Context(), "staging/openai/test-key", nil), client.ErrApprovalPending)
}

func TestRestoreSecret(t *testing.T) {
	s := script(
		t, exchange{request: "POST " + openai + "/restore", answer: openaiSecret},
		exchange{request: "POST " + openai + "/restore", status: 409, answer: `{"error":{"code":"SECRET_EXISTS","message":"There is one."}}`},
	)
	c := s.of()
	m, err := c.RestoreSecret(t.Context(), "production/openai/api-key")
	if err != nil {
		t.Fatal(err)
	}
	want(t, "metadata", *m, openaiMetadata)
	_, err = c.RestoreSecret(t.Context(), "production/openai/api-key")
	wantCode(t, err, "SECRET_EXISTS", 409)
}

func TestListVersions(t *testing.T) {
	s := script(
		t, exchange{request: "GET " + openai + "/versions", answer: `{"path":"production/openai/api-key","items":[{"version":2,"created_at":"2026-01-02T00:00:00Z","current":true,"readable_until":null},
			{"version":1,"created_at":"2026-01-01T00:00:00Z","current":false,"readable_until":"2026-01-02T00:05:00Z"}]}`},
		exchange{request: "GET " + openai + "/versions", answer: `{"namespace":"production/openai/api-key","items":[]}`},
	)
	c := s.of()
	got, err := c.ListVersions(t.Context(), "production/openai/api-key")
	if err != nil {
		t.Fatal(err)
	}
	day := func(d, m int) time.Time { return time.Date(2026, 1, d, 0, m, 0, 0, time.UTC) }
	want(t, "versions", got, []vault.Version{{Number: 2, CreatedAt: day(2, 0), Current: true}, {Number: 1, CreatedAt: day(1, 0), ReadableUntil: day(2, 5)}})
	_, err = c.ListVersions(t.Context(), "production/openai/api-key")
	wantCode(t, err, client.CodeInvalidResponse, 200)
}

func TestImportEnv(t *testing.T) {
	const env = "OPENAI_API_KEY='sk-canary-1'\n"
	body := `{"namespace":"production/app","content":"OPENAI_API_KEY='sk-canary-1'\n","secret_type":"custom","access_tier":"standard"}`
	s := script(
		t, exchange{request: "POST /v1/secrets/import", body: body, status: 201, answer: `{"namespace":"production/app","imported":["OPENAI_API_KEY"],"imported_count":1,"keys":["OPENAI_API_KEY"],"skipped":0}`},
		exchange{request: "POST /v1/secrets/import", body: body, answer: `{"imported":["OPENAI_API_KEY"],"imported_count":1}`},
		exchange{request: "POST /v1/secrets/import", body: body, answer: `{"imported":1}`},
		exchange{request: "POST /v1/secrets/import", body: body, status: 400, answer: `{"error":{"code":"VALIDATION_ERROR","message":"line 1: sk-canary-1 is odd"}}`},
		exchange{
			request: "POST /v1/secrets/import", answer: `{"keys":[]}`,
			body: `{"namespace":"a","content":"#","secret_type":"api_key","access_tier":"critical","metadata":{"team":"ml"}}`,
		},
	)
	c := s.of()
	for range 2 {
		names, err := c.ImportEnv(t.Context(), "production/app/", text(env), nil)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "names", names, []string{"OPENAI_API_KEY"})
	}
	_, err := c.ImportEnv(t.Context(), "production/app", text(env), nil)
	wantCode(t, err, client.CodeInvalidResponse, 200)
	_, err = c.ImportEnv(t.Context(), "production/app", text(env), nil)
	wantCode(t, err, client.CodeValidation, 400)
	wantMessage(t, err, "bad request")
	if _, err := c.ImportEnv(t.Context(), "a", text("#"), &client.SetOptions{Type: vault.APIKey, Tier: vault.Critical, Tags: map[string]string{"team": "ml"}}); err != nil {
		t.Error(err)
	}
	_, err = c.ImportEnv(t.Context(), "a", text("#"), &client.SetOptions{Description: "d"})
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("description: %v", err)
	}
}

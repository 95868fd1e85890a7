package client_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault/client"
)

const approvedToken = `{"token":"ast_tok_1","value":"ast_tok_1","token_id":"tok_1","scope":"secrets:read:production/openai/*","scopes":["secrets:read:production/openai/*"],"ttl_seconds":3600,
	"expires_at":"2030-01-01T00:00:00Z","description":"Inference agent","allowed_ips":["10.0.1.50"],"ip_allowlist":["10.0.1.50"],"max_uses":1,"agent_id":"x",
	"requires_approval":false,"approval_status":"approved","approval_id":null,"approval_request_id":null}`

func TestRequestToken(t *testing.T) {
	s := script(
		t, exchange{
			request: "POST /v1/tokens", status: 201, answer: approvedToken,
			body: `{"scope":"secrets:read:production/openai/*","ttl_seconds":3600,"description":"Inference agent","allowed_ips":["10.0.1.50"],"max_uses":1}`,
		},
		exchange{request: "POST /v1/tokens", body: `{"scope":"*","ttl_seconds":3600}`, answer: `{"token":"t","expires_at":"2030-01-01T00:00:00Z"}`},
		exchange{request: "POST /v1/tokens", body: `{"scopes":["secrets:read:a","secrets:read:b"],"ttl_seconds":90}`, answer: `{"value":"t","expires_at":"2030-01-01T00:00:00Z"}`},
		exchange{
			request: "POST /v1/tokens", body: `{"scope":"secrets:read:s","ttl_seconds":3600}`, status: 202,
			answer: `{"requires_approval":true,"approval_id":"apr_1","approval_request_id":"apr_1","approval_status":"pending","scopes":["secrets:read:s"],"token":null,"value":null,"expires_at":null}`,
		},
		exchange{request: "POST /v1/tokens", body: `{"scope":"secrets:read:s","ttl_seconds":3600}`, answer: `{"approval_status":"denied","approval_request_id":"apr_1"}`},
		exchange{request: "POST /v1/tokens", body: `{"scope":"secrets:read:s","ttl_seconds":3600}`, answer: `{"token":"t"}`},
		exchange{request: "POST /v1/tokens", body: `{"scope":"secrets:read:s","ttl_seconds":3600}`, answer: `{"expires_at":"2030-01-01T00:00:00Z"}`},
		exchange{request: "POST /v1/tokens", body: `{"scope":"secrets:read:s","ttl_seconds":3600}`, answer: `{"requires_approval":true}`},
	)
	c := s.of()
	ends := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	ask := func(t *testing.T, o client.TokenOptions, value string, expected client.Token) {
		t.Helper()
		got, err := c.RequestToken(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		wantValue(t, got.Value, value)
		got.Value = expected.Value
		want(t, "token", *got, expected)
	}
	t.Run("every option", func(t *testing.T) {
		ask(t, client.TokenOptions{Scope: "secrets:read:production/openai/*", TTL: time.Hour, Description: "Inference agent", AllowedIPs: []string{"10.0.1.50"}, MaxUses: 1}, "ast_tok_1", client.Token{
			ID: "tok_1", Scopes: []string{"secrets:read:production/openai/*"}, TTL: time.Hour, ExpiresAt: ends, Description: "Inference agent",
			AllowedIPs: []string{"10.0.1.50"}, MaxUses: 1, ApprovalStatus: client.Approved,
		})
	})
	t.Run("defaults", func(t *testing.T) {
		ask(t, client.TokenOptions{Scope: "*"}, "t", client.Token{Scopes: []string{"*"}, TTL: time.Hour, ExpiresAt: ends, ApprovalStatus: client.Approved})
	})
	t.Run("scopes", func(t *testing.T) {
		scopes := []string{"secrets:read:a", "secrets:read:b"}
		ask(t, client.TokenOptions{Scopes: scopes, TTL: 90 * time.Second}, "t", client.Token{Scopes: scopes, TTL: 90 * time.Second, ExpiresAt: ends, ApprovalStatus: client.Approved})
	})
	t.Run("pending", func(t *testing.T) {
		ask(t, client.TokenOptions{Scope: "secrets:read:s"}, "", client.Token{Scopes: []string{"secrets:read:s"}, TTL: time.Hour, ApprovalStatus: client.Pending, ApprovalRequestID: "apr_1"})
	})
	t.Run("denied", func(t *testing.T) {
		ask(t, client.TokenOptions{Scope: "secrets:read:s"}, "", client.Token{Scopes: []string{"secrets:read:s"}, TTL: time.Hour, ApprovalStatus: client.Denied, ApprovalRequestID: "apr_1"})
	})
	for _, lack := range []string{"expiry", "token", "approval"} {
		t.Run("without "+lack, func(t *testing.T) {
			_, err := c.RequestToken(t.Context(), client.TokenOptions{Scope: "secrets:read:s"})
			wantCode(t, err, client.CodeInvalidToken, 200)
		})
	}
}

func TestRevokeToken(t *testing.T) {
	s := script(
		t, exchange{request: "DELETE /v1/tokens/tok_1", status: 204},
		exchange{request: "DELETE /v1/tokens/tok_2", status: 404, answer: `{"error":{"code":"TOKEN_NOT_FOUND"}}`},
	)
	c := s.of()
	if err := c.RevokeToken(t.Context(), "tok_1"); err != nil {
		t.Error(err)
	}
	err := c.RevokeToken(t.Context(), "tok_2")
	wantKind(t, err, client.ErrNotFound)
	wantCode(t, err, "TOKEN_NOT_FOUND", 404)
}

func TestWaitForApproval(t *testing.T) {
	// wait waits for an approval of which each look gets the next answer, the last
	// one for ever. It returns what it took too.
	wait := func(t *testing.T, ctx context.Context, opts *client.WaitOptions, answers ...string) (got *client.Token, took time.Duration, err error) {
		t.Helper()
		c := clientOf(t, func(r *http.Request) (*http.Response, error) {
			if r.Method+r.URL.Path != "GET/v1/approvals/apr_1" || r.Header.Get("Authorization") != "Bearer "+key {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			answer := answers[0]
			if len(answers) > 1 {
				answers = answers[1:]
			}
			return response(200, answer), nil
		})
		start := time.Now()
		got, err = c.WaitForApproval(ctx, "apr_1", opts)
		return got, time.Since(start), err
	}
	const pending, approved = `{"status":"pending"}`, `{"status":"approved","approved_at":"2026-01-01T00:00:00Z","token":"ast_tok_1","token_id":"tok_1","scopes":["secrets:read:s"],"ttl_seconds":60,"expires_at":"2030-01-01T00:00:00Z"}`
	inBubble := func(name string, f func(*testing.T)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
	}
	inBubble("approved", func(t *testing.T) {
		t.Helper()
		got, took, err := wait(t, t.Context(), nil, pending, pending, pending, pending, approved)
		if err != nil {
			t.Fatal(err)
		}
		wantValue(t, got.Value, "ast_tok_1")
		want(t, "status", got.ApprovalStatus, client.Approved)
		want(t, "scopes", got.Scopes, []string{"secrets:read:s"})
		want(t, "wait: 1, 2, 4 and 5 seconds", took, 12*time.Second)
	})
	inBubble("of a reading", func(t *testing.T) {
		t.Helper()
		got, _, err := wait(t, t.Context(), nil, `{"status":"approved"}`)
		if err != nil || !got.Value.IsZero() || got.ApprovalStatus != client.Approved || got.ApprovalRequestID != "apr_1" {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	inBubble("denied", func(t *testing.T) {
		t.Helper()
		_, took, err := wait(t, t.Context(), nil, pending, `{"status":"denied"}`)
		wantKind(t, err, client.ErrPermission)
		if e, ok := errors.AsType[*client.PermissionError](err); !ok || !errors.Is(e, client.ErrApprovalDenied) || took != time.Second {
			t.Errorf("got %v after %v", err, took)
		}
		wantCode(t, err, client.CodeApprovalDenied, 403)
	})
	for _, status := range []string{"expired", "cancelled", "used"} {
		inBubble(status, func(t *testing.T) {
			t.Helper()
			_, _, err := wait(t, t.Context(), nil, `{"status":"`+status+`"}`)
			if wantCode(t, err, client.CodeApprovalExpired, 200); !errors.Is(err, client.ErrApprovalExpired) || !strings.Contains(err.Error(), status) {
				t.Errorf("got %v", err)
			}
		})
	}
	inBubble("timeout", func(t *testing.T) {
		t.Helper()
		_, took, err := wait(t, t.Context(), &client.WaitOptions{Timeout: 2 * time.Minute}, pending)
		if wantCode(t, err, client.CodeApprovalTimeout, 0); !errors.Is(err, client.ErrApprovalTimeout) || !errors.Is(err, client.ErrApprovalPending) || took != 2*time.Minute {
			t.Errorf("got %v after %v", err, took)
		}
	})
	inBubble("no timeout", func(t *testing.T) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		_, took, err := wait(t, ctx, nil, pending)
		if wantKind(t, err, client.ErrNetwork); !errors.Is(err, context.DeadlineExceeded) || took != 24*time.Hour {
			t.Errorf("got %v after %v", err, took)
		}
	})
	inBubble("an unknown status", func(t *testing.T) {
		t.Helper()
		_, _, err := wait(t, t.Context(), nil, `{"status":"maybe"}`)
		wantCode(t, err, client.CodeInvalidResponse, 200)
	})
}

// TestWaitAsksAgain: where the answer of an approval has no token, the request is
// made again, which an approved one lets pass.
func TestWaitAsksAgain(t *testing.T) {
	body := `{"scope":"secrets:read:s","ttl_seconds":60,"max_uses":2}`
	waiting := exchange{request: "POST /v1/tokens", body: body, status: 202, answer: `{"requires_approval":true,"approval_id":"apr_1"}`}
	approved := exchange{request: "GET /v1/approvals/apr_1", answer: `{"status":"approved","token":null}`}
	s := script(t, waiting, approved, exchange{request: "POST /v1/tokens", body: body, answer: approvedToken}, approved, waiting)
	c := s.of()
	token, err := c.RequestToken(t.Context(), client.TokenOptions{Scope: "secrets:read:s", TTL: time.Minute, MaxUses: 2})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.WaitForApproval(t.Context(), token.ApprovalRequestID, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantValue(t, got.Value, "ast_tok_1")
	_, err = c.WaitForApproval(t.Context(), token.ApprovalRequestID, nil) // it was given out before
	wantKind(t, err, client.ErrApprovalPending)
}

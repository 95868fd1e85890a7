package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/client"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// TestCoatcheck has every method of the seed against coatcheck itself, over a
// socket, with every error, under the seed's headings. What a heading says of
// options is also in the tests of the same names, against a service that is watched.
func TestCoatcheck(t *testing.T) {
	d := newDesk(t)
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	of := func(key string) *client.Client {
		t.Helper()
		c, err := client.New(&client.Options{AgentKey: text(key), BaseURL: server.URL, RetryDelay: 1})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	owner, agent, nobody := of(key), of(d.agentKey), of("ass_live_nobody")
	ctx := t.Context()
	const path = "production/openai/api-key"
	ends := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)

	t.Run("setSecret", func(t *testing.T) {
		m, err := owner.SetSecret(ctx, path, text("sk-proj-1"), &client.SetOptions{
			Tier: vault.Standard, Type: vault.APIKey, Description: "OpenAI production key", Tags: map[string]string{"team": "ml"},
			Extra: map[string]json.RawMessage{"rank": json.RawMessage("3")}, ExpiresAt: ends,
		})
		if err != nil {
			t.Fatal(err)
		}
		if m.CreatedAt.IsZero() || !m.CreatedAt.Equal(m.UpdatedAt) || !m.AccessedAt.IsZero() {
			t.Errorf("times of %+v", m)
		}
		m.CreatedAt, m.UpdatedAt = time.Time{}, time.Time{}
		want(t, "metadata", *m, client.Metadata{
			Path: path, Version: 1, Tier: vault.Standard, Type: vault.APIKey, Description: "OpenAI production key", Tags: map[string]string{"team": "ml"},
			Extra: map[string]json.RawMessage{"rank": json.RawMessage("3")}, ExpiresAt: ends,
		})
		m, err = agent.SetSecret(ctx, "staging/config/feature-flag", text("true"), nil)
		if err != nil || m.Version != 1 || m.Tier != vault.Standard {
			t.Errorf("minimal: %+v, %v", m, err)
		}
		if m, err = agent.SetSecret(ctx, path, text("sk-proj-2"), nil); err != nil || m.Version != 2 || m.Description != "OpenAI production key" || !m.ExpiresAt.Equal(ends) {
			t.Errorf("the next version: %+v, %v", m, err)
		}
		if _, err := owner.SetSecret(ctx, "staging/bytes", text("\xff\x00"), nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("getSecret", func(t *testing.T) {
		s, err := agent.GetSecret(ctx, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		wantValue(t, s.Value, "sk-proj-2")
		want(t, "version", s.Version, 2)
		if s, err = agent.GetSecret(ctx, path, &client.GetOptions{Version: 1}); err != nil {
			t.Fatal(err)
		}
		wantValue(t, s.Value, "sk-proj-1")
		if s, err = owner.GetSecret(ctx, path, &client.GetOptions{Token: text(d.agentKey)}); err != nil || s.Version != 2 {
			t.Errorf("with another credential: %v", err)
		}
		if s, err = agent.GetSecret(ctx, "staging/bytes", nil); err != nil || !s.Binary {
			t.Fatalf("bytes: %v", err)
		}
		wantValue(t, s.Value, "\xff\x00")
	})
	t.Run("listSecrets", func(t *testing.T) {
		page, err := agent.ListSecrets(ctx, "staging", &client.ListOptions{Limit: 1})
		if err != nil || len(page.Items) != 1 || page.Items[0].Path != "staging/bytes" || !page.Items[0].Binary || page.NextCursor == "" {
			t.Fatalf("%+v, %v", page, err)
		}
		if page, err = agent.ListSecrets(ctx, "staging", &client.ListOptions{Cursor: page.NextCursor}); err != nil || len(page.Items) != 1 || page.NextCursor != "" {
			t.Errorf("second page: %+v, %v", page, err)
		}
		var paths []string
		for m, err := range agent.Secrets(ctx, "", &client.ListOptions{Limit: 1}) {
			if err != nil {
				t.Fatal(err)
			}
			paths = append(paths, m.Path)
		}
		want(t, "paths", paths, []string{path, "staging/bytes", "staging/config/feature-flag"})
	})
	t.Run("rotateSecret", func(t *testing.T) {
		r, err := agent.RotateSecret(ctx, path, text("sk-proj-3"), &client.RotateOptions{Grace: 5 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if left := time.Until(r.ExpiresAt); r.NewVersion != 3 || r.OldVersion != 2 || left < 4*time.Minute || left > 5*time.Minute {
			t.Errorf("got %+v", r)
		}
		if _, err := agent.GetSecret(ctx, path, &client.GetOptions{Version: 2}); err != nil {
			t.Errorf("within the grace period: %v", err)
		}
		if r, err = agent.RotateSecret(ctx, path, text("sk-proj-4"), nil); err != nil || r.NewVersion != 4 || time.Until(r.ExpiresAt) > 0 {
			t.Errorf("without grace: %+v, %v", r, err)
		}
		_, err = agent.GetSecret(ctx, path, &client.GetOptions{Version: 3})
		wantCode(t, err, "VERSION_EXPIRED", 404)
		versions, err := owner.ListVersions(ctx, path)
		if err != nil || len(versions) != 4 || versions[0].Number != 4 || !versions[0].Current || versions[1].ReadableUntil.IsZero() {
			t.Errorf("versions: %+v, %v", versions, err)
		}
	})
	t.Run("importEnv", func(t *testing.T) {
		names, err := owner.ImportEnv(ctx, "staging/app", text("A=1\nB='two words'\n"), &client.SetOptions{Type: vault.APIKey, Tags: map[string]string{"from": "env"}})
		if err != nil {
			t.Fatal(err)
		}
		want(t, "names", names, []string{"A", "B"})
		s, err := agent.GetSecret(ctx, "staging/app/B", nil)
		if err != nil {
			t.Fatal(err)
		}
		wantValue(t, s.Value, "two words")
		want(t, "type and tags", []any{s.Type, s.Tags}, []any{vault.APIKey, map[string]string{"from": "env"}})
		_, err = owner.ImportEnv(ctx, "staging/app", text("A=${canary}\n"), nil)
		wantCode(t, err, client.CodeValidation, 400)
	})
	t.Run("deleteSecret", func(t *testing.T) {
		if err := agent.DeleteSecret(ctx, "staging/app/A", nil); err != nil {
			t.Fatal(err)
		}
		_, err := agent.GetSecret(ctx, "staging/app/A", nil)
		wantKind(t, err, client.ErrNotFound)
		if m, err := owner.RestoreSecret(ctx, "staging/app/A"); err != nil || m.Version != 1 || m.Path != "staging/app/A" {
			t.Errorf("restored %+v, %v", m, err)
		}
		if err := owner.DeleteSecret(ctx, "staging/app/A", &client.DeleteOptions{Permanent: true}); err != nil {
			t.Error(err)
		}
		_, err = owner.RestoreSecret(ctx, "staging/app/A")
		wantKind(t, err, client.ErrNotFound)
	})
	t.Run("requestToken", func(t *testing.T) {
		token, err := agent.RequestToken(ctx, client.TokenOptions{Scope: "secrets:read:production/openai/*", TTL: 2 * time.Hour, Description: "Inference agent", AllowedIPs: []string{"127.0.0.1", "10.0.0.0/8"}, MaxUses: 1})
		if err != nil {
			t.Fatal(err)
		}
		left := time.Until(token.ExpiresAt)
		if token.Value.IsZero() || token.ID == "" || left < 119*time.Minute || left > 2*time.Hour {
			t.Errorf("got %+v", token)
		}
		use := &client.GetOptions{Token: token.Value}
		shown := *token
		shown.Value = secret.Value{}
		want(t, "token", shown, client.Token{
			ID: token.ID, ExpiresAt: token.ExpiresAt, Scopes: []string{"secrets:read:production/openai/*"}, TTL: 2 * time.Hour, Description: "Inference agent",
			AllowedIPs: []string{"127.0.0.1", "10.0.0.0/8"}, MaxUses: 1, ApprovalStatus: client.Approved,
		})
		_, err = nobody.GetSecret(ctx, "staging/bytes", use) // which uses nothing up
		if e, ok := errors.AsType[*client.PermissionError](err); !ok || e.Path != "staging/bytes" || e.RequiredScope != "secrets:read:staging/bytes" {
			t.Errorf("beyond its scope: %v", err)
		}
		if _, err := nobody.GetSecret(ctx, path, use); err != nil {
			t.Errorf("with the token: %v", err)
		}
		_, err = nobody.GetSecret(ctx, path, use) // used up
		wantKind(t, err, client.ErrAuth)
		several, err := agent.RequestToken(ctx, client.TokenOptions{Scopes: []string{"secrets:read:staging/*", "secrets:write:staging/*"}})
		if err != nil || len(several.Scopes) != 2 || several.TTL != time.Hour || several.MaxUses != 0 || several.AllowedIPs != nil {
			t.Fatalf("several scopes: %+v, %v", several, err)
		}
		program := of(string(several.Value.Reveal())) // a token in the key's place
		if _, err := program.SetSecret(ctx, "staging/by-token", text("v"), nil); err != nil {
			t.Error(err)
		}
		if err := agent.RevokeToken(ctx, several.ID); err != nil {
			t.Error(err)
		}
		_, err = program.GetSecret(ctx, "staging/by-token", nil)
		wantKind(t, err, client.ErrAuth)
	})
	t.Run("waitForApproval", func(t *testing.T) {
		if _, err := owner.SetSecret(ctx, "staging/guarded", text("guarded"), &client.SetOptions{Tier: vault.Sensitive}); err != nil {
			t.Fatal(err)
		}
		ask := func() *client.Token {
			t.Helper()
			token, err := agent.RequestToken(ctx, client.TokenOptions{Scope: "secrets:read:staging/guarded", TTL: time.Minute})
			if err != nil || token.ApprovalStatus != client.Pending || token.ApprovalRequestID == "" || !token.Value.IsZero() {
				t.Fatalf("got %+v, %v", token, err)
			}
			return token
		}
		token := ask()
		_, err := agent.WaitForApproval(ctx, token.ApprovalRequestID, &client.WaitOptions{Timeout: 50 * time.Millisecond})
		wantKind(t, err, client.ErrApprovalPending)
		d.decide(ctx, t, token.ApprovalRequestID, "approve")
		approved, err := agent.WaitForApproval(ctx, token.ApprovalRequestID, &client.WaitOptions{Timeout: time.Minute})
		if err != nil || approved.ID == "" || approved.TTL != time.Minute {
			t.Fatalf("got %+v, %v", approved, err)
		}
		s, err := agent.GetSecret(ctx, "staging/guarded", &client.GetOptions{Token: approved.Value})
		if err != nil {
			t.Fatal(err)
		}
		wantValue(t, s.Value, "guarded")
		_, err = agent.WaitForApproval(ctx, token.ApprovalRequestID, nil) // a token is given out once
		if !errors.Is(err, client.ErrApprovalExpired) {
			t.Errorf("claimed again: %v", err)
		}
		token = ask()
		d.decide(ctx, t, token.ApprovalRequestID, "deny")
		_, err = agent.WaitForApproval(ctx, token.ApprovalRequestID, nil)
		if wantKind(t, err, client.ErrPermission); !errors.Is(err, client.ErrApprovalDenied) {
			t.Errorf("denied: %v", err)
		}
		_, err = agent.RequestToken(ctx, client.TokenOptions{Scope: "secrets:read:staging/guarded", TTL: time.Minute})
		if !errors.Is(err, client.ErrApprovalDenied) {
			t.Errorf("the same again: %v", err)
		}
	})
	t.Run("an approval of a reading", func(t *testing.T) {
		_, err := agent.GetSecret(ctx, "staging/guarded", nil)
		wantKind(t, err, client.ErrApprovalPending)
		wantCode(t, err, client.CodeApproval, 202)
		pending, ok := errors.AsType[*client.ApprovalPendingError](err)
		if !ok || pending.ApprovalRequestID == "" {
			t.Fatalf("got %v", err)
		}
		d.decide(ctx, t, pending.ApprovalRequestID, "approve")
		token, err := agent.WaitForApproval(ctx, pending.ApprovalRequestID, nil)
		if err != nil || !token.Value.IsZero() || !token.ExpiresAt.IsZero() {
			t.Fatalf("got %+v, %v", token, err)
		}
		s, err := agent.GetSecret(ctx, "staging/guarded", nil)
		if err != nil {
			t.Fatal(err)
		}
		wantValue(t, s.Value, "guarded")
		_, err = agent.RotateSecret(ctx, "staging/guarded", text("next"), nil)
		wantKind(t, err, client.ErrApprovalPending)
		wantKind(t, agent.DeleteSecret(ctx, "staging/guarded", nil), client.ErrApprovalPending)
	})
	t.Run("errorHandling", func(t *testing.T) {
		_, err := nobody.GetSecret(ctx, path, nil)
		wantKind(t, err, client.ErrAuth)
		_, err = agent.GetSecret(ctx, "production/stripe/api-key", nil)
		wantKind(t, err, client.ErrPermission)
		if e, ok := errors.AsType[*client.PermissionError](err); !ok || e.Path != "production/stripe/api-key" || e.RequiredScope != "secrets:read:production/stripe/api-key" {
			t.Errorf("got %#v", err)
		}
		_, err = agent.GetSecret(ctx, "staging/none", nil)
		wantKind(t, err, client.ErrNotFound)
		_, err = agent.GetSecret(ctx, "staging/app", nil) // a namespace
		wantKind(t, err, client.ErrNotFound)
		_, err = agent.SetSecret(ctx, "staging/bad name\u00e9", text("v"), nil)
		wantCode(t, err, client.CodeValidation, 400)
		_, err = owner.SetSecret(ctx, "staging", text("v"), nil)
		wantCode(t, err, "PATH_CONFLICT", 409)

		if _, err := owner.SetSecret(ctx, "metered/key", text("v"), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := agent.GetSecret(ctx, "metered/key", nil); err != nil {
			t.Error(err)
		}
		_, err = agent.GetSecret(ctx, "metered/key", nil)
		wantKind(t, err, client.ErrRateLimit)
		wantCode(t, err, "RATE_LIMITED", 429)
		if e, ok := errors.AsType[*client.RateLimitError](err); !ok || e.RetryAfter < 55*time.Minute || e.RetryAfter > time.Hour {
			t.Errorf("one an hour: %#v", err)
		}
	})
	t.Run("errorHandling, without a network", func(t *testing.T) {
		gone := httptest.NewServer(d)
		c, err := client.New(&client.Options{AgentKey: text(d.agentKey), BaseURL: gone.URL, RetryDelay: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.GetSecret(ctx, path, nil); err != nil {
			t.Fatal(err)
		}
		gone.Close()
		_, err = c.GetSecret(ctx, path, nil)
		wantKind(t, err, client.ErrNetwork)
		if e, ok := errors.AsType[*client.NetworkError](err); !ok || e.Cause == nil || !errors.Is(err, e.Cause) {
			t.Errorf("without a cause: %#v", err)
		}
	})
	t.Run("options", func(t *testing.T) { // of a connection that is not always there
		for name, tc := range map[string]struct {
			broken, silent int32 // attempts that break off, and that are not answered
			timeout        time.Duration
			retries        int
			attempts       int32
			want           error
		}{
			"retries":               {broken: 2, retries: 2, attempts: 3},
			"too few":               {broken: 2, retries: 1, attempts: 2, want: client.ErrNetwork},
			"none":                  {broken: 1, retries: client.NoRetries, attempts: 1, want: client.ErrNetwork},
			"the usual ones":        {broken: 3, attempts: 4},
			"timeout":               {silent: 1, timeout: 100 * time.Millisecond, retries: client.NoRetries, attempts: 1, want: client.ErrNetwork},
			"timeout of one of two": {silent: 1, timeout: 2 * time.Second, retries: 1, attempts: 2},
		} {
			t.Run(name, func(t *testing.T) {
				var attempts atomic.Int32
				front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch n := attempts.Add(1); {
					case n <= tc.broken:
						panic(http.ErrAbortHandler)
					case n <= tc.silent:
						<-r.Context().Done()
					default:
						d.ServeHTTP(w, r)
					}
				}))
				defer front.Close()
				c, err := client.New(&client.Options{AgentKey: text(d.agentKey), BaseURL: front.URL, RetryDelay: 1, Edition: client.EditionA, Timeout: tc.timeout, Retries: tc.retries})
				if err != nil {
					t.Fatal(err)
				}
				s, err := c.GetSecret(ctx, path, nil)
				if !errors.Is(err, tc.want) || err == nil && s.Version != 4 {
					t.Errorf("got %v, want %v", err, tc.want)
				}
				if tc.silent > 0 && tc.want != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the cause: %v", err)
				}
				if got := attempts.Load(); got != tc.attempts {
					t.Errorf("%d attempts, want %d", got, tc.attempts)
				}
			})
		}
	})
}

// TestCoatcheckAsEditionB has coatcheck speak as a service of edition B: the
// agent's key does nothing but ask for tokens.
func TestCoatcheckAsEditionB(t *testing.T) {
	d := newDesk(t)
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	of := func(key string, e client.Edition) *client.Client {
		t.Helper()
		c, err := client.New(&client.Options{AgentKey: text(key), BaseURL: server.URL, RetryDelay: 1, Edition: e})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	owner, agent := of(key, client.EditionA), of(d.agentKey, client.EditionB)
	ctx := t.Context()
	if _, err := agent.SetSecret(ctx, "staging/app/KEY A", text("v"), nil); err != nil {
		t.Fatal(err)
	}
	got, err := agent.GetSecret(ctx, "staging/app/KEY A", nil)
	if err != nil {
		t.Fatal(err)
	}
	wantValue(t, got.Value, "v")
	names, err := agent.ImportEnv(ctx, "staging/app", text("B=1\nC=2\n"), nil)
	if err != nil || len(names) != 2 {
		t.Errorf("imported %q, %v", names, err)
	}
	var paths []string
	for m, err := range agent.Secrets(ctx, "staging/app", nil) {
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, m.Path)
	}
	want(t, "paths", paths, []string{"staging/app/B", "staging/app/C", "staging/app/KEY A"})
	if empty, err := agent.ListSecrets(ctx, "staging/none", nil); err != nil || len(empty.Items) != 0 {
		t.Errorf("an empty namespace: %+v, %v", empty, err)
	}

	// A revoked token is replaced by another one.
	list, err := agent.RequestToken(ctx, client.TokenOptions{Scope: "secrets:read:staging/app/B", TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := agent.GetSecret(ctx, "staging/app/B", &client.GetOptions{Token: list.Value}); err != nil {
		t.Error(err)
	}
	d.revokeTokens(t)
	if _, err := agent.GetSecret(ctx, "staging/app/KEY A", nil); err != nil {
		t.Errorf("after its tokens were revoked: %v", err)
	}
	_, err = agent.GetSecret(ctx, "staging/app/B", &client.GetOptions{Token: list.Value})
	wantKind(t, err, client.ErrAuth) // the caller's own is not replaced

	// A token that people agree to.
	if _, err := owner.SetSecret(ctx, "staging/guarded", text("guarded"), &client.SetOptions{Tier: vault.Sensitive}); err != nil {
		t.Fatal(err)
	}
	_, err = agent.GetSecret(ctx, "staging/guarded", nil)
	pending, ok := errors.AsType[*client.ApprovalPendingError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	d.decide(ctx, t, pending.ApprovalRequestID, "approve")
	if _, err := agent.WaitForApproval(ctx, pending.ApprovalRequestID, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 { // with the token that was waited for
		if got, err = agent.GetSecret(ctx, "staging/guarded", nil); err != nil {
			t.Fatal(err)
		}
	}
	wantValue(t, got.Value, "guarded")
	if err := agent.DeleteSecret(ctx, "staging/app/KEY A", &client.DeleteOptions{Permanent: true}); err != nil {
		t.Error(err)
	}
	_, err = agent.GetSecret(ctx, "staging/app/KEY A", nil)
	wantKind(t, err, client.ErrNotFound)
	_, err = agent.GetSecret(ctx, "production/stripe/key", nil)
	wantKind(t, err, client.ErrPermission)
}

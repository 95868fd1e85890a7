package clients_test

import (
	"maps"
	"net/http"
	"testing"
	"time"
)

// secret is a secret as the SDK types it.
type secret struct {
	Namespace  string         `json:"namespace"`
	Key        string         `json:"key"`
	Value      *string        `json:"value"`
	Version    int            `json:"version"`
	SecretType string         `json:"secret_type"`
	AccessTier string         `json:"access_tier"`
	Metadata   map[string]any `json:"metadata"`
	CreatedAt  time.Time      `json:"created_at"`
	UpdatedAt  time.Time      `json:"updated_at"`
}

// listing is a list of them.
type listing struct {
	Namespace string
	Items     []secret
}

func (l listing) keys() (all []string) {
	for _, one := range l.Items {
		all = append(all, one.Namespace+"/"+one.Key)
	}
	return all
}

// token is the answer to a request for a token.
type token struct {
	Token       string    `json:"token"`
	TokenID     string    `json:"token_id"`
	Scopes      []string  `json:"scopes"`
	ExpiresAt   time.Time `json:"expires_at"`
	MaxUses     *int      `json:"max_uses"`
	IPAllowlist []string  `json:"ip_allowlist"`
	AgentID     string    `json:"agent_id"`
}

func (d *desk) sdk(t *testing.T, key string, more map[string]any) *driven {
	t.Helper()
	options := map[string]any{"baseUrl": d.url, "agentKey": key}
	maps.Copy(options, more)
	return d.drive(t, "sdk", options)
}

// TestSDK is the life of secrets in the SDK, which fetches a token for each
// thing by itself.
func TestSDK(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	sdk := d.sdk(t, d.billing, nil)
	const path = "production/billing/stripe/api-key"
	value := d.value(t)

	var stored secret
	sdk.does(t, &stored, "setSecret", path, value, map[string]any{"secretType": "api_key", "metadata": map[string]any{"team": "billing", "rank": 1}})
	if stored.Namespace != "production/billing/stripe" || stored.Key != "api-key" || stored.Version != 1 || stored.Value != nil || stored.CreatedAt.IsZero() {
		t.Errorf("setSecret: %+v", stored)
	}
	var got string
	sdk.does(t, &got, "getSecret", path)
	same(t, "getSecret", got, value)

	// A plain rewrite: the SDK sends its defaults along, which must change nothing.
	value = d.value(t)
	sdk.does(t, &stored, "setSecret", path, value)
	var whole secret
	sdk.does(t, &whole, "getSecretWithMetadata", path)
	if whole.Value == nil || *whole.Value != value || whole.Version != 2 || whole.SecretType != "api_key" || whole.AccessTier != "standard" {
		t.Errorf("getSecretWithMetadata: %+v", whole)
	}
	same(t, "metadata", whole.Metadata, map[string]any{"team": "billing", "rank": 1.0})

	var done struct {
		Imported      []string `json:"imported"`
		ImportedCount int      `json:"imported_count"`
	}
	imported := d.value(t)
	sdk.does(t, &done, "importEnv", "# a comment\nSMTP_USER=mailer\n\nSMTP_PASSWORD=\""+imported+"\"\n", "staging/billing")
	same(t, "importEnv", done.Imported, []string{"SMTP_USER", "SMTP_PASSWORD"})
	same(t, "imported_count", done.ImportedCount, 2)
	sdk.does(t, &got, "getSecret", "staging/billing/SMTP_PASSWORD")
	same(t, "an imported secret", got, imported)

	var listed listing
	sdk.does(t, &listed, "listSecrets", "staging/billing")
	same(t, "listSecrets", listed.keys(), []string{"staging/billing/SMTP_PASSWORD", "staging/billing/SMTP_USER"})
	sdk.does(t, &listed, "listSecrets", "production/billing")
	same(t, "listSecrets, below", listed.keys(), []string{path})
	for _, one := range listed.Items {
		if one.Value != nil || one.SecretType != "api_key" || one.UpdatedAt.IsZero() {
			t.Errorf("listed: %+v", one)
		}
	}
	// An SDK without a token that covers more: what it asks for then says that it lists.
	d.sdk(t, d.billing, nil).does(t, &listed, "listSecrets", "production/billing/nothing-yet")
	same(t, "an empty namespace", len(listed.Items), 0)

	var none any
	sdk.does(t, &none, "deleteSecret", path)
	sdk.fails(t, "SecretNotFoundError", http.StatusNotFound, "getSecret", path)
	sdk.does(t, &listed, "listSecrets", "production/billing")
	same(t, "listSecrets after the deletion", len(listed.Items), 0)

	// It may be set anew, as the next version.
	sdk.does(t, &stored, "setSecret", path, value)
	sdk.does(t, &got, "getSecret", path)
	same(t, "after it was set anew", got, value)
	same(t, "its version", stored.Version, 3)
}

// TestSDKErrors has the SDK meet each refusal as the error it has for it.
func TestSDKErrors(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	sdk := d.sdk(t, d.billing, nil)
	d.store(t, "production/database/url")
	d.store(t, "production/database/root")
	d.store(t, "production/archive/key")
	d.store(t, "support/helpdesk")

	wrong := d.sdk(t, "ass_live_"+"0000000000000000000000", nil)
	wrong.fails(t, "AuthError", http.StatusUnauthorized, "getSecret", "production/database/url")

	sdk.fails(t, "SecretNotFoundError", http.StatusNotFound, "getSecret", "production/database/none")
	sdk.fails(t, "ScopeError", http.StatusForbidden, "getSecret", "support/helpdesk")
	sdk.fails(t, "ScopeError", http.StatusForbidden, "getSecret", "support/none") // what is out of reach is not told from what is not there
	sdk.fails(t, "ScopeError", http.StatusForbidden, "setSecret", "production/database/url", "x")
	sdk.fails(t, "ScopeError", http.StatusForbidden, "listSecrets", "support")
	refused := sdk.fails(t, "ScopeError", http.StatusForbidden, "getSecret", "production/database/root")
	mentions(t, refused.Message, "Ask the database team.")

	var got string
	for range 3 {
		sdk.does(t, &got, "getSecret", "production/archive/key")
	}
	limited := sdk.fails(t, "RateLimitError", http.StatusTooManyRequests, "getSecret", "production/archive/key")
	if limited.RetryAfter < 1 || limited.RetryAfter > 3600 {
		t.Errorf("retryAfter is %v", limited.RetryAfter)
	}

	invalid := sdk.fails(t, "VaultError", http.StatusBadRequest, "requestToken", map[string]any{"scopes": []string{"secrets:read:production/database/*"}, "ttl": "7d"})
	same(t, "code", invalid.Code, any("VALIDATION_ERROR"))
	sdk.fails(t, "ValidationError", http.StatusBadRequest, "getSecret", "flat") // by itself: it sends nothing

	nowhere := d.drive(t, "sdk", map[string]any{"baseUrl": "http://127.0.0.1:1", "agentKey": d.billing, "retries": 1})
	nowhere.fails(t, "NetworkError", 0, "getSecret", "production/database/url")
}

// TestSDKTokens asks for tokens with limits, and meets them.
func TestSDKTokens(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	value := d.store(t, "production/database/url")
	scopes := []string{"secrets:read:production/database/*", "secrets:read:production/billing/*"}
	var got string
	var issued token

	// Two uses, and no more: the SDK keeps the token, the server knows.
	sdk := d.sdk(t, d.billing, map[string]any{"autoToken": false})
	before := time.Now()
	sdk.does(t, &issued, "requestToken", map[string]any{"scopes": scopes, "ttl": "15m", "maxUses": 2, "ipAllowlist": []string{"127.0.0.1", "10.0.0.0/8"}})
	if issued.MaxUses == nil || *issued.MaxUses != 2 || issued.AgentID != "billing" || issued.TokenID == "" {
		t.Errorf("requestToken: %+v", issued)
	}
	same(t, "scopes", issued.Scopes, scopes)
	same(t, "ip_allowlist", issued.IPAllowlist, []string{"127.0.0.1", "10.0.0.0/8"})
	if life := issued.ExpiresAt.Sub(before); life < 15*time.Minute-time.Second || life > 15*time.Minute+time.Since(before) {
		t.Errorf("the token lives %s, want 15m", life)
	}
	sdk.fails(t, "SecretNotFoundError", http.StatusNotFound, "getSecret", "production/database/none") // a failure is no use
	for range 2 {
		sdk.does(t, &got, "getSecret", "production/database/url")
		same(t, "getSecret", got, value)
	}
	sdk.fails(t, "AuthError", http.StatusUnauthorized, "getSecret", "production/database/url")

	// From another address it is no token.
	elsewhere := d.sdk(t, d.billing, map[string]any{"autoToken": false})
	elsewhere.does(t, &issued, "requestToken", map[string]any{"scopes": scopes, "ipAllowlist": []string{"192.0.2.7"}})
	elsewhere.fails(t, "AuthError", http.StatusUnauthorized, "getSecret", "production/database/url")

	// What it was not made for it does not do, though its agent may.
	narrow := d.sdk(t, d.billing, map[string]any{"autoToken": false})
	narrow.fails(t, "AuthError", http.StatusUnauthorized, "getSecret", "production/database/url") // by itself: it has none
	narrow.does(t, &issued, "requestToken", map[string]any{"scopes": []string{"secrets:read:production/database/url"}})
	narrow.does(t, &got, "getSecret", "production/database/url")
	narrow.fails(t, "ScopeError", http.StatusForbidden, "setSecret", "production/billing/new", "x")
	narrow.fails(t, "ScopeError", http.StatusForbidden, "listSecrets", "production/billing")

	// Nor is one asked for beyond the agent.
	narrow.fails(t, "ScopeError", http.StatusForbidden, "requestToken", map[string]any{"scopes": []string{"secrets:read:support/*"}})
	d.coatcheck(t, "", "agent", "revoke", "billing")
	narrow.fails(t, "AuthError", http.StatusUnauthorized, "getSecret", "production/database/url")
}

// TestSDKApproval: the SDK learns that people have to agree, and asks again once
// they did.
func TestSDKApproval(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	value := d.store(t, "production/database/url", "--tier", "sensitive")
	sdk := d.sdk(t, d.billing, nil)

	pending := sdk.fails(t, "ApprovalRequiredError", http.StatusForbidden, "getSecret", "production/database/url")
	if pending.ApprovalID == "" {
		t.Fatalf("no id: %+v", pending)
	}
	again := sdk.fails(t, "ApprovalRequiredError", http.StatusForbidden, "getSecret", "production/database/url")
	same(t, "the request of the second try", again.ApprovalID, pending.ApprovalID)
	if status, _ := d.send(t, d.billing, http.MethodPost, "/v1/approvals/"+pending.ApprovalID+"/approve", ""); status != http.StatusForbidden {
		t.Fatalf("the agent approves its own request: %d", status)
	}
	d.approve(t, pending.ApprovalID)
	var got string
	sdk.does(t, &got, "getSecret", "production/database/url")
	same(t, "getSecret", got, value)
	sdk.does(t, &got, "getSecret", "production/database/url") // with the same token
	same(t, "getSecret", got, value)

	// It bought one token: the next one asks anew.
	other := d.sdk(t, d.billing, nil)
	pending = other.fails(t, "ApprovalRequiredError", http.StatusForbidden, "getSecret", "production/database/url")
	if pending.ApprovalID == again.ApprovalID {
		t.Error("a used approval is shown as pending")
	}

	// A wider token that was approved serves for a narrower one.
	wide := map[string]any{"scopes": []string{"secrets:read:production/database/*"}}
	pending = other.fails(t, "ApprovalRequiredError", http.StatusForbidden, "requestToken", wide)
	d.approve(t, pending.ApprovalID)
	other.does(t, &got, "getSecret", "production/database/url")
	same(t, "getSecret", got, value)

	// And a raised tier shuts a token that was given for less: 403, never a 2xx
	// without a value, which the SDK would hand on as undefined.
	d.store(t, "production/database/replica")
	plain := d.sdk(t, d.billing, nil)
	plain.does(t, &got, "getSecret", "production/database/replica")
	d.coatcheck(t, "", "secret", "set", "production/database/replica", "--keep-value", "--tier", "sensitive")
	shut := plain.fails(t, "VaultError", http.StatusForbidden, "getSecret", "production/database/replica")
	same(t, "code", shut.Code, any("APPROVAL_REQUIRED"))
}

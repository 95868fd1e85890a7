package client

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// DefaultTokenTTL is the lifetime of a token that [TokenOptions] give none, and
// of those that the client fetches by itself.
const DefaultTokenTTL = time.Hour

// ApprovalStatus says how a request for a token stands.
type ApprovalStatus string

// The states of a request for a token.
const (
	Approved ApprovalStatus = "approved"
	Pending  ApprovalStatus = "pending"
	Denied   ApprovalStatus = "denied"
)

// TokenOptions of [Client.RequestToken].
type TokenOptions struct {
	Scope  string   // "secrets:read:production/openai/*"; "*" matches "/" too
	Scopes []string // several, in the place of Scope
	// TTL is how long the token lives, in whole seconds. Zero: [DefaultTokenTTL].
	TTL         time.Duration
	Description string   // stands in the audit log
	AllowedIPs  []string // addresses and networks that it is good from; none: from everywhere
	MaxUses     int      // how many secrets it reads or writes; 0: any number within TTL
}

// Token is a scoped token, or the request for one that waits.
type Token struct {
	ID          string       // for [Client.RevokeToken]
	Value       secret.Value // "ast_tok_…"; zero unless approved
	Scopes      []string
	TTL         time.Duration
	ExpiresAt   time.Time // zero unless approved
	Description string
	AllowedIPs  []string
	MaxUses     int // 0: any number

	ApprovalStatus    ApprovalStatus
	ApprovalRequestID string // for [Client.WaitForApproval], when it is Pending
}

const tokensTarget = "/tokens"

// RequestToken asks for a scoped token. Where the scope touches sensitive or
// critical secrets the token may be Pending, which is no error: hand its
// ApprovalRequestID to [Client.WaitForApproval]. The call is never repeated once
// it may have arrived. Errors: those of every call.
func (c *Client) RequestToken(ctx context.Context, opts TokenOptions) (*Token, error) {
	scopes := slices.Clone(opts.Scopes)
	if opts.Scope != "" {
		scopes = append(scopes, opts.Scope)
	}
	ttl := orDefault(opts.TTL, DefaultTokenTTL)
	switch {
	case len(scopes) == 0:
		return nil, invalid("scope", "is missing")
	case opts.Scope != "" && len(opts.Scopes) > 0:
		return nil, invalid("scope", "stands beside scopes: say one of them")
	case slices.Contains(scopes, ""):
		return nil, invalid("scopes", "have an empty one")
	case ttl < 0 || ttl%time.Second != 0:
		return nil, invalid("ttl", "is not a whole number of seconds from 1 up")
	case opts.MaxUses < 0:
		return nil, invalid("max uses", "is negative")
	}
	e, err := c.spoken(ctx)
	if err != nil {
		return nil, err
	}
	body := map[string]any{}
	allowed := "allowed_ips"
	if e == EditionB {
		allowed = "ip_allowlist"
		body["scopes"], body["ttl"] = scopes, lifetime(ttl)
	} else {
		body["ttl_seconds"] = int64(ttl / time.Second)
		if len(scopes) == 1 {
			body["scope"] = scopes[0]
		} else {
			body["scopes"] = scopes
		}
	}
	if opts.Description != "" {
		body["description"] = opts.Description
	}
	if len(opts.AllowedIPs) > 0 {
		body[allowed] = opts.AllowedIPs
	}
	if opts.MaxUses > 0 {
		body["max_uses"] = opts.MaxUses
	}
	var w wireToken
	a, err := c.do(ctx, e, &request{method: http.MethodPost, target: tokensTarget, body: body}, &w)
	if err != nil {
		return nil, err
	}
	opts.TTL = ttl
	t := w.token(opts, scopes)
	switch {
	case t.ApprovalStatus == Pending && t.ApprovalRequestID == "":
		return nil, &Error{Code: CodeInvalidToken, Message: "the answer names no approval to wait for", StatusCode: a.status}
	case t.ApprovalStatus == Pending:
		c.requests.keep(t.ApprovalRequestID, asked{opts: opts})
	case t.ApprovalStatus == Approved && (t.Value.IsZero() || t.ExpiresAt.IsZero()):
		return nil, &Error{Code: CodeInvalidToken, Message: "the answer has no token, or not when it expires", StatusCode: a.status}
	}
	return t, nil
}

// RevokeToken ends a token at once. Errors: *[NotFoundError] and those of every
// call; not every service knows the route.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	if err := checkID("token id", id); err != nil {
		return err
	}
	e, err := c.spoken(ctx)
	if err != nil {
		return err
	}
	return c.remove(ctx, e, &request{method: http.MethodDelete, target: tokensTarget + "/" + url.PathEscape(id), repeat: true})
}

// checkID reports an id that would not be one segment of a URL.
func checkID(field, id string) error {
	switch {
	case id == "":
		return invalid(field, "is empty")
	case len(id) > maxID || !visibleASCII([]byte(id)) || id == "." || id == "..":
		return invalid(field, "is not the id that the service gave")
	}
	return nil
}

// lifetime writes a duration as edition B does: "90s", "15m", "1h".
func lifetime(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	case d%time.Minute == 0:
		return strconv.FormatInt(int64(d/time.Minute), 10) + "m"
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// wireToken is a token in the words of both editions (CONTRACT §18 R6), and the
// answer of an approval.
type wireToken struct {
	Token            plain    `json:"token"`
	Value            plain    `json:"value"`
	TokenID          string   `json:"token_id"`
	Scope            string   `json:"scope"`
	Scopes           []string `json:"scopes"`
	TTLSeconds       int64    `json:"ttl_seconds"`
	ExpiresAt        stamp    `json:"expires_at"`
	Description      *string  `json:"description"`
	AllowedIPs       []string `json:"allowed_ips"`
	IPAllowlist      []string `json:"ip_allowlist"`
	MaxUses          *int     `json:"max_uses"`
	RequiresApproval bool     `json:"requires_approval"`
	ApprovalStatus   string   `json:"approval_status"`
	envelope
}

// token returns what was asked for as far as the answer does not say otherwise.
func (w *wireToken) token(asked TokenOptions, scopes []string) *Token {
	t := &Token{
		ID: w.TokenID, Scopes: scopes, TTL: asked.TTL, ExpiresAt: w.ExpiresAt.Time, Description: asked.Description,
		AllowedIPs: slices.Clone(asked.AllowedIPs), MaxUses: asked.MaxUses, ApprovalStatus: Approved, ApprovalRequestID: w.approval(),
	}
	if t.Value = w.Value.Value; w.Token.Given() {
		t.Value = w.Token.Value
	}
	switch {
	case len(w.Scopes) > 0:
		t.Scopes = w.Scopes
	case w.Scope != "":
		t.Scopes = []string{w.Scope}
	}
	if w.TTLSeconds > 0 && w.TTLSeconds < 1<<32 {
		t.TTL = time.Duration(w.TTLSeconds) * time.Second
	}
	if w.Description != nil {
		t.Description = *w.Description
	}
	switch {
	case w.AllowedIPs != nil:
		t.AllowedIPs = w.AllowedIPs
	case w.IPAllowlist != nil:
		t.AllowedIPs = w.IPAllowlist
	}
	if w.MaxUses != nil {
		t.MaxUses = *w.MaxUses
	}
	if status := ApprovalStatus(w.ApprovalStatus); w.RequiresApproval || status == Pending || status == Denied {
		t.ApprovalStatus, t.Value, t.ExpiresAt = Pending, secret.Value{}, time.Time{}
		if status == Denied {
			t.ApprovalStatus = Denied
		}
	}
	return t
}

package tools_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

var (
	_ tools.Broker = (*broker.Broker)(nil)
	_ tools.Broker = (*fakeBroker)(nil)
)

// fakeBroker remembers what it was asked and answers from its fields.
type fakeBroker struct {
	err   error
	meta  vault.Metadata
	value secret.Value
	pin   int
	page  vault.Page
	http  broker.Answer
	said  broker.Explanation

	stored  broker.Stored
	request approval.Request

	who   identity.Principal
	asked any
}

func (f *fakeBroker) List(_ context.Context, who identity.Principal, r broker.ListRequest) (vault.Page, error) {
	f.who, f.asked = who, r
	return f.page, f.err
}

func (f *fakeBroker) Issue(_ context.Context, who identity.Principal, r broker.IssueRequest) (broker.Ticket, error) {
	f.who, f.asked = who, r
	return broker.Ticket{
		Text: "ash_0123456789abcdefghijklmnopqr", ID: "h_0123456789", Metadata: f.meta, Version: f.pin,
		Destinations: f.meta.Destinations, ExpiresAt: noon.Add(15 * time.Minute), Uses: r.Uses,
	}, f.err
}

func (f *fakeBroker) Redacted(_ context.Context, who identity.Principal, p vault.Path) (broker.Redacted, error) {
	f.who, f.asked = who, p
	return broker.Redacted{Metadata: f.meta, Mask: "sk-••••••••"}, f.err
}

func (f *fakeBroker) Reveal(_ context.Context, who identity.Principal, p vault.Path, version int) (vault.Secret, error) {
	f.who, f.asked = who, []any{p, version}
	return vault.Secret{Metadata: f.meta, Value: f.value}, f.err
}

func (f *fakeBroker) HTTP(_ context.Context, who identity.Principal, c redeem.Call) (broker.Answer, error) {
	f.who, f.asked = who, c
	return f.http, f.err
}

func (f *fakeBroker) Rotate(_ context.Context, who identity.Principal, r broker.RotateRequest) (broker.Rotated, error) {
	f.who, f.asked = who, r
	return broker.Rotated{Metadata: f.meta, OldVersion: f.meta.Version - 1, OldReadableUntil: noon}, f.err
}

func (f *fakeBroker) IssueToken(_ context.Context, who identity.Principal, r broker.TokenRequest) (broker.IssuedToken, error) {
	f.who, f.asked = who, r
	return broker.IssuedToken{Text: "ast_tok_0123456789abcdefghijklmnopqr", Token: identity.Token{
		ID: "tok_0123456789", Scopes: r.Scopes, MaxUses: r.MaxUses, ExpiresAt: noon.Add(time.Hour),
	}}, f.err
}

func (f *fakeBroker) Approval(_ context.Context, who identity.Principal, id string) (approval.Request, error) {
	f.who, f.asked = who, id
	return f.request, f.err
}

func (f *fakeBroker) Set(_ context.Context, who identity.Principal, r broker.SetRequest) (broker.Stored, error) {
	f.who, f.asked = who, r
	return f.stored, f.err
}

func (f *fakeBroker) Delete(_ context.Context, who identity.Principal, p vault.Path, permanent bool) (broker.Deleted, error) {
	f.who, f.asked = who, []any{p, permanent}
	out := broker.Deleted{Path: p, Permanent: permanent}
	if !permanent {
		out.RestorableUntil = noon
	}
	return out, f.err
}

func (f *fakeBroker) Explain(_ context.Context, who identity.Principal, r broker.ExplainRequest) (broker.Explanation, error) {
	f.who, f.asked = who, r
	return f.said, f.err
}

var noon = time.Date(2026, 7, 28, 12, 0, 0, 0, time.UTC)

// fake returns a broker with one secret.
func fake(t *testing.T) *fakeBroker {
	t.Helper()
	to, err := vault.ParseDestination("https://api.openai.com/v1/*", vault.Bearer)
	if err != nil {
		t.Fatal(err)
	}
	meta := vault.Metadata{
		Path: "production/openai/api-key", Type: vault.APIKey, Tier: vault.Standard, Description: "for <tests> & fun",
		Tags: map[string]string{"team": "ml"}, Destinations: []vault.Destination{to}, Version: 3,
		CreatedAt: noon, UpdatedAt: noon, ExpiresAt: noon.Add(time.Hour),
	}
	return &fakeBroker{
		meta: meta, value: secret.New([]byte("sk-value")),
		page: vault.Page{Items: []vault.Metadata{meta}, Next: "bmV4dA"},
		http: broker.Answer{
			Status: 200, Headers: []redeem.Field{{Name: "Content-Type", Value: "text/plain"}, {Name: "Via", Value: "a"}, {Name: "Via", Value: "b"}},
			Body: []byte("hello <b> [secret production/openai/api-key]"), Masked: 1,
		},
		request: approval.Request{
			ID: "apr_0123456789", Status: approval.Denied, ExpiresAt: noon, ReadyAt: noon, Votes: []approval.Vote{{Admin: "admin:ada", Deny: true, Reason: "no"}},
			Spec: approval.Spec{Action: policy.Token, Scopes: []string{"secrets:read:a/*"}, Approval: policy.Approval{Quorum: 2}},
		},
		stored: broker.Stored{Done: true, Shown: true, Created: true, Metadata: meta, Next: "Go on."},
		said: broker.Explanation{
			Allowed: true, Rule: "inference", Reason: "Allowed by rule inference.", Destinations: meta.Destinations,
			Considered: []policy.RuleVerdict{{Rule: "inference", Why: "holds"}},
		},
	}
}

var agent = identity.Principal{Kind: identity.Agent, Name: "one"}

// call runs one tool over b.
func call(t *testing.T, b tools.Broker, name, args string) tools.Result {
	t.Helper()
	for _, tool := range tools.All(b) {
		if tool.Name == name {
			return tool.Call(t.Context(), agent, json.RawMessage(args))
		}
	}
	t.Fatalf("there is no tool %s", name)
	return tools.Result{}
}

package tools

import (
	"context"
	"encoding/json"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
)

const (
	minTokenTTL = int(identity.MinTokenTTL / time.Second)
	maxTokenTTL = int(identity.MaxTokenTTL / time.Second)
	maxReason   = 1024 // bytes
)

type requestTokenIn struct {
	Scopes      []string `json:"scopes" jsonschema:"required,minItems=1,maxItems=50" jsonschema_description:"What the token may do: secrets:ACTION:PATH, where ACTION is read, write or delete and a * in PATH stands for any text. For example secrets:read:production/openai/*."`
	TTLSeconds  int      `json:"ttl_seconds,omitempty" jsonschema:"minimum=60,maximum=86400,default=3600" jsonschema_description:"How long it lives."`
	MaxUses     int      `json:"max_uses,omitempty" jsonschema:"minimum=1,maximum=1000000" jsonschema_description:"How many secrets it may open or change. Leave it out for no count."`
	AllowedIPs  []string `json:"allowed_ips,omitempty" jsonschema:"maxItems=50" jsonschema_description:"From which addresses it may be used, such as 10.0.1.50 or 10.0.0.0/8. Leave it out for any."`
	Description string   `json:"description,omitempty" jsonschema:"maxLength=1024" jsonschema_description:"What it is for. People who approve it read this."`
}

func (in *requestTokenIn) set(a *args, name string) bool {
	switch name {
	case "scopes":
		in.Scopes = a.list(identity.MaxScopes, identity.MaxScopeBytes)
	case "ttl_seconds":
		in.TTLSeconds = a.integer(minTokenTTL, maxTokenTTL)
	case "max_uses":
		in.MaxUses = a.integer(1, identity.MaxTokenUses)
	case "allowed_ips":
		in.AllowedIPs = a.list(identity.MaxAddrs, 64)
	case "description":
		in.Description = a.text(maxReason)
	default:
		return false
	}
	return true
}

type requestTokenOut struct {
	Token     string   `json:"token" jsonschema_description:"The token. It is shown once: give it to the program it is for, and to nobody else."`
	TokenID   string   `json:"token_id" jsonschema_description:"Public name of the token, for talking about it."`
	Scopes    []string `json:"scopes"`
	ExpiresAt string   `json:"expires_at" jsonschema:"format=date-time"`
	MaxUses   int      `json:"max_uses,omitempty" jsonschema_description:"How many secrets it may open or change; absent: not counted."`
	Next      string   `json:"next"`
}

func requestToken(b Broker) Tool {
	t := Tool{
		Name:  "request_token",
		Title: "Request a token for a program",
		Description: `Get a short-lived, narrow token for a program that reads secrets over this desk's REST interface by itself. For your own HTTP calls you need none: use get_secret and http_request.

Where the scopes reach sensitive or critical secrets, people must approve first; the answer then says what waits. Make the same call again once it is approved.`,
		Hints:  Hints{ReadOnly: false, Destructive: false, Idempotent: false, OpenWorld: false},
		Input:  schema("request_token.input"),
		Output: schema("request_token.output"),
	}
	t.Call = func(ctx context.Context, who identity.Principal, raw json.RawMessage) Result {
		var in requestTokenIn
		if f := decode(raw, &in, t.Input); f != nil {
			return Result{Failure: f}
		}
		if in.Scopes == nil {
			return Result{Failure: badArgument("scopes", "is missing")}
		}
		scopes, err := identity.ParseScopes(in.Scopes)
		if err != nil {
			return failed(err)
		}
		addrs, err := identity.ParseAddrs(in.AllowedIPs)
		if err != nil {
			return failed(err)
		}
		got, err := b.IssueToken(ctx, who, broker.TokenRequest{
			Scopes: scopes, TTL: time.Duration(in.TTLSeconds) * time.Second, MaxUses: in.MaxUses, Addrs: addrs, Description: in.Description,
		})
		if err != nil {
			return failed(err)
		}
		return answer(requestTokenOut{
			Token: got.Text, TokenID: got.ID, Scopes: got.Scopes.Strings(), ExpiresAt: stamp(got.ExpiresAt), MaxUses: got.MaxUses,
			Next: "Hand it to the program that needs it, as a bearer token for /v1/secrets. It is not a handle: http_request does not take it.",
		})
	}
	return t
}

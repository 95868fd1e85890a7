package rest

import (
	"cmp"
	"net/http"
	"net/netip"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

const maxLifetime = identity.MaxTokenTTL

// tokenRequest asks for a scoped token, in the words of either edition (R6).
type tokenRequest struct {
	Scope       string    `json:"scope,omitempty" jsonschema_description:"What the token may do: secrets:read:production/openai/*. Or scopes."`
	Scopes      []string  `json:"scopes,omitempty" jsonschema_description:"Several of them: 50 at most, each of 600 bytes at most. People can be asked for as many."`
	TTLSeconds  *whole    `json:"ttl_seconds,omitzero" jsonschema:"minimum=60,maximum=86400,default=3600,nullable"`
	TTL         *lifetime `json:"ttl,omitzero" jsonschema_description:"The same: seconds, or text such as 15m, 1h, 1d."`
	MaxUses     *whole    `json:"max_uses,omitzero" jsonschema:"minimum=1,maximum=1000000,nullable" jsonschema_description:"How many readings and changes it is good for, of which an import takes one for each secret. Left out or null: any number."`
	AllowedIPs  []string  `json:"allowed_ips,omitempty" jsonschema_description:"Addresses and networks it is taken from. None: everywhere."`
	IPAllowlist []string  `json:"ip_allowlist,omitempty" jsonschema_description:"The same."`
	Description string    `json:"description,omitempty" jsonschema_description:"What it is for; approvers read it."`
	AgentID     string    `json:"agent_id,omitempty" jsonschema_description:"For admins, who must: the agent whose token it becomes."`
}

// token is a token in the words of both editions, or the request for one that
// waits for people: then token, value and expires_at are null.
type token struct {
	Token             *string   `json:"token" jsonschema:"nullable" jsonschema_description:"Shown once."`
	Value             *string   `json:"value" jsonschema:"nullable" jsonschema_description:"The same as token."`
	TokenID           *string   `json:"token_id" jsonschema:"nullable" jsonschema_description:"Its public name."`
	Scope             string    `json:"scope" jsonschema_description:"All scopes, with commas between them."`
	Scopes            []string  `json:"scopes"`
	TTLSeconds        *int      `json:"ttl_seconds" jsonschema:"nullable"`
	ExpiresAt         *stamp    `json:"expires_at" jsonschema:"nullable"`
	Description       *string   `json:"description" jsonschema:"nullable"`
	AllowedIPs        *[]string `json:"allowed_ips" jsonschema:"nullable" jsonschema_description:"null: everywhere."`
	IPAllowlist       *[]string `json:"ip_allowlist" jsonschema:"nullable" jsonschema_description:"The same as allowed_ips."`
	MaxUses           *int      `json:"max_uses" jsonschema:"nullable" jsonschema_description:"null: not counted."`
	AgentID           *string   `json:"agent_id" jsonschema:"nullable"`
	RequiresApproval  bool      `json:"requires_approval" jsonschema_description:"People have to agree first."`
	ApprovalStatus    string    `json:"approval_status" jsonschema:"enum=approved,enum=pending,enum=denied,enum=expired"`
	ApprovalID        *string   `json:"approval_id" jsonschema:"nullable" jsonschema_description:"Of the request that waits."`
	ApprovalRequestID *string   `json:"approval_request_id" jsonschema:"nullable" jsonschema_description:"The same as approval_id."`

	status int
}

func (t token) httpStatus() int { return t.status }

// request is what the desk is asked for.
func (in *tokenRequest) request() (r broker.TokenRequest, err error) {
	scopes := in.Scopes
	if in.Scope != "" {
		if len(scopes) > 0 {
			return r, &vault.InvalidError{Field: "scope", Rule: "and scopes cannot both be given"}
		}
		scopes = []string{in.Scope}
	}
	if r.Scopes, err = identity.ParseScopes(scopes); err != nil {
		return r, err
	}
	if r.TTL, err = in.lifetime(); err != nil {
		return r, err
	}
	if in.MaxUses != nil {
		if *in.MaxUses < 1 || *in.MaxUses > identity.MaxTokenUses {
			return r, &vault.InvalidError{Field: "max_uses", Rule: "is not between 1 and 1000000"}
		}
		r.MaxUses = int(*in.MaxUses)
	}
	addrs := in.AllowedIPs
	if len(in.IPAllowlist) > 0 {
		if len(addrs) > 0 {
			return r, &vault.InvalidError{Field: "allowed_ips", Rule: "and ip_allowlist cannot both be given"}
		}
		addrs = in.IPAllowlist
	}
	r.Addrs, err = identity.ParseAddrs(addrs)
	r.Description, r.For = in.Description, in.AgentID
	return r, err
}

// lifetime is what one of the two fields says, or both alike; the usual one when
// neither says anything. It is issued exactly or refused (R12).
func (in *tokenRequest) lifetime() (time.Duration, error) {
	ttl := identity.DefaultTokenTTL
	if in.TTL != nil && in.TTL.Duration != 0 {
		ttl = in.TTL.Duration
	}
	if in.TTLSeconds == nil {
		return ttl, nil
	}
	if *in.TTLSeconds < 1 || *in.TTLSeconds > whole(maxLifetime/time.Second) {
		return 0, &vault.InvalidError{Field: "ttl_seconds", Rule: "is not between 60 and 86400"}
	}
	seconds := time.Duration(*in.TTLSeconds) * time.Second
	if in.TTL != nil && in.TTL.Duration != 0 && ttl != seconds {
		return 0, &vault.InvalidError{Field: "ttl_seconds", Rule: "and ttl say different things"}
	}
	return seconds, nil
}

// createToken issues a token, or answers that people have to agree first: 202,
// since the SDK of edition B reads that out of any 2xx.
func (h *Handler) createToken(c *call, in *tokenRequest) (token, error) {
	r, err := in.request()
	if err != nil {
		return token{}, err
	}
	issued, err := h.desk.IssueToken(c.ctx, c.who, r)
	if id := waiting(err); id != "" {
		out := asked(r.Scopes, r.TTL, r.MaxUses, r.Addrs, r.Description)
		out.RequiresApproval, out.ApprovalStatus = true, "pending"
		out.ApprovalID, out.ApprovalRequestID = &id, &id
		out.AgentID = orNull(cmp.Or(r.For, c.who.Name))
		out.status = http.StatusAccepted
		return out, nil
	}
	if err != nil {
		return token{}, err
	}
	return given(issued), nil
}

// asked is what a token and the request for one have in common.
func asked(scopes identity.Scopes, ttl time.Duration, maxUses int, addrs []netip.Prefix, description string) token {
	seconds := int(ttl / time.Second)
	out := token{Scope: scopes.String(), Scopes: scopes.Strings(), TTLSeconds: &seconds}
	out.Description = orNull(description)
	if maxUses > 0 {
		out.MaxUses = &maxUses
	}
	if len(addrs) > 0 {
		texts := addresses(addrs)
		out.AllowedIPs, out.IPAllowlist = &texts, &texts
	}
	return out
}

func given(t broker.IssuedToken) token {
	out := asked(t.Scopes, t.ExpiresAt.Sub(t.CreatedAt), t.MaxUses, t.Addrs, t.Description)
	out.Token, out.Value, out.TokenID, out.AgentID = &t.Text, &t.Text, &t.ID, &t.Agent
	out.ExpiresAt, out.ApprovalStatus = at(t.ExpiresAt), "approved"
	return out
}

// addresses are networks as they were given: one of a single address is that.
func addresses(all []netip.Prefix) []string {
	out := make([]string, len(all))
	for i, p := range all {
		if out[i] = p.String(); p.IsSingleIP() {
			out[i] = p.Addr().String()
		}
	}
	return out
}

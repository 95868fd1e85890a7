package broker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// TokenRequest asks for a scoped token.
type TokenRequest struct {
	Scopes      identity.Scopes
	TTL         time.Duration // exactly that, or an error; 0: [identity.DefaultTokenTTL]
	MaxUses     int           // 0: not counted; at most [identity.MaxTokenUses]
	Addrs       []netip.Prefix
	Description string
	For         string // the owner and admins only, who must: the agent it is for
}

// IssuedToken is a token and the only copy of its text.
type IssuedToken struct {
	Text string
	identity.Token
}

// IssueToken makes a token of the calling agent, which carries no more than the
// agent may do itself: each use asks the policy, also whether the agent may have
// tokens there. Where its scopes let it read a guarded secret, people approve it
// first, for the highest tier there is then; what is guarded more later stays
// shut to it. Errors: *[Denied], *[vault.InvalidError], [identity.ErrUnknownAgent].
func (b *Broker) IssueToken(ctx context.Context, who identity.Principal, r TokenRequest) (IssuedToken, error) {
	e := b.entry(who, "token.issued")
	j := b.judge(who)
	if err := b.mayHaveToken(ctx, j, &r); err != nil {
		return IssuedToken{}, b.refuse(ctx, &e, err)
	}
	tier, err := b.highest(ctx, j, r.Scopes)
	if err != nil {
		return IssuedToken{}, err
	}
	var out IssuedToken
	err = b.record(ctx, who, &e, func(tx *sqldb.Tx) (err error) {
		if err := b.c.Agents.Registered(tx, tokenAgent(who, r)); err != nil {
			return err
		}
		approved := ""
		if tier != vault.Standard && who.Kind != identity.Owner {
			if approved, err = b.approvedToken(tx, j, r, tier, e.Time); err != nil {
				return err
			}
		}
		out, err = b.makeToken(tx, &e, who, r, tier, approved)
		return err
	})
	if err != nil {
		return IssuedToken{}, err
	}
	return out, nil
}

// mayHaveToken asks whether the rules give the caller tokens at all where the
// scopes reach, and within what the caller may do. It looks at no secret.
func (b *Broker) mayHaveToken(ctx context.Context, j judge, r *TokenRequest) error {
	if r.TTL == 0 {
		r.TTL = identity.DefaultTokenTTL
	}
	spec := r.spec(tokenAgent(j.who, *r))
	if err := spec.Check(); err != nil {
		return err
	}
	switch {
	case j.exempt() && r.For == "":
		return &vault.InvalidError{Field: "agent", Rule: "is missing: a token is an agent's"}
	case j.exempt():
		return nil
	case r.For != "":
		return managersOnly()
	case j.who.Kind == identity.Agent && j.who.Name == identity.Local:
		return &Denied{Code: PolicyDenied, Reason: "An agent without a name has no tokens: they end with its registration.", Next: "Ask the owner to run: coatcheck agent add NAME --stdio"}
	case j.who.Kind != identity.Agent:
		return &Denied{Code: ScopeDenied, Reason: "A token asks for no further tokens.", Next: "Ask with the agent's own key."}
	}
	if err := b.onTime(ctx); err != nil {
		return err
	}
	reach := j.rules.Reach(j.subject(), policy.Token)
	for scope := range r.Scopes.All() {
		if !j.who.MayCarry(scope, reach) {
			return &Denied{
				Code: ScopeDenied, Scope: scope.String(), Reason: "No rule lets this agent have a token for " + scope.String() + ".",
				Next: "Ask for less, or ask the owner for a rule with allow: [token] there.",
			}
		}
	}
	return nil
}

// highest is the highest tier of the secrets that a token could read now. It takes
// longer than those who wait to write should wait; a secret that is guarded more
// meanwhile stays shut to the token.
func (b *Broker) highest(ctx context.Context, j judge, scopes identity.Scopes) (tier vault.Tier, err error) {
	within := []string{""}
	if !j.exempt() {
		within = j.who.Within(identity.Read, j.rules.Reach(j.subject(), policy.Token))
	}
	globs := scopes.Globs(identity.Read, within)
	if b.far != nil {
		return b.far.Highest(ctx, globs)
	}
	err = b.c.DB.View(ctx, func(tx *sqldb.Tx) error {
		tier, err = b.near.Highest(tx, globs)
		return err
	})
	return tier, err
}

// tokenAgent is the name of whose token it becomes.
func tokenAgent(who identity.Principal, r TokenRequest) string {
	if r.For != "" {
		return r.For
	}
	return who.Name
}

// The details of a request for a token, from which it is made once it is approved.
const (
	detailTTL   = "ttl_seconds"
	detailUses  = "max_uses"
	detailAddr  = "allowed_ip"
	detailAgent = "agent"
)

// approvedToken uses up the approval of this very token, or of one that covers it
// (CONTRACT R7), and returns its id.
func (b *Broker) approvedToken(tx *sqldb.Tx, j judge, r TokenRequest, tier vault.Tier, now time.Time) (string, error) {
	spec := b.tokenSpec(j, r, tier)
	same, missing := b.c.Approvals.Spend(tx, spec.Requester, spec.Digest, now)
	switch {
	case missing == nil:
		return same.ID, b.standing(tx, same, now)
	case errors.Is(missing, approval.ErrDenied):
		return "", waits(same, now)
	case !errors.Is(missing, approval.ErrNone) && !errors.Is(missing, approval.ErrPending):
		return "", missing
	}
	ready, err := b.c.Approvals.Ready(tx, spec.Requester, policy.Token, now)
	if err != nil {
		return "", err
	}
	for _, one := range ready {
		asked, err := approvedRequest(one)
		if err == nil && asked.covers(r) && one.Tier.Rank() >= tier.Rank() && j.agrees(one) {
			used, err := b.c.Approvals.SpendID(tx, one.ID, spec.Requester, now)
			if err == nil {
				err = b.standing(tx, used, now)
			}
			return used.ID, err
		}
	}
	if errors.Is(missing, approval.ErrPending) {
		return "", waits(same, now)
	}
	return "", &unapproved{spec}
}

// tokenSpec is a token as people decide about it. No rule is named: each use of
// the token asks the policy.
func (b *Broker) tokenSpec(j judge, r TokenRequest, tier vault.Tier) approval.Spec {
	who := j.who
	details := []approval.Detail{{Name: detailTTL, Text: strconv.Itoa(int(r.TTL.Seconds()))}}
	if r.MaxUses != 0 {
		details = append(details, approval.Detail{Name: detailUses, Text: strconv.Itoa(r.MaxUses)})
	}
	for _, p := range r.Addrs {
		details = append(details, approval.Detail{Name: detailAddr, Text: p.String()})
	}
	if r.For != "" {
		details = append(details, approval.Detail{Name: detailAgent, Text: r.For})
	}
	terms := j.rules.Approval(tier)
	parts := []string{who.ID(), string(policy.Token), string(tier), fmt.Sprint(terms), r.Scopes.String()}
	for _, d := range details {
		parts = append(parts, d.Name, d.Text)
	}
	return approval.Spec{
		Digest: b.c.Approvals.Digest(nil, parts...), Requester: who.ID(), Agent: agentID(tokenAgent(who, r)), Action: policy.Token, Scopes: r.Scopes.Strings(), Tier: tier,
		Details: details, Description: r.Description, Client: label(who.Client), Addr: who.Addr, Approval: terms,
	}
}

// approvedRequest is what was asked for when people approved it.
func approvedRequest(a approval.Request) (r TokenRequest, err error) {
	if r.Scopes, err = identity.ParseScopes(a.Scopes); err != nil {
		return r, err
	}
	r.Description = a.Description
	for _, d := range a.Details {
		var n int
		var addr netip.Prefix
		switch d.Name {
		case detailTTL:
			n, err = strconv.Atoi(d.Text)
			r.TTL = time.Duration(n) * time.Second
		case detailUses:
			r.MaxUses, err = strconv.Atoi(d.Text)
		case detailAddr:
			addr, err = netip.ParsePrefix(d.Text)
			r.Addrs = append(r.Addrs, addr)
		case detailAgent:
			r.For = d.Text
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// agrees reports whether a request was approved on the terms that hold now.
func (j judge) agrees(r approval.Request) bool { return r.Approval == j.rules.Approval(r.Tier) }

// covers reports whether what was approved includes another token: as long or
// shorter, as often or less, from the same addresses or some of them.
func (r TokenRequest) covers(o TokenRequest) bool {
	return r.For == o.For && r.Scopes.Cover(o.Scopes) && o.TTL <= r.TTL && (r.MaxUses == 0 || o.MaxUses != 0 && o.MaxUses <= r.MaxUses) &&
		(len(r.Addrs) == 0 || len(o.Addrs) > 0 && inside(o.Addrs, r.Addrs))
}

func inside(inner, outer []netip.Prefix) bool {
	for _, i := range inner {
		found := false
		for _, o := range outer {
			found = found || o.Bits() <= i.Bits() && o.Contains(i.Addr())
		}
		if !found {
			return false
		}
	}
	return true
}

// tokensOf is what the ids of an agent's tokens begin with.
func tokensOf(agent string) string { return string(identity.ScopedToken) + ":" + agent + "/" }

func (b *Broker) makeToken(tx *sqldb.Tx, e *audit.Entry, who identity.Principal, r TokenRequest, tier vault.Tier, approved string) (out IssuedToken, err error) {
	spec := r.spec(tokenAgent(who, r))
	spec.Tier, spec.Approval, spec.Issuer = tier, approved, adminID(who)
	if out.Text, out.Token, err = b.c.Agents.IssueToken(tx, spec, e.Time); err == nil {
		e.Target = strings.TrimSpace(out.ID + " of " + agentID(out.Agent) + " " + approved)
	}
	return out, err
}

func (r TokenRequest) spec(agent string) identity.TokenSpec {
	return identity.TokenSpec{Agent: agent, Scopes: r.Scopes, TTL: r.TTL, MaxUses: r.MaxUses, Addrs: r.Addrs, Description: r.Description}
}

// Claim returns one's own request and, where it was for a token and is approved,
// makes the token: once, for whoever asked, with what was approved. It is how
// clients of edition A come by their token (CONTRACT R7). Errors: those of
// [Broker.Approval] and [Broker.IssueToken].
func (b *Broker) Claim(ctx context.Context, who identity.Principal, id string) (approval.Request, *IssuedToken, error) {
	asked, err := b.Approval(ctx, who, id)
	if err != nil || asked.Action != policy.Token || asked.Status != approval.Approved || asked.Requester != who.ID() {
		return asked, nil, err
	}
	r, err := approvedRequest(asked)
	if err != nil {
		return asked, nil, err
	}
	e := b.entry(who, "token.issued")
	j := b.judge(who)
	if err := b.mayHaveToken(ctx, j, &r); err != nil {
		return asked, nil, b.refuse(ctx, &e, err)
	}
	tier, err := b.highest(ctx, j, r.Scopes)
	if err != nil {
		return asked, nil, err
	}
	var out IssuedToken
	err = b.record(ctx, who, &e, func(tx *sqldb.Tx) error {
		if tier.Rank() > asked.Tier.Rank() || !j.agrees(asked) {
			return &Denied{
				Code: ApprovalRequired, Reason: "What people agreed to is not enough any more: there are more guarded secrets now, or other terms.",
				Next: "Ask for the token again.",
			}
		}
		if asked, err = b.c.Approvals.SpendID(tx, id, who.ID(), e.Time); err != nil {
			return err
		}
		if err := b.standing(tx, asked, e.Time); err != nil {
			return err
		}
		out, err = b.makeToken(tx, &e, who, r, asked.Tier, asked.ID)
		return err
	})
	if err != nil {
		return asked, nil, err
	}
	return asked, &out, nil
}

// RevokeToken ends a token, its handles and its requests: any for the owner and
// admins, one's own for an agent. Errors: [identity.ErrUnknownToken], *[Denied].
func (b *Broker) RevokeToken(ctx context.Context, who identity.Principal, id string) error {
	e := b.entry(who, "token.revoked")
	e.Target = tokenID(id)
	return b.record(ctx, who, &e, func(tx *sqldb.Tx) error {
		t, err := b.c.Agents.Token(tx, id)
		switch {
		case errors.Is(err, vault.ErrCorrupt) && manages(who): // nothing of it can be believed, its agent neither
			return b.c.Agents.RevokeToken(tx, id, e.Time)
		case err != nil:
			return err
		case !manages(who) && (who.Kind != identity.Agent || who.Name != t.Agent):
			return identity.ErrUnknownToken
		}
		if err := b.c.Agents.RevokeToken(tx, id, e.Time); err != nil {
			return err
		}
		holder := identity.Principal{Kind: identity.ScopedToken, Name: t.Agent, Token: t.ID}.ID()
		if _, err := b.c.Handles.RevokeAll(tx, holder, e.Time); err != nil {
			return err
		}
		_, err = b.c.Approvals.CancelAll(tx, holder, e.Time)
		return err
	})
}

// tokenID keeps other text than an id out of the record: a token's text is long.
func tokenID(id string) string {
	if strings.HasPrefix(id, identity.TokenIDPrefix) && len(id) <= 20 {
		return id
	}
	return ""
}

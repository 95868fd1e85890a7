package broker

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// judge is one caller under one snapshot of the policy at one time. The
// snapshot is taken before a transaction starts: reading a changed policy file
// inside one would hold up every writer.
type judge struct {
	who   identity.Principal
	rules *policy.Policy
	now   time.Time
	*turn
}

func (b *Broker) judge(who identity.Principal) judge {
	if who.Kind == identity.Owner {
		return judge{who: who, now: b.now(), turn: &turn{b: b}} // skips the rules
	}
	return judge{who, b.c.Policy.Current(), b.now(), &turn{b: b}}
}

// asReader is j for what a caller may be told: a token is told what its agent is.
func (j judge) asReader() judge {
	j.who = j.who.AsReader()
	return j
}

func (j judge) exempt() bool { return manages(j.who) }

func (j judge) request(right policy.Right, p vault.Path, target *vault.Target) policy.Request {
	return policy.Request{Subject: j.subject(), Right: right, Path: p, Target: target, Now: j.now}
}

// subject is nobody for who is no agent: a rule's "*" means agents.
func (j judge) subject() policy.Subject {
	subject := j.who.Subject()
	if j.who.Kind != identity.Agent && j.who.Kind != identity.ScopedToken {
		subject.Agent = ""
	}
	return subject
}

// asManager is the ruling for the owner and admins, whom no rule is asked about.
func (j judge) asManager(right policy.Right, p vault.Path) ruling {
	return ruling{Decision: policy.Decision{Allowed: true, Rule: string(j.who.Kind)}, judge: j, request: j.request(right, p, nil)}
}

// lookup finds the metadata of a secret, in a transaction or outside.
type lookup func(vault.Path) (vault.Metadata, error)

// ruling is the policy's answer to one request.
type ruling struct {
	policy.Decision
	judge   judge
	request policy.Request
	exists  bool // with request.Secret: there is such a secret
	unseen  bool // a refusal that must not tell whether there is one
	next    int  // the version of a secret that is made where deleted ones can be restored; 0: there are none
	beyond  bool // a refusal by what the caller was registered or its token was issued for
}

// rule asks the policy, within what the caller may do at most. A token reaches
// only where its agent has the right to have one.
func (j judge) rule(look lookup, right policy.Right, p vault.Path, target *vault.Target) (ruling, error) {
	if !j.who.Allows(right, p) {
		return ruling{judge: j, request: j.request(right, p, target), beyond: true}, nil
	}
	r, err := j.byRules(look, right, p, target)
	if err != nil || !r.Allowed || j.who.Kind != identity.ScopedToken {
		return r, err
	}
	token, err := j.byRules(look, policy.Token, p, nil)
	if err != nil || !token.Allowed {
		return token, err
	}
	if r.request.Secret == nil { // the rules looked at it for this one alone
		r.request.Secret, r.exists = token.request.Secret, token.exists
	}
	return r, nil
}

// byRules asks the policy. Only where its rules for the path ask for a tier or tags
// is the secret looked up first.
//
// What an agent may not touch looks the same to it whether it exists or not. So
// where the answer depends on the secret, an agent that may not list it is
// refused in the same words for every secret and for none. To create one is
// decided by the rules alone, for a secret without tier and tags. The secret is
// looked up either way; that a miss takes a few microseconds less is not hidden.
func (j judge) byRules(look lookup, right policy.Right, p vault.Path, target *vault.Target) (ruling, error) {
	r := ruling{judge: j, request: j.request(right, p, target)}
	if !j.rules.NeedsSecret(r.request) {
		r.Decision = j.rules.Decide(r.request)
		return r, nil
	}
	meta, err := look(p)
	switch r.exists = err == nil; {
	case r.exists:
		r.request.Secret = factsOf(meta)
	case errors.Is(err, vault.ErrNotFound):
		r.request.Secret = &policy.Secret{}
	default:
		return r, err
	}
	r.Decision = j.rules.Decide(r.request)
	if r.exists && r.Allowed {
		return r, nil
	}
	if r.unseen = !j.mayKnow(p, r.request.Secret, r.exists); r.unseen && !r.exists && right != policy.Set {
		r.Decision = policy.Decision{Reason: r.Reason}
	}
	return r, nil
}

func factsOf(m vault.Metadata) *policy.Secret {
	return &policy.Secret{Tier: m.Tier, Tags: m.Tags}
}

// mayKnow reports whether the caller may be told of the secret at p, or that
// there is none: it may list it, or would see any that there was.
func (j judge) mayKnow(p vault.Path, secret *policy.Secret, exists bool) bool {
	list := j.request(policy.List, p, nil)
	if j.rules.NeedsSecret(list) {
		if !exists {
			return false
		}
		list.Secret = secret
	}
	return j.rules.Decide(list).Allowed
}

// explain says the ruling in words. It looks at every rule near the path and is
// for outside of transactions.
func (r ruling) explain() policy.Explanation {
	if r.beyond {
		return policy.Explanation{Sentence: "This is beyond what this agent or token was made for.", Next: "Ask the owner for an agent or a token of wider scope: " + r.scope()}
	}
	if r.unseen && !r.Allowed {
		return r.judge.rules.ExplainUnseen(r.request)
	}
	return r.judge.rules.Explain(r.request)
}

// denied is the policy's refusal in the words of [Broker.Explain].
func (r ruling) denied() error {
	said := r.explain()
	return &Denied{Code: r.code(), Rule: said.Rule, Reason: said.Sentence, Next: said.Next, Scope: r.scope()}
}

// code is that of a refusal.
func (r ruling) code() Code {
	if r.beyond {
		return ScopeDenied
	}
	return PolicyDenied
}

func (r ruling) scope() string { return identity.RequiredScope(r.request.Right, r.request.Path) }

// still refuses when the secret is not any more what the ruling was about.
func (r ruling) still(meta vault.Metadata, exists bool) error {
	s := r.request.Secret
	if s == nil || exists == r.exists && meta.Tier == s.Tier && maps.Equal(meta.Tags, s.Tags) {
		return nil
	}
	return changedMeanwhile()
}

func changedMeanwhile() *Denied {
	return &Denied{Code: PolicyDenied, Reason: "The secret was changed while this was decided.", Next: "Try again."}
}

// decide asks the policy and notes the rule in e. The error is the refusal, or a
// fault of the vault.
func (b *Broker) decide(ctx context.Context, j judge, e *audit.Entry, right policy.Right, p vault.Path) (ruling, error) {
	if j.exempt() {
		r := j.asManager(right, p)
		e.Rule = r.Rule
		return r, j.ask(ctx, p)
	}
	r, err := j.rule(j.outside(ctx), right, p, nil)
	e.Rule, e.RuleHash = r.Rule, r.RuleHash
	switch {
	case err != nil:
		return r, err
	case !r.Allowed:
		return r, r.denied()
	default:
		return r, j.ask(ctx, p)
	}
}

// shows reports whether the caller may list p, whatever is there.
func (b *Broker) shows(ctx context.Context, j judge, p vault.Path) (bool, error) {
	if j.exempt() {
		return true, nil
	}
	r, err := j.rule(j.outside(ctx), policy.List, p, nil)
	return r.Allowed, err
}

// showsThis reports whether the caller may list a secret that was just read.
func (j judge) showsThis(m vault.Metadata) bool {
	if j.exempt() {
		return true
	}
	r, err := j.rule(func(vault.Path) (vault.Metadata, error) { return m, nil }, policy.List, m.Path, nil)
	return err == nil && r.Allowed
}

// found looks up a secret that the policy opened to the caller: only then does
// anybody learn whether it exists. What is guarded waits for people then
// ([Broker.clear]), once nothing else stands in the way: nobody is asked to agree
// to what cannot be done.
func (b *Broker) found(tx *sqldb.Tx, r ruling) (vault.Metadata, error) {
	meta, err := r.judge.inside(tx)(r.request.Path)
	if err != nil && !errors.Is(err, vault.ErrNotFound) {
		return meta, err
	}
	if changed := r.still(meta, err == nil); changed != nil {
		return meta, changed
	}
	return meta, err
}

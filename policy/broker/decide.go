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
}

func (b *Broker) judge(who identity.Principal) judge {
	if who.Kind == identity.Owner {
		return judge{who: who, now: b.now()} // skips the rules
	}
	return judge{who, b.c.Policy.Current(), b.now()}
}

func (j judge) owner() bool { return j.who.Kind == identity.Owner }

func (j judge) request(right policy.Right, p vault.Path, target *vault.Target) policy.Request {
	return policy.Request{Subject: j.who.Subject(), Right: right, Path: p, Target: target, Now: j.now}
}

// asOwner is the ruling for the owner, whom no rule is asked about.
func (j judge) asOwner(right policy.Right, p vault.Path) ruling {
	return ruling{Decision: policy.Decision{Allowed: true, Rule: "owner"}, judge: j, request: j.request(right, p, nil)}
}

// lookup finds the metadata of a secret, in a transaction or outside.
type lookup func(vault.Path) (vault.Metadata, error)

func (b *Broker) outside(ctx context.Context) lookup {
	return func(p vault.Path) (vault.Metadata, error) { return b.c.Vault.Describe(ctx, p) }
}

// ruling is the policy's answer to one request.
type ruling struct {
	policy.Decision
	judge   judge
	request policy.Request
	exists  bool // with request.Secret: there is such a secret
	unseen  bool // a refusal that must not tell whether there is one
}

// rule asks the policy. Only where its rules for the path ask for a tier or tags
// is the secret looked up first.
//
// What an agent may not touch looks the same to it whether it exists or not. So
// where the answer depends on the secret, an agent that may not list it is
// refused in the same words for every secret and for none. To create one is
// decided by the rules alone, for a secret without tier and tags. The secret is
// looked up either way; that a miss takes a few microseconds less is not hidden.
func (j judge) rule(look lookup, right policy.Right, p vault.Path, target *vault.Target) (ruling, error) {
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
	if r.unseen && !r.Allowed {
		return r.judge.rules.ExplainUnseen(r.request)
	}
	return r.judge.rules.Explain(r.request)
}

// denied is the policy's refusal in the words of [Broker.Explain].
func (r ruling) denied() error {
	said := r.explain()
	return &Denied{Code: PolicyDenied, Rule: said.Rule, Reason: said.Sentence, Next: said.Next}
}

// still refuses when the secret is not any more what the ruling was about.
func (r ruling) still(meta vault.Metadata, exists bool) error {
	s := r.request.Secret
	if s == nil || exists == r.exists && meta.Tier == s.Tier && maps.Equal(meta.Tags, s.Tags) {
		return nil
	}
	return &Denied{Code: PolicyDenied, Reason: "The secret was changed while this was decided.", Next: "Try again."}
}

// decide asks the policy and notes the rule in e. The error is the refusal, or a
// fault of the vault.
func (b *Broker) decide(ctx context.Context, j judge, e *audit.Entry, right policy.Right, p vault.Path) (ruling, error) {
	if j.owner() {
		e.Rule = "owner"
		return j.asOwner(right, p), nil
	}
	r, err := j.rule(b.outside(ctx), right, p, nil)
	e.Rule, e.RuleHash = r.Rule, r.RuleHash
	if err == nil && !r.Allowed {
		err = r.denied()
	}
	return r, err
}

// shows reports whether the caller may list p, whatever is there.
func (b *Broker) shows(ctx context.Context, j judge, p vault.Path) (bool, error) {
	if j.owner() {
		return true, nil
	}
	r, err := j.rule(b.outside(ctx), policy.List, p, nil)
	return r.Allowed, err
}

// showsThis reports whether the caller may list a secret that was just read.
func (j judge) showsThis(m vault.Metadata) bool {
	if j.owner() {
		return true
	}
	r := j.request(policy.List, m.Path, nil)
	if j.rules.NeedsSecret(r) {
		r.Secret = factsOf(m)
	}
	return j.rules.Decide(r).Allowed
}

// guarded looks up a secret that the policy opened to the caller, and holds its
// tier: only then does anybody learn whether it exists.
func (b *Broker) guarded(tx *sqldb.Tx, r ruling) (vault.Metadata, error) {
	meta, err := b.c.Vault.InTx(tx).Describe(r.request.Path)
	if err != nil && !errors.Is(err, vault.ErrNotFound) {
		return meta, err
	}
	if changed := r.still(meta, err == nil); changed != nil {
		return meta, changed
	}
	if err == nil && !r.judge.owner() && meta.Tier != vault.Standard && r.request.Right != policy.List {
		err = approvalRequired(meta.Tier)
	}
	return meta, err
}

package broker

import (
	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// judge is one caller under one snapshot of the policy. The snapshot is taken
// before a transaction starts: reading a changed policy file inside one would
// hold up every writer.
type judge struct {
	who   identity.Principal
	rules *policy.Policy
}

func (b *Broker) judge(who identity.Principal) judge {
	if who.Kind == identity.Owner {
		return judge{who: who} // skips the rules
	}
	return judge{who, b.c.Policy.Current()}
}

func (j judge) owner() bool { return j.who.Kind == identity.Owner }

func (j judge) request(right policy.Right, p vault.Path, target *vault.Target) policy.Request {
	return policy.Request{Subject: j.who.Subject(), Right: right, Path: p, Target: target}
}

// decide asks the policy and notes the rule in e.
func (j judge) decide(e *audit.Entry, right policy.Right, p vault.Path, target *vault.Target) policy.Decision {
	if j.owner() {
		e.Rule = "owner"
		return policy.Decision{Allowed: true, Rule: "owner"}
	}
	d := j.rules.Decide(j.request(right, p, target))
	e.Rule, e.RuleHash = d.Rule, d.RuleHash
	return d
}

// denied is the policy's refusal in the words of [Broker.Explain]. It looks at
// every rule near the path and is made outside of transactions.
func (j judge) denied(right policy.Right, p vault.Path, target *vault.Target) error {
	said := j.rules.Explain(j.request(right, p, target))
	return &Denied{Code: PolicyDenied, Rule: said.Rule, Reason: said.Sentence, Next: said.Next}
}

// shows reports whether the caller may list p.
func (j judge) shows(p vault.Path) bool {
	return j.owner() || j.rules.Decide(j.request(policy.List, p, nil)).Allowed
}

// guarded looks up a secret that the policy opened to the caller, and holds its
// tier: only then does anybody learn whether it exists.
func (b *Broker) guarded(tx *sqldb.Tx, who identity.Principal, right policy.Right, p vault.Path) (vault.Metadata, error) {
	meta, err := b.c.Vault.InTx(tx).Describe(p)
	if err != nil {
		return meta, err
	}
	if who.Kind != identity.Owner && meta.Tier != vault.Standard && right != policy.List {
		return meta, approvalRequired(meta.Tier)
	}
	return meta, nil
}

package policy

import (
	"cmp"
	"maps"
	"slices"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Policy is a parsed policy. It never changes, and all its methods may be
// called at the same time. A nil and a zero Policy deny everything.
type Policy struct {
	rules     []*Rule // in the order of the file
	ranked    []*Rule // by name; a rule's rank is its index
	approvals map[vault.Tier]Approval
	tests     []Test
	unseen    bool // some condition asks for a tier or tags
	views     views
}

// rank prepares a policy whose rules are read.
func (p *Policy) rank() {
	p.ranked = slices.SortedFunc(slices.Values(p.rules), func(a, b *Rule) int { return cmp.Compare(a.Name, b.Name) })
	for i, r := range p.ranked {
		r.rank = i
		p.unseen = p.unseen || r.when != nil && r.when.NeedsSecret()
	}
}

// Rules returns a copy of the rules in the order of the file.
func (p *Policy) Rules() []Rule {
	if p == nil {
		return nil
	}
	rules := make([]Rule, len(p.rules))
	for i, r := range p.rules {
		rules[i] = r.clone()
	}
	return rules
}

// Approvals returns what the policy says about approvals. A tier that is
// missing is one the policy says nothing about.
func (p *Policy) Approvals() map[vault.Tier]Approval {
	if p == nil {
		return nil
	}
	return maps.Clone(p.approvals)
}

package policy

import (
	"cmp"
	"slices"
	"time"

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

// Approval returns how approvals are given for a tier: as the policy says, or as
// the package comment has it where it says nothing. The zero Approval, which only
// [vault.Standard] has, is that none is needed.
func (p *Policy) Approval(tier vault.Tier) Approval {
	if p != nil {
		if a, ok := p.approvals[tier]; ok {
			return a
		}
	}
	switch tier {
	case vault.Standard:
		return Approval{}
	case vault.Sensitive:
		return Approval{Quorum: 1, Expires: 15 * time.Minute}
	case vault.Critical:
	}
	return Approval{Quorum: 2, Delay: 5 * time.Minute, Expires: 30 * time.Minute}
}

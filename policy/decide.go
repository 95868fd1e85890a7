package policy

import (
	"slices"
)

// The fixed reasons of a [Decision].
const (
	reasonAllowed = "a rule allows it"
	reasonDenied  = "a rule denies it"
	reasonNoRule  = "no rule allows it"
	reasonTarget  = "no rule allows this destination"
	reasonUnseen  = "the rules depend on the secret and do not allow it"
	reasonWhen    = "no rule allows it under these conditions"
)

// Decide answers whether a request is permitted: some one allow rule holds
// entirely and no deny rule matches. The order of rules never matters.
//
// "to" concerns the right use. With a target, a rule with "to" matches only
// where one of its entries does, be it allow or deny. Without one (a handle is
// being issued), an allow rule with "to" holds, and [Decision].To says where
// the handle may go; a deny rule with "to" does not match, since it cannot be
// told yet: it is decided when the handle is used. So a permitted issue is no
// permission to use: whoever redeems asks again, with the target, and heeds
// that answer's limits too.
//
// A rule with a condition ("when") holds only if that is true. A condition with
// no value, because a tag is not there or a fact is not known, is false in an
// allow rule and true in a deny rule.
//
// In case of doubt "to" denies: a star in a deny rule's host covers every name
// below, across public suffixes too, and its paths also match what a server may
// read the path as, without ";parameters" and with escapes undone.
func (p *Policy) Decide(r Request) Decision {
	if p == nil || r.Agent == "" || r.Path == "" {
		return Decision{Reason: reasonNoRule}
	}
	v := p.view(r.Subject, r.Right)
	q := newQuestion(r)
	s := v.ask(&q)
	switch {
	case s.deny != nil:
		d := Decision{Rule: s.deny.Name, RuleHash: s.deny.Hash, Reason: s.deny.Reason}
		if d.Reason == "" {
			d.Reason = reasonDenied
		}
		return d
	case s.allow.rule == nil && s.elsewhere:
		return Decision{Reason: reasonTarget}
	case s.allow.rule == nil && s.unmet:
		return Decision{Reason: reasonWhen}
	case s.allow.rule == nil:
		return Decision{Reason: reasonNoRule}
	}
	d := Decision{
		Allowed: true, Rule: s.allow.rule.Name, RuleHash: s.allow.rule.Hash,
		Reason: reasonAllowed, Limits: s.allow.limits, Permanent: s.allow.permanent,
	}
	if s.allow.shape != nil {
		d.Shape = s.allow.shape.Shape
	}
	if !s.everywhere {
		d.To = v.to(&q)
		d.Answer = answer(d.To, q.target)
	}
	return d
}

// sum gathers what the rules on the way say. A later cell has a longer
// prefix, so its rules come first; within one cell the lowest rank does.
type sum struct {
	deny       *Rule
	allow      tally
	everywhere bool // an allow rule without "to" holds
	elsewhere  bool // an allow rule has this path and another destination
	unmet      bool // an allow rule would hold but for its condition
}

func (s *sum) cell(q *question, c *cell, end bool) {
	var here sum // what this cell says
	if c.open != nil {
		here.group(q, c.open)
	}
	if end && c.exact != nil {
		here.group(q, c.exact)
	}
	for i := range c.shaped {
		if c.shaped[i].glob.Match(q.path) {
			here.rule(q, c.shaped[i].rule)
		}
	}
	if here.deny != nil {
		s.deny = here.deny
	}
	if here.allow.rule != nil {
		if s.allow.rule != nil {
			here.allow.limits = moreGenerous(s.allow.limits, here.allow.limits)
			here.allow.permanent = here.allow.permanent || s.allow.permanent
		}
		if here.allow.shape == nil {
			here.allow.shape = s.allow.shape
		}
		s.allow = here.allow
	}
	s.everywhere = s.everywhere || here.everywhere
	s.elsewhere = s.elsewhere || here.elsewhere
	s.unmet = s.unmet || here.unmet
}

func (s *sum) group(q *question, g *group) {
	if g.deny != nil {
		s.deny = first(s.deny, g.deny)
	}
	if g.allow.rule != nil {
		s.everywhere = true
		s.allow.merge(&g.allow)
	}
	s.rules(q, g.when)
	n := g.narrow
	switch {
	case n == nil:
	case q.target.Target == nil:
		if n.allow.rule != nil {
			s.allow.merge(&n.allow)
		}
	default:
		s.elsewhere = s.elsewhere || n.allow.rule != nil
		host := q.target.Host
		s.rules(q, n.byHost[host])
		for i := 1; i < len(host); i++ {
			if host[i] == '.' {
				s.rules(q, n.byHost[host[i:]])
			}
		}
	}
}

func (s *sum) rules(q *question, rules []*Rule) {
	for _, r := range rules {
		s.rule(q, r)
	}
}

// rule takes in one rule whose path matches.
func (s *sum) rule(q *question, r *Rule) {
	narrow, target := r.narrows(q.Right), q.target
	switch {
	case narrow && target.Target == nil && r.Deny:
	case narrow && target.Target != nil && !r.reaches(target):
		s.elsewhere = s.elsewhere || !r.Deny && q.meets(r)
	case !q.meets(r):
		s.unmet = s.unmet || !r.Deny
	case r.Deny:
		s.deny = first(s.deny, r)
	default:
		s.everywhere = s.everywhere || !narrow
		s.allow.add(r, q.Right)
	}
}

func (t *tally) merge(other *tally) {
	if t.rule == nil {
		*t = *other
		return
	}
	t.rule = first(t.rule, other.rule)
	t.shape = first(t.shape, other.shape)
	t.limits = moreGenerous(t.limits, other.limits)
	t.permanent = t.permanent || other.permanent
}

// to walks once more and collects the "to" of every holding rule; it is apart
// from the first walk so that a denied request allocates nothing.
func (v *view) to(q *question) []Narrow {
	var to []Narrow
	add := func(r *Rule) {
		if !r.Deny && (q.target.Target == nil || r.reaches(q.target)) && q.meets(r) {
			to = append(to, r.To...)
		}
	}
	w := walk{trie: &v.trie, path: q.path, node: -1}
	for c := w.next(); c != nil; c = w.next() {
		groups := [2]*group{c.open, nil}
		if w.depth == len(q.path) {
			groups[1] = c.exact
		}
		for _, g := range groups {
			if g == nil {
				continue
			}
			for _, r := range g.when {
				add(r)
			}
			if g.narrow != nil {
				for _, r := range g.narrow.rules {
					add(r)
				}
			}
		}
		for _, sh := range c.shaped {
			if sh.glob.Match(q.path) {
				add(sh.rule)
			}
		}
	}
	slices.SortFunc(to, compareNarrow)
	to = slices.Clip(slices.CompactFunc(to, equalNarrow))
	for i := range to {
		to[i] = to[i].clone()
	}
	return to
}

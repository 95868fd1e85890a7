package policy

import (
	"slices"
	"strings"
)

// The fixed reasons of a [Decision].
const (
	reasonAllowed = "a rule allows it"
	reasonDenied  = "a rule denies it"
	reasonNoRule  = "no rule allows it"
	reasonTarget  = "no rule allows this destination"
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
// In case of doubt "to" denies: a star in a deny rule's host covers every name
// below, across public suffixes too, and its paths also match what a server may
// read the path as, without ";parameters" and with escapes undone.
func (p *Policy) Decide(r Request) Decision {
	if p == nil || r.Agent == "" || r.Path == "" {
		return Decision{Reason: reasonNoRule}
	}
	v := p.view(r.Subject, r.Right)
	s := sum{path: string(r.Path), target: newAim(r.Target), right: r.Right}
	w := walk{trie: &v.trie, path: s.path, node: -1}
	for c := w.next(); c != nil; c = w.next() {
		s.cell(c, w.depth == len(s.path))
	}
	switch {
	case s.deny != nil:
		d := Decision{Rule: s.deny.Name, RuleHash: s.deny.Hash, Reason: s.deny.Reason}
		if d.Reason == "" {
			d.Reason = reasonDenied
		}
		return d
	case s.allow.rule == nil && s.elsewhere:
		return Decision{Reason: reasonTarget}
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
		d.To = v.to(s)
	}
	return d
}

// sum gathers what the rules on the way say. A later cell has a longer
// prefix, so its rules come first; within one cell the lowest rank does.
type sum struct {
	path   string
	target aim // not known, or of no matter to the right: empty
	right  Right

	deny       *Rule
	allow      tally
	everywhere bool // an allow rule without "to" holds
	elsewhere  bool // an allow rule has this path and another destination
}

func (s *sum) cell(c *cell, end bool) {
	var here sum // what this cell says
	here.path, here.target, here.right = s.path, s.target, s.right
	if c.open != nil {
		here.group(c.open)
	}
	if end && c.exact != nil {
		here.group(c.exact)
	}
	for i := range c.shaped {
		if c.shaped[i].glob.Match(s.path) {
			here.rule(c.shaped[i].rule)
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
}

func (s *sum) group(g *group) {
	if g.deny != nil {
		s.deny = first(s.deny, g.deny)
	}
	if g.allow.rule != nil {
		s.everywhere = true
		s.allow.merge(&g.allow)
	}
	n := g.narrow
	switch {
	case n == nil:
	case s.target.Target == nil:
		if n.allow.rule != nil {
			s.allow.merge(&n.allow)
		}
	default:
		s.elsewhere = s.elsewhere || n.allow.rule != nil
		host := s.target.Host
		s.rules(n.byHost[host])
		for i := 1; i < len(host); i++ {
			if host[i] == '.' {
				s.rules(n.byHost[host[i:]])
			}
		}
	}
}

func (s *sum) rules(rules []*Rule) {
	for _, r := range rules {
		s.rule(r)
	}
}

// rule takes in one rule whose path matches.
func (s *sum) rule(r *Rule) {
	narrow := r.narrows(s.right)
	switch {
	case narrow && s.target.Target == nil && r.Deny:
	case narrow && s.target.Target != nil && !r.reaches(s.target):
		s.elsewhere = s.elsewhere || !r.Deny
	case r.Deny:
		s.deny = first(s.deny, r)
	default:
		s.everywhere = s.everywhere || !narrow
		s.allow.add(r, s.right)
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
func (v *view) to(s sum) []Narrow {
	var to []Narrow
	add := func(r *Rule) {
		if !r.Deny && (s.target.Target == nil || r.reaches(s.target)) {
			to = append(to, r.To...)
		}
	}
	w := walk{trie: &v.trie, path: s.path, node: -1}
	for c := w.next(); c != nil; c = w.next() {
		groups := [2]*group{c.open, nil}
		if w.depth == len(s.path) {
			groups[1] = c.exact
		}
		for _, g := range groups {
			if g != nil && g.narrow != nil {
				for _, r := range g.narrow.rules {
					add(r)
				}
			}
		}
		for _, sh := range c.shaped {
			if sh.glob.Match(s.path) {
				add(sh.rule)
			}
		}
	}
	slices.SortFunc(to, compareNarrow)
	to = slices.Clip(slices.CompactFunc(to, equalNarrow))
	for i := range to {
		to[i].Methods, to[i].Paths = slices.Clone(to[i].Methods), slices.Clone(to[i].Paths)
	}
	return to
}

// Reach returns the literal path prefixes under which the subject may be
// allowed something, sorted, none starting with another; "" is every path.
// Outside of them everything is denied. Inside them ask [Policy.Decide] for
// each path: a prefix says nothing about what stands after it. The slice is
// shared and must not be changed.
func (p *Policy) Reach(s Subject, right Right) []string {
	if p == nil || s.Agent == "" {
		return nil
	}
	return p.view(s, right).reach
}

// reach leaves out what a deny rule covers whole.
func reach(rules []*Rule, right Right) []string {
	var allowed, denied []string
	for _, r := range rules {
		for _, g := range r.Paths {
			prefix, open := g.Prefix()
			switch {
			case !r.Deny:
				allowed = append(allowed, prefix)
			case open && !r.narrows(right):
				denied = append(denied, prefix)
			}
		}
	}
	denied = dropCovered(denied)
	var kept []string
	for _, p := range dropCovered(allowed) {
		// The only one that can cover p is the last that does not sort after it.
		i, found := slices.BinarySearch(denied, p)
		if found || i > 0 && strings.HasPrefix(p, denied[i-1]) {
			continue
		}
		kept = append(kept, p)
	}
	return slices.Clip(kept)
}

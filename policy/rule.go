package policy

import (
	"cmp"
	"slices"

	"github.com/coatcheck-dev/coatcheck/policy/condition"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// Rule is one rule of a policy, as [Policy.Rules] returns it. Every list is
// sorted and without repetition, since neither means anything.
type Rule struct {
	Name   string
	Line   int          // where the rule starts in its file
	Hash   string       // see [Decision].RuleHash
	Agents []string     // globs over agent names, or "@stdio"
	Doors  []Door       // never empty
	Paths  []vault.Glob // over the secret's path
	Deny   bool         // Rights are denied rather than allowed
	Rights []Right
	When   string // the condition in CEL; "" is none
	Limits Limits
	To     []Narrow
	Shape  string
	Reason string
	// Permanent says that the right delete reaches past the trash.
	Permanent bool

	rank int             // place among the rules by name
	when *condition.Expr // When, compiled
}

// stdioAgents is what a policy calls everybody who comes over stdio.
const stdioAgents = "@stdio"

// names reports whether the rule is about the subject's agent.
func (r *Rule) names(s Subject) bool { return agentsMatch(r.Agents, s.Agent, s.Stdio) }

func agentsMatch(patterns []string, agent string, stdio bool) bool {
	if agent == "" {
		return false
	}
	for _, p := range patterns {
		if p == stdioAgents {
			if stdio {
				return true
			}
		} else if vault.Glob(p).Match(agent) {
			return true
		}
	}
	return false
}

// covers reports whether one of the rule's paths matches p.
func (r *Rule) covers(p vault.Path) bool {
	return p != "" && slices.ContainsFunc(r.Paths, func(g vault.Glob) bool { return g.Match(string(p)) })
}

// compareNarrow orders the entries of "to" by host, methods, paths and answer.
func compareNarrow(a, b Narrow) int {
	return cmp.Or(cmp.Compare(a.Host, b.Host), slices.Compare(a.Methods, b.Methods), slices.Compare(a.Paths, b.Paths),
		cmp.Compare(a.Answer.String(), b.Answer.String()))
}

func equalNarrow(a, b Narrow) bool { return compareNarrow(a, b) == 0 }

// narrows reports whether the rule's "to" matters to a right: a value leaves
// for a destination with use only.
func (r *Rule) narrows(right Right) bool { return right == Use && len(r.To) > 0 }

// clone returns a copy that shares no slice with r.
func (r *Rule) clone() Rule {
	c := *r
	c.Agents, c.Doors, c.Paths = slices.Clone(r.Agents), slices.Clone(r.Doors), slices.Clone(r.Paths)
	c.Rights, c.To = slices.Clone(r.Rights), slices.Clone(r.To)
	for i := range c.To {
		c.To[i] = c.To[i].clone()
	}
	return c
}

func (n Narrow) clone() Narrow {
	n.Methods, n.Paths, n.Answer.Fields = slices.Clone(n.Methods), slices.Clone(n.Paths), slices.Clone(n.Answer.Fields)
	return n
}

// moreGenerous returns field by field the wider of two limits; no limit is
// the widest. Of two rates the one with more uses per time is wider, and at
// equal pace the one that allows the larger burst. The operation is
// commutative, associative and idempotent, so the order of rules is nothing.
func moreGenerous(a, b Limits) Limits {
	return Limits{TTL: wider(a.TTL, b.TTL), Uses: wider(a.Uses, b.Uses), Rate: widerRate(a.Rate, b.Rate)}
}

func wider[T cmp.Ordered](a, b T) T {
	var none T
	if a == none || b == none {
		return none
	}
	return max(a, b)
}

func widerRate(a, b Rate) Rate {
	if a.Count == 0 || b.Count == 0 {
		return Rate{}
	}
	if cmp.Or(cmp.Compare(pace(a), pace(b)), cmp.Compare(a.Count, b.Count)) >= 0 {
		return a
	}
	return b
}

// pace is uses per day: exact, since every Per divides a day, and at most
// 8.64·10^10.
func pace(r Rate) int64 { return int64(r.Count) * int64(day/r.Per) }

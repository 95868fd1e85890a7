package policy

import (
	"cmp"
	"slices"
	"strings"
)

// The conditions of a rule, in the order in which they are told.
const (
	missPath = 1 << iota
	missRight
	missDoor
	missTarget
	missWhen
)

// nearRule is a rule that names the agent, and which conditions it misses.
type nearRule struct {
	rule   *Rule
	misses int
	open   bool // its condition has no value for this request
	unseen bool // its condition asks about the secret, which was not looked up
}

// near returns the rules that name the agent: those for other paths last,
// before them those for other rights, then by what they miss and by name.
func (p *Policy) near(r Request) []nearRule {
	if p == nil {
		return nil
	}
	var found []nearRule
	q := newQuestion(r)
	for _, rule := range p.ranked {
		if !rule.names(r.Subject) {
			continue
		}
		n := nearRule{rule: rule}
		if !rule.covers(r.Path) {
			n.misses |= missPath
		}
		if !slices.Contains(rule.Rights, r.Right) {
			n.misses |= missRight
		}
		if !slices.Contains(rule.Doors, r.Door) {
			n.misses |= missDoor
		}
		if rule.narrows(r.Right) && (r.Target == nil && rule.Deny || r.Target != nil && !rule.reaches(q.target)) {
			n.misses |= missTarget
		}
		if rule.when != nil {
			holds, err := rule.when.Holds(q.known())
			n.open, n.unseen = err != nil, r.Secret == nil && rule.when.NeedsSecret()
			if !holds && (err == nil || !rule.Deny) {
				n.misses |= missWhen
			}
		}
		found = append(found, n)
	}
	slices.SortStableFunc(found, func(a, b nearRule) int {
		return cmp.Or(cmp.Compare(a.misses&missPath, b.misses&missPath), cmp.Compare(a.misses&missRight, b.misses&missRight), cmp.Compare(a.misses, b.misses))
	})
	return found
}

func (n nearRule) why(r Request) string {
	verb := "allows"
	if n.rule.Deny {
		verb = "denies"
	}
	switch {
	case n.misses&^missWhen == 0 && n.unseen:
		return "depends on the tier or tags of the secret"
	case n.misses == 0 && n.open:
		return verb + " it, since its condition has no value here"
	case n.misses == 0:
		return verb + " it"
	case n.misses&missPath != 0:
		return "is for other paths"
	case n.misses&missRight != 0:
		return verb + " " + strings.Join(texts(n.rule.Rights), ", ") + " only"
	case n.misses&missDoor != 0:
		return verb + " it through " + strings.Join(texts(n.rule.Doors), ", ") + " only"
	case n.misses&missTarget == 0:
		why := verb + " it only when " + n.rule.condition()
		if n.open {
			why += ", which has no value here"
		}
		return why
	case r.Target == nil:
		return verb + " it to " + destinations(n.rule.To) + ", which is decided when a handle is used"
	default:
		return verb + " it to " + destinations(n.rule.To) + " only"
	}
}

// maxShown is how much of a condition an explanation shows, in characters.
const maxShown = 200

// condition is the rule's condition on one line.
func (r *Rule) condition() string {
	text := []rune(strings.Join(strings.Fields(r.When), " "))
	if len(text) > maxShown {
		return string(text[:maxShown]) + "…"
	}
	return string(text)
}

package policy

import (
	"github.com/coatcheck-dev/coatcheck/policy/condition"
)

// question is a request on its way through the rules.
type question struct {
	Request
	path   string
	target aim // not known, or of no matter to the right: empty
	facts  *condition.Facts
	blind  bool // pass over conditions that ask about the secret …
	passed bool // … and tell that there was one
}

func newQuestion(r Request) question {
	return question{Request: r, path: string(r.Path), target: newAim(r.Target)}
}

// meets reports whether a rule's condition allows it to apply.
func (q *question) meets(r *Rule) bool {
	if r.when == nil {
		return true
	}
	if q.blind && r.when.NeedsSecret() {
		q.passed = true
		return false
	}
	holds, err := r.when.Holds(q.known())
	return holds || err != nil && r.Deny
}

// known are the facts of the request, gathered when the first condition asks.
func (q *question) known() *condition.Facts {
	if q.facts == nil {
		q.facts = &condition.Facts{Now: q.Now, Agent: q.Agent, Door: string(q.Door), Path: q.path, Client: q.Client, IP: q.IP}
		if q.Secret != nil {
			q.facts.Secret = &condition.Secret{Tier: string(q.Secret.Tier), Tags: q.Secret.Tags}
		}
	}
	return q.facts
}

// ask walks the tree along the path and sums up what the rules on the way say.
func (v *view) ask(q *question) sum {
	var s sum
	w := walk{trie: &v.trie, path: q.path, node: -1}
	for c := w.next(); c != nil; c = w.next() {
		s.cell(q, c, w.depth == len(q.path))
	}
	return s
}

// NeedsSecret reports whether it may depend on the tier or the tags of the
// secret whether r is permitted, so that [Request].Secret must be looked up
// first. It looks at the rules for that very path, and is free where no rule
// asks.
func (p *Policy) NeedsSecret(r Request) bool {
	if p == nil || !p.unseen || r.Agent == "" || r.Path == "" {
		return false
	}
	v := p.view(r.Subject, r.Right)
	if !v.unseen {
		return false
	}
	q := newQuestion(r)
	q.blind = true
	return v.ask(&q).deny == nil && q.passed
}

package policy

import (
	"slices"
	"strings"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Explanation is a [Decision] in words. "policy explain" and the tool
// explain_access print the same ones.
type Explanation struct {
	Decision
	Sentence string // who may or may not do what, and why; a deny rule's own reason comes last
	Next     string // what a person or a model can do now; ends with a full stop
	// Considered are the rules that name the agent, the nearest to deciding
	// first, at most 16. Rules for others are not shown.
	Considered []RuleVerdict
}

// RuleVerdict says what one rule has to do with a request.
type RuleVerdict struct {
	Rule string
	Why  string // "allows it", "denies it", or what keeps it from applying
}

const maxConsidered = 16

// Explain decides like [Policy.Decide] and says why. It takes time
// proportional to the number of rules.
func (p *Policy) Explain(r Request) Explanation {
	e := Explanation{Decision: p.Decide(r)}
	near := p.near(r)
	for _, n := range near[:min(len(near), maxConsidered)] {
		e.Considered = append(e.Considered, RuleVerdict{n.rule.Name, n.why(r)})
	}
	var because string
	switch {
	case e.Allowed:
		because, e.Next = "rule "+quote(e.Rule)+" allows it"+bounds(e.Decision), next(r, e.Decision)
	case e.Rule != "":
		because, e.Next = "rule "+quote(e.Rule)+" denies it", "Choose another secret"
		if r.Target != nil && r.Right == Use {
			e.Next += " or destination"
		}
		e.Next += ", or ask the owner about that rule."
		if e.Reason != reasonDenied {
			because += ". " + e.Reason
		}
	default:
		because, e.Next = refusal(r, near)
	}
	e.Sentence = ask(r, e.Allowed) + ": " + because
	if !strings.ContainsAny(because[len(because)-1:], ".!?") {
		e.Sentence += "."
	}
	return e
}

// ask is the request as a sentence without its end.
func ask(r Request, may bool) string {
	who, verb := "agent "+quote(r.Agent), " may "
	if r.Agent == "" {
		who = "a caller without a name"
	}
	if !may {
		verb = " may not "
	}
	s := who + verb + string(r.Right) + " " + string(r.Path)
	if r.Door != "" {
		s += " through " + string(r.Door)
	}
	if r.Target != nil && r.Right == Use {
		s += " for " + r.Target.Method + " " + r.Target.Origin()
	}
	return s
}

// bounds are the limits of a permission in words.
func bounds(d Decision) string {
	var parts []string
	if d.Permanent {
		parts = append(parts, "also for good")
	}
	if d.Limits.TTL > 0 {
		parts = append(parts, "for "+formatDuration(d.Limits.TTL)+" at most")
	}
	if d.Limits.Uses > 0 {
		parts = append(parts, plural(d.Limits.Uses, "use"))
	}
	if d.Limits.Rate.Count > 0 {
		parts = append(parts, "at "+d.Limits.Rate.String())
	}
	if len(d.To) > 0 {
		parts = append(parts, "to "+destinations(d.To))
	}
	if len(parts) == 0 {
		return ""
	}
	return ", " + strings.Join(parts, ", ")
}

func next(r Request, d Decision) string {
	switch {
	case r.Right == Use && r.Target == nil:
		return "Get a handle, and put it where the value would stand; its destination is checked when it is used."
	case r.Right == Use:
		return "Make the request; the secret's own destinations must allow it too."
	case r.Right == Delete && d.Permanent:
		return "Delete it; it goes to the trash unless permanent is asked for."
	case r.Right == Delete:
		return "Delete it; it goes to the trash, where the owner can restore it."
	default:
		return "Go ahead."
	}
}

// ExplainUnseen explains a refusal that depends on the tier or tags of a
// secret, to somebody who may not know whether there is one: the answer is the
// same for each secret and for none. [Request].Secret is ignored.
func (p *Policy) ExplainUnseen(r Request) Explanation {
	r.Secret = nil
	e := Explanation{Decision: Decision{Reason: reasonUnseen}}
	near := p.near(r)
	for _, n := range near[:min(len(near), maxConsidered)] {
		e.Considered = append(e.Considered, RuleVerdict{n.rule.Name, n.why(r)})
	}
	e.Sentence = ask(r, false) + ": the rules for this path depend on the tier or tags of the secret, and they do not allow it."
	e.Next = "Choose a secret from list_secrets, or ask the owner to allow " + string(r.Right) + " on this path."
	return e
}

// refusal says why no rule allows a request, from the allow rule that is
// nearest to it, and what can be done.
func refusal(r Request, near []nearRule) (because, next string) {
	i := slices.IndexFunc(near, func(n nearRule) bool { return !n.rule.Deny })
	if i < 0 {
		return "no rule allows this agent anything", "The owner can add a rule for it to the policy file."
	}
	n := near[i]
	switch {
	case n.misses&missPath != 0:
		return "no rule for this agent covers this path", "Choose a secret from list_secrets, or ask the owner to add a rule for this path."
	default:
		because = "rule " + quote(n.rule.Name) + " " + n.why(r)
	}
	switch n.misses {
	case missDoor:
		next = "Use a door that the rule names, or ask the owner to add " + string(r.Door) + " to its doors."
	case missWhen:
		next = "Try again when that is so, or ask the owner about the rule's condition."
	case missTarget:
		next = "Send the request to an allowed destination, or ask the owner to add this one to the rule."
	default:
		next = "Ask the owner to allow " + string(r.Right) + " on this path."
		if r.Right == Reveal {
			next = "Get a handle instead of plaintext, or ask the owner to allow reveal on this path."
		}
	}
	return because, next
}

// destinations lists entries of "to", three at most.
func destinations(to []Narrow) string {
	var parts []string
	for i, n := range to {
		if i == 3 {
			parts = append(parts, "and "+plural(len(to)-3, "other"))
			break
		}
		s := n.Host
		if len(n.Methods) > 0 {
			s = strings.Join(n.Methods, "|") + " " + s
		}
		if len(n.Paths) > 0 {
			s += strings.Join(texts(n.Paths), "|")
		}
		if n.Answer.Show != vault.ShowFull {
			s += " (of the answer: " + n.Answer.String() + ")"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

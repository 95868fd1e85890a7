package policy

import (
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// The mappings of a policy file, as messages name them.
const (
	aPolicy   = "a policy"
	aRule     = "a rule"
	limits    = "limits"
	toOfRule  = "an entry of to"
	approvals = "approvals"
	aTest     = "a test"
	toOfTest  = "to of a test"
)

// grammar is the fields of each mapping. The JSON Schema has the same.
var grammar = map[string][]string{
	aPolicy:                 {"version", "rules", "approvals", "tests"},
	aRule:                   {"name", "agents", "doors", "paths", "allow", "deny", "when", "limits", "permanent", "to", "shape", "reason"},
	limits:                  {"ttl", "uses", "rate"},
	toOfRule:                {"host", "methods", "paths", "answer"},
	approvals:               {string(vault.Sensitive), string(vault.Critical)},
	string(vault.Sensitive): {"quorum", "delay", "expires"},
	string(vault.Critical):  {"quorum", "delay", "expires"},
	aTest:                   {"name", "agent", "stdio", "door", "client", "ip", "now", "tier", "tags", "path", "ask", "to", "expect", "rule", "ttl", "uses"},
	toOfTest:                {"method", "url"},
}

// Parse reads a policy (the format is in the package comment); name stands in
// messages for the file. Every error is a *[SyntaxError].
func Parse(name string, src []byte) (*Policy, error) {
	r := &reader{file: name, src: src}
	root := r.document(src)
	if root == nil {
		return nil, r.err
	}
	p := r.policy(root)
	if r.err != nil {
		return nil, r.err
	}
	p.rank()
	return p, nil
}

func (r *reader) policy(root ast.Node) *Policy {
	p := &Policy{}
	version, rules := false, false
	for _, f := range r.fields(root, aPolicy) {
		switch f.name {
		case "version":
			version = true
			if n, ok := f.value.(*ast.IntegerNode); !ok || n.Token.Value != "1" {
				r.fail(start(f.value), "write version: 1", "unknown version")
			}
		case "rules":
			rules = true
			p.rules = r.rules(f)
		case "approvals":
			p.approvals = r.approvals(f)
		case "tests":
			p.tests = r.tests(f)
		}
	}
	if !version {
		r.fail(start(root), "start with version: 1", "version is missing")
	}
	if !rules {
		r.fail(start(root), "write rules: [] to allow nothing", "rules are missing")
	}
	return p
}

// rules reads the list of rules. An empty list is a policy that allows
// nothing; it must be written as such, so that a file cut short is no policy.
func (r *reader) rules(f field) []*Rule {
	list, ok := f.value.(*ast.SequenceNode)
	if !ok {
		r.fail(start(f.value), "start each rule with - name:", "rules must be a list, not %s", kind(f.value))
		return nil
	}
	rules := make([]*Rule, 0, len(list.Values))
	lines := make(map[string]int, len(list.Values))
	for _, n := range list.Values {
		rule := r.rule(n, lines)
		if r.err != nil {
			return nil
		}
		rules = append(rules, rule)
	}
	return rules
}

func (r *reader) rule(n ast.Node, lines map[string]int) *Rule {
	rule := &Rule{Line: start(n).line, Doors: []Door{DoorEgress, DoorMCP}}
	seen := make(map[string]position, 8)
	fields := r.fields(n, aRule)
	rule.Deny = slices.ContainsFunc(fields, func(f field) bool { return f.name == "deny" })
	for _, f := range fields {
		seen[f.name] = f.at
		switch f.name {
		case "name":
			rule.Name = r.label(f, maxNameBytes)
			if line, taken := lines[rule.Name]; taken {
				r.fail(start(f.value), "give each rule its own name", "rule name %s is taken on line %d already", quote(rule.Name), line)
			}
			lines[rule.Name] = start(f.value).line
		case "agents":
			rule.Agents = list(r, f, `"@stdio"`, r.agent)
		case "doors":
			rule.Doors = list(r, f, "mcp", func(n ast.Node) Door { return oneOf(r, n, "door", Doors()) })
		case "paths":
			rule.Paths = list(r, f, `"production/openai/*"`, r.secretPath)
		case "allow", "deny":
			rule.Rights = list(r, f, "list, use", func(n ast.Node) Right { return oneOf(r, n, "right", Rights()) })
		case "when":
			if rule.when = r.when(f); rule.when != nil {
				rule.When = rule.when.String()
			}
		case "limits":
			rule.Limits = r.limits(f)
		case "permanent":
			rule.Permanent = r.yes(f)
		case "to":
			rule.To = r.to(f, rule.Deny)
		case "shape":
			rule.Shape = r.shape(f)
		case "reason":
			rule.Reason = r.label(f, maxReasonBytes)
		}
	}
	r.complete(rule, start(n), seen)
	rule.Hash = rule.hash()
	return rule
}

// complete checks what concerns more than one field of a rule.
func (r *reader) complete(rule *Rule, at position, seen map[string]position) {
	_, allow := seen["allow"]
	deny, denies := seen["deny"]
	to, narrowed := seen["to"]
	switch {
	case rule.Name == "":
		r.fail(at, "add name: and a name of its own", "a rule has no name")
	case len(rule.Agents) == 0:
		r.fail(at, `add agents: ["@stdio"] or the agents' names`, "rule %s names no agents", quote(rule.Name))
	case len(rule.Paths) == 0:
		r.fail(at, `add paths: ["*"] or narrower ones`, "rule %s names no paths", quote(rule.Name))
	case allow && denies:
		r.fail(deny, "make two rules of it", "rule %s both allows and denies", quote(rule.Name))
	case !allow && !denies:
		r.fail(at, "add allow: [list, use] or deny: [use]", "rule %s neither allows nor denies", quote(rule.Name))
	}
	if narrowed && !slices.Contains(rule.Rights, Use) {
		r.fail(to, "it says where a value may go when it is used", "to needs the right use in rule %s", quote(rule.Name))
	}
	if narrowed && slices.Contains(rule.Rights, Reveal) {
		r.fail(to, "put reveal in a rule without to", "plaintext has no destination: to and reveal exclude each other")
	}
	if narrowed && denies && len(rule.Rights) > 1 {
		r.fail(to, "put the other rights in a rule without to", "only use can be denied to a destination")
	}
	for _, name := range []string{"limits", "permanent", "shape"} {
		if f, has := seen[name]; has && denies {
			r.fail(f, "remove it", "a deny rule has no %s", name)
		}
	}
}

func (r *reader) limits(f field) Limits {
	var l Limits
	for _, f := range r.fields(f.value, limits) {
		switch f.name {
		case "ttl":
			l.TTL = r.duration(f)
		case "uses":
			l.Uses = r.number(f, 1, maxCount)
		case "rate":
			l.Rate = r.rate(f)
		}
	}
	return l
}

func (r *reader) approvals(f field) map[vault.Tier]Approval {
	tiers := make(map[vault.Tier]Approval, 2)
	for _, tier := range r.fields(f.value, approvals) {
		var a Approval
		for _, f := range r.fields(tier.value, tier.name) {
			switch f.name {
			case "quorum":
				a.Quorum = r.number(f, 1, maxQuorum)
			case "delay":
				a.Delay = r.duration(f)
			case "expires":
				a.Expires = r.duration(f)
			}
		}
		switch {
		case a.Quorum == 0:
			r.fail(tier.at, "add quorum: 1", "%s has no quorum", tier.name)
		case a.Expires == 0:
			r.fail(tier.at, "add expires: 15m", "%s has no expires", tier.name)
		case a.Expires <= a.Delay:
			r.fail(tier.at, "", "%s expires before its delay is over", tier.name)
		}
		tiers[vault.Tier(tier.name)] = a
	}
	return tiers
}

// list reads each entry with one, and returns them sorted without repetition.
func list[T ~string](r *reader, f field, example string, one func(ast.Node) T) []T {
	nodes := r.items(f, example)
	if len(nodes) > maxList {
		r.fail(start(f.value), "make several rules of it", "%s has more than %d entries", f.name, maxList)
		return nil
	}
	values := make([]T, 0, len(nodes))
	for _, n := range nodes {
		values = append(values, one(n))
	}
	slices.Sort(values)
	return slices.Clip(slices.Compact(values))
}

func oneOf[T ~string](r *reader, n ast.Node, what string, known []T) T {
	article := "a "
	if strings.ContainsAny(what[:1], "aeiou") {
		article = "an "
	}
	s := r.text(n, article+what)
	if r.err != nil || slices.Contains(known, T(s)) {
		return T(s)
	}
	hint := didYouMean(s, known)
	if hint == "" {
		hint = "known are " + strings.Join(texts(known), ", ")
	}
	if T(s) == "cli" {
		hint = "the command line is the owner's, whom the policy is not asked about"
	}
	r.fail(start(n), hint, "unknown %s%s", what, word(s))
	return ""
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

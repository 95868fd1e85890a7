package policy_test

import (
	"cmp"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// matches is the meaning of a glob, written as its definition: a star is any
// run of characters.
func matches(glob, s string) bool {
	switch {
	case glob == "":
		return s == ""
	case glob[0] == '*':
		return matches(glob[1:], s) || s != "" && matches(glob, s[1:])
	default:
		return s != "" && glob[0] == s[0] && matches(glob[1:], s[1:])
	}
}

func some[T any](list []T, f func(T) bool) bool { return slices.ContainsFunc(list, f) }

// hits is the meaning of a rule for one request.
func hits(r policy.Rule, q policy.Request) bool { return concerns(r, q) && meets(r, q) }

// concerns is the meaning of a rule but for its condition.
func concerns(r policy.Rule, q policy.Request) bool {
	agent := some(r.Agents, func(a string) bool {
		if a == "@stdio" {
			return q.Stdio
		}
		return matches(a, q.Agent)
	})
	path := some(r.Paths, func(g vault.Glob) bool { return matches(string(g), string(q.Path)) })
	if !agent || !path || !slices.Contains(r.Doors, q.Door) || !slices.Contains(r.Rights, q.Right) {
		return false
	}
	if len(r.To) == 0 || q.Right != policy.Use {
		return true
	}
	if q.Target == nil {
		return !r.Deny
	}
	paths := []string{q.Target.Path}
	if r.Deny {
		paths = servers(q.Target.Path)
	}
	return some(r.To, func(n policy.Narrow) bool {
		host := n.Host == q.Target.Host
		if suffix, wild := strings.CutPrefix(n.Host, "*."); wild {
			labels := strings.Split(q.Target.Host, ".")
			for i := range labels {
				at := strings.Join(labels[i:], ".")
				host = host || i > 0 && at == suffix
				if !r.Deny && at == publicSuffix {
					break // an allow reaches no further up
				}
			}
		}
		return host && (len(n.Methods) == 0 || slices.Contains(n.Methods, q.Target.Method)) &&
			(len(n.Paths) == 0 || some(n.Paths, func(g vault.Glob) bool {
				return some(paths, func(p string) bool { return matches(string(g), p) })
			}))
	})
}

// servers is the ways in which servers read a path: parameters dropped or
// kept, escapes undone or not, in either order.
func servers(path string) []string {
	drop := func(p string) string { return regexp.MustCompile(";[^/]*").ReplaceAllString(p, "") }
	undo := func(p string) string {
		plain, err := url.PathUnescape(p)
		if err != nil {
			panic(err)
		}
		return plain
	}
	return []string{path, drop(path), undo(path), undo(drop(path)), drop(undo(path))}
}

// specific is the length of the longest literal prefix of the rule's globs
// that match.
func specific(r policy.Rule, p vault.Path) int {
	best := -1
	for _, g := range r.Paths {
		if matches(string(g), string(p)) {
			prefix, _, _ := strings.Cut(string(g), "*")
			best = max(best, len(prefix))
		}
	}
	return best
}

// oracle decides by reading the rules one by one, as DESIGN words it.
func oracle(rules []policy.Rule, q policy.Request) policy.Decision {
	var allow, deny []policy.Rule
	if q.Agent == "" || q.Path == "" {
		return policy.Decision{Reason: "no rule allows it"}
	}
	for _, r := range rules {
		switch {
		case !hits(r, q):
		case r.Deny:
			deny = append(deny, r)
		default:
			allow = append(allow, r)
		}
	}
	order := func(a, b policy.Rule) int {
		return cmp.Or(cmp.Compare(specific(b, q.Path), specific(a, q.Path)), cmp.Compare(a.Name, b.Name))
	}
	slices.SortFunc(allow, order)
	slices.SortFunc(deny, order)
	if len(deny) > 0 {
		return policy.Decision{Rule: deny[0].Name, RuleHash: deny[0].Hash, Reason: cmp.Or(deny[0].Reason, "a rule denies it")}
	}
	if len(allow) == 0 {
		open := q
		open.Target = nil
		if q.Target != nil && some(rules, func(r policy.Rule) bool { return !r.Deny && hits(r, open) }) {
			return policy.Decision{Reason: "no rule allows this destination"}
		}
		if some(rules, func(r policy.Rule) bool { return !r.Deny && concerns(r, q) }) {
			return policy.Decision{Reason: "no rule allows it under these conditions"}
		}
		return policy.Decision{Reason: "no rule allows it"}
	}
	d := policy.Decision{Allowed: true, Rule: allow[0].Name, RuleHash: allow[0].Hash, Reason: "a rule allows it", Limits: allow[0].Limits}
	narrow := q.Right == policy.Use
	for _, r := range allow {
		l := &d.Limits
		if r.Limits.TTL == 0 || l.TTL != 0 && r.Limits.TTL > l.TTL {
			l.TTL = r.Limits.TTL
		}
		if r.Limits.Uses == 0 || l.Uses != 0 && r.Limits.Uses > l.Uses {
			l.Uses = r.Limits.Uses
		}
		mine, best := r.Limits.Rate, l.Rate
		faster := func() bool {
			a, b := float64(mine.Count)/mine.Per.Seconds(), float64(best.Count)/best.Per.Seconds()
			return a > b+1e-9 || a > b-1e-9 && mine.Count > best.Count
		}
		if mine.Count == 0 || best.Count != 0 && faster() {
			l.Rate = mine
		}
		if d.Shape == "" {
			d.Shape = r.Shape
		}
		d.Permanent = d.Permanent || q.Right == policy.Delete && r.Permanent
		narrow = narrow && len(r.To) > 0
		for _, n := range r.To {
			if !some(d.To, func(m policy.Narrow) bool { return fmt.Sprint(m) == fmt.Sprint(n) }) {
				d.To = append(d.To, n)
			}
		}
	}
	if !narrow {
		d.To = nil
		return d
	}
	d.Answer = shownBy(d.To, q.Target)
	return d
}

// shownBy is what at least one of the entries for a target shows.
func shownBy(to []policy.Narrow, target *vault.Target) (out vault.Answer) {
	if target == nil {
		return out
	}
	out.Show = vault.ShowStatus
	for _, n := range to {
		if !hits(policy.Rule{Agents: []string{"*"}, Doors: []policy.Door{"mcp"}, Paths: []vault.Glob{"*"}, Rights: []policy.Right{"use"}, To: []policy.Narrow{n}}, policy.Request{
			Subject: policy.Subject{Agent: "a", Door: "mcp"}, Right: "use", Path: "a", Target: target,
		}) {
			continue
		}
		switch n.Answer.Show {
		case vault.ShowFull:
			return vault.Answer{}
		case vault.ShowFields:
			out.Show = vault.ShowFields
			out.Fields = append(out.Fields, n.Answer.Fields...)
		case vault.ShowStatus:
		}
	}
	slices.Sort(out.Fields)
	out.Fields = slices.Compact(out.Fields)
	return out
}

// sameDecision compares decisions; the order in To is compared elsewhere.
func sameDecision(a, b policy.Decision) bool {
	sort := func(d *policy.Decision) {
		d.To = slices.Clone(d.To)
		slices.SortFunc(d.To, func(a, b policy.Narrow) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	sort(&a)
	sort(&b)
	return reflect.DeepEqual(a, b)
}

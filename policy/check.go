package policy

import (
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Warning is something in a valid policy that its author may not have meant.
type Warning struct {
	Rule string // its name; "" for the whole policy
	Line int    // where the rule starts
	Msg  string // lower case, without a full stop
}

// Check returns the warnings, by line. paths are the secrets there are; with
// nil, nothing is said about globs that match none of them.
func (p *Policy) Check(paths iter.Seq[vault.Path]) []Warning {
	if p == nil || len(p.rules) == 0 {
		return []Warning{{Line: 1, Msg: "there are no rules: nothing is allowed"}}
	}
	var all []Warning
	for _, r := range p.rules {
		for _, msg := range r.lint() {
			all = append(all, Warning{r.Name, r.Line, msg})
		}
		if by := p.shadow(r); by != nil {
			all = append(all, Warning{r.Name, r.Line, "can never apply: rule " + quote(by.Name) + " on line " + strconv.Itoa(by.Line) + " denies all of it"})
		}
	}
	if paths != nil {
		all = append(all, p.idle(paths)...)
	}
	slices.SortStableFunc(all, func(a, b Warning) int { return a.Line - b.Line })
	return all
}

// lint looks at one rule by itself.
func (r *Rule) lint() []string {
	var out []string
	say := func(msg string) { out = append(out, msg) }
	everybody := slices.Contains(r.Agents, "*")
	if !r.Deny && everybody && slices.Contains(r.Rights, Reveal) {
		say("every agent may read plaintext")
	}
	for _, n := range r.To {
		if suffix, wild := strings.CutPrefix(n.Host, "*."); wild && !r.Deny {
			say("host *." + suffix + " is every name below " + suffix + ": whoever gets one of them gets the value")
		}
	}
	l := r.Limits
	if l.TTL > 24*time.Hour {
		say("ttl is longer than 24h, which no handle lives")
	}
	if l.Rate.Count > 0 && l.TTL > 0 && l.Rate.Per > l.TTL && l.Uses == 0 {
		say("rate counts over " + formatDuration(l.Rate.Per) + ", longer than a handle lives (" + formatDuration(l.TTL) + ")")
	}
	if r.Shape != "" && !slices.Contains(r.Rights, Use) {
		say("shape has no effect without the right use")
	}
	if r.when != nil {
		if always, constant := r.when.Constant(); constant {
			out = append(out, alwaysOrNever(always, r.Deny))
		}
		if r.when.Uses("client") {
			say("client is what a client calls itself: anybody can say it, and it is no identity")
		}
	}
	if r.Permanent && !slices.Contains(r.Rights, Delete) {
		say("permanent has no effect without the right delete")
	}
	return out
}

func alwaysOrNever(always, deny bool) string {
	switch {
	case always:
		return "its condition is always true: remove it"
	case deny:
		return "can never deny anything: its condition is never true"
	default:
		return "can never apply: its condition is never true"
	}
}

// shadow returns a deny rule that matches whatever the allow rule r does.
func (p *Policy) shadow(r *Rule) *Rule {
	if r.Deny {
		return nil
	}
	for _, d := range p.rules {
		if d.Deny && d.when == nil && len(d.To) == 0 && all(r.Rights, d.Rights) && all(r.Doors, d.Doors) &&
			coversAll(d.Agents, r.Agents, agentCovers) && coversAll(d.Paths, r.Paths, vault.Glob.Match) {
			return d
		}
	}
	return nil
}

func all[T comparable](some, of []T) bool {
	return !slices.ContainsFunc(some, func(v T) bool { return !slices.Contains(of, v) })
}

// coversAll reports whether each narrow glob matches no more than one of the
// wide ones. A star in the text of the narrow one stands for any run, and only
// a star of the wide one matches it, so matching the text is enough.
func coversAll[T ~string](wide, narrow []T, match func(T, string) bool) bool {
	for _, n := range narrow {
		if !slices.ContainsFunc(wide, func(w T) bool { return match(w, string(n)) }) {
			return false
		}
	}
	return true
}

// agentCovers is Match for agents, where @stdio is no name but a group.
func agentCovers(wide, narrow string) bool {
	if wide == stdioAgents || narrow == stdioAgents && strings.Trim(wide, "*") != "" {
		return wide == narrow
	}
	return vault.Glob(wide).Match(narrow)
}

// idle returns a warning for each glob that matches none of the paths.
func (p *Policy) idle(paths iter.Seq[vault.Path]) []Warning {
	type open struct {
		rule *Rule
		glob vault.Glob
	}
	var waiting []open
	for _, r := range p.rules {
		for _, g := range r.Paths {
			waiting = append(waiting, open{r, g})
		}
	}
	for path := range paths {
		waiting = slices.DeleteFunc(waiting, func(o open) bool { return o.glob.Match(string(path)) })
		if len(waiting) == 0 {
			return nil
		}
	}
	out := make([]Warning, len(waiting))
	for i, o := range waiting {
		out[i] = Warning{o.rule.Name, o.rule.Line, "path " + quote(string(o.glob)) + " matches no secret in the vault"}
	}
	return out
}

func plural(n int, what string) string {
	s := strconv.Itoa(n) + " " + what
	if n != 1 {
		s += "s"
	}
	return s
}

package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Test is one row of a policy file's own tests: a request and what the rules
// must say to it. A policy's tests decide nothing: they are neither in its
// [Policy.Format] nor in its [Policy.Hash].
type Test struct {
	Name    string
	Line    int     // where it starts in the file
	Request Request // without a Target; Secret is always given
	Method  string  // with URL: where the value would go
	URL     string  // "": not known yet
	Allow   bool    // what is expected
	Rule    string  // the rule that must decide; "" is any
	TTL     time.Duration
	Uses    int // TTL and Uses: the limit that must hold; 0 is any
}

// TestResult is what the rules said to a [Test].
type TestResult struct {
	Test
	Explanation Explanation
	// Wrong is each difference between what was expected and what came, as "want
	// allow, got deny". None: the test passes.
	Wrong []string
}

// Tests returns the tests in the order of the file.
func (p *Policy) Tests() []Test {
	if p == nil {
		return nil
	}
	return slices.Clone(p.tests)
}

// Test asks the rules the file's own tests. target makes the target of a method
// and a URL as it is made of a real request; its error fails the test.
func (p *Policy) Test(target func(method, url string) (vault.Target, error)) []TestResult {
	var results []TestResult
	for _, t := range p.Tests() {
		r := TestResult{Test: t}
		if t.URL != "" {
			to, err := target(t.Method, t.URL)
			if err != nil {
				r.Wrong = []string{"no request may go there: " + err.Error()}
				results = append(results, r)
				continue
			}
			t.Request.Target = &to
		}
		r.Explanation = p.Explain(t.Request)
		r.Wrong = t.compare(r.Explanation.Decision)
		if t.Request.Now.IsZero() && p.asksTheTime(t.Request) {
			r.Wrong = append(r.Wrong, "a rule's condition asks for the time: add now")
		}
		results = append(results, r)
	}
	return results
}

// asksTheTime reports whether a rule for just such a request has a condition about
// now. A test without one would pass where a refusal is expected, and tell of no
// request that is ever made: those have a time.
func (p *Policy) asksTheTime(r Request) bool {
	return slices.ContainsFunc(p.rules, func(rule *Rule) bool {
		return rule.when != nil && rule.when.Uses("now") && rule.names(r.Subject) && rule.covers(r.Path) &&
			slices.Contains(rule.Rights, r.Right) && slices.Contains(rule.Doors, r.Door)
	})
}

func (t Test) compare(d Decision) []string {
	var wrong []string
	differ := func(what, want, got string) {
		if want != got {
			wrong = append(wrong, "want "+what+want+", got "+what+got)
		}
	}
	differ("", outcome(t.Allow), outcome(d.Allowed))
	if t.Rule != "" {
		differ("rule ", quote(t.Rule), quoteOr(d.Rule, "none"))
	}
	if t.TTL != 0 {
		differ("ttl ", formatDuration(t.TTL), orNone(formatDuration(d.Limits.TTL)))
	}
	if t.Uses != 0 {
		differ("uses ", plural(t.Uses, "use"), orNone(strings.TrimPrefix(plural(d.Limits.Uses, "use"), "0 uses")))
	}
	return wrong
}

func outcome(allow bool) string {
	if allow {
		return "allow"
	}
	return "deny"
}

func quoteOr(s, none string) string {
	if s == "" {
		return none
	}
	return quote(s)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

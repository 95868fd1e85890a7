package policy_test

import (
	"cmp"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

const requestsEach = 40

func TestDecideIsTheOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		p := parse(t, rules)
		for range requestsEach {
			q := drawRequest(t)
			got, want := p.Decide(q), oracle(p.Rules(), q)
			if !sameDecision(got, want) {
				t.Fatalf("%+v\ntarget %+v\ngot  %+v\nwant %+v\n%s", q, q.Target, got, want, p.Format())
			}
		}
	})
}

func TestOrderNeverMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		p := parse(t, rules)
		mixed := slices.Clone(rules)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))
		random.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		other := parse(t, mixed)
		if p.Hash() != other.Hash() {
			t.Fatal("the order of rules changes the hash")
		}
		for range requestsEach {
			q := drawRequest(t)
			if a, b := p.Decide(q), other.Decide(q); !reflect.DeepEqual(a, b) {
				t.Fatalf("%+v\n%+v\n%+v", q, a, b)
			}
		}
	})
}

// Removing an allow rule or adding a deny rule never grants anything: what
// was refused stays refused, and what stays allowed is no wider.
func TestLessIsNeverMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		before := parse(t, rules)
		var after *policy.Policy
		all := before.Rules()
		if i := rapid.IntRange(-1, len(rules)-1).Draw(t, "removed"); i >= 0 && !all[i].Deny {
			after = parse(t, slices.Delete(slices.Clone(rules), i, i+1))
		} else {
			more := drawRule(t, "added")
			after = parse(t, append(slices.Clone(rules), more))
			if r := after.Rules(); !r[len(r)-1].Deny {
				before, after = after, before
			}
		}
		for range requestsEach {
			q := drawRequest(t)
			a, b := before.Decide(q), after.Decide(q)
			if b.Allowed && !a.Allowed {
				t.Fatalf("%+v was granted by less\n%s\n%s", q, before.Format(), after.Format())
			}
			if b.Allowed && (exceeds(b.Limits.TTL, a.Limits.TTL) || exceeds(b.Limits.Uses, a.Limits.Uses)) {
				t.Fatalf("%+v got wider limits\n%+v\n%+v", q, a, b)
			}
			if b.Allowed && showsMore(b.Answer, a.Answer) {
				t.Fatalf("%+v is shown more by less: %v, then %v\n%s\n%s", q, a.Answer, b.Answer, before.Format(), after.Format())
			}
			if b.Permanent && !a.Permanent {
				t.Fatalf("%+v deletes for good by less\n%s\n%s", q, before.Format(), after.Format())
			}
			if b.Allowed && a.To != nil && (b.To == nil || some(b.To, func(n policy.Narrow) bool {
				return !some(a.To, func(m policy.Narrow) bool { return reflect.DeepEqual(m, n) })
			})) {
				t.Fatalf("%+v got more destinations\n%+v\n%+v", q, a, b)
			}
			reach := after.Reach(q.Subject, q.Right)
			if b.Allowed && !some(reach, func(prefix string) bool { return strings.HasPrefix(string(q.Path), prefix) }) {
				t.Fatalf("%+v is allowed and out of reach %q", q, reach)
			}
			if !slices.IsSorted(reach) {
				t.Fatalf("reach is not sorted: %q", reach)
			}
			for i := 1; i < len(reach); i++ {
				if strings.HasPrefix(reach[i], reach[i-1]) {
					t.Fatalf("reach repeats itself: %q", reach)
				}
			}
		}
	})
}

// showsMore reports whether a shows something that b does not.
func showsMore(a, b vault.Answer) bool {
	switch {
	case b.Show == vault.ShowFull || a.Show == vault.ShowStatus:
		return false
	case a.Show == vault.ShowFull || b.Show == vault.ShowStatus:
		return true
	}
	return some(a.Fields, func(p vault.Pointer) bool { return !slices.Contains(b.Fields, p) })
}

// Adding permanent to a rule grants nothing but that deleting may be for good.
func TestPermanentIsAllThatItGrants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t)
		if len(rules) == 0 {
			return
		}
		plain := slices.Clone(rules)
		for i := range plain {
			plain[i] = strings.NewReplacer("    permanent: true\n", "", "    permanent: false\n", "").Replace(plain[i])
		}
		with := slices.Clone(plain)
		i := rapid.IntRange(0, len(rules)-1).Draw(t, "rule")
		if strings.Contains(with[i], "    allow: ") {
			with[i] += "    permanent: true\n"
		}
		before, after := parse(t, plain), parse(t, with)
		for range requestsEach {
			q := drawRequest(t)
			a, b := before.Decide(q), after.Decide(q)
			if a.Permanent || b.Permanent && (q.Right != policy.Delete || !b.Allowed) {
				t.Fatalf("%+v\n%+v\n%+v", q, a, b)
			}
			a.RuleHash, b.RuleHash, b.Permanent = "", "", false
			if !reflect.DeepEqual(a, b) {
				t.Fatalf("%+v\n%+v\n%+v", q, a, b)
			}
		}
	})
}

func exceeds[T cmp.Ordered](a, b T) bool {
	var none T
	return b != none && (a == none || a > b)
}

func TestGlobIsItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		glob := rapid.StringMatching(`[ab*/]{0,8}`).Draw(t, "glob")
		s := rapid.StringMatching(`[ab/]{0,8}`).Draw(t, "text")
		if got := vault.Glob(glob).Match(s); got != matches(glob, s) {
			t.Fatalf("%q %q: %v", glob, s, got)
		}
	})
}

func TestFormatIsCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := parse(t, drawRules(t))
		text := p.Format()
		again, err := policy.Parse("formatted", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if string(again.Format()) != string(text) || again.Hash() != p.Hash() {
			t.Fatalf("not canonical:\n%s\n%s", text, again.Format())
		}
		for i, r := range again.Rules() {
			if want := p.Rules()[i]; r.Hash != want.Hash && r.Name == want.Name {
				t.Fatalf("rule %s has hash %s, then %s", r.Name, want.Hash, r.Hash)
			}
		}
	})
}

// The words of an explanation agree with the decision.
func TestExplainAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := parse(t, drawRules(t))
		for range requestsEach {
			q := drawRequest(t)
			e, d := p.Explain(q), p.Decide(q)
			if !reflect.DeepEqual(e.Decision, d) {
				t.Fatalf("%+v\n%+v", e.Decision, d)
			}
			if strings.Contains(e.Sentence, "may not") == d.Allowed || !strings.HasSuffix(e.Sentence, ".") || !strings.HasSuffix(e.Next, ".") {
				t.Fatalf("%v: %s / %s", d, e.Sentence, e.Next)
			}
			if !strings.Contains(e.Sentence, d.Rule) {
				t.Fatalf("%s does not name %s", e.Sentence, d.Rule)
			}
			for _, c := range e.Considered {
				r := rule(p, c.Rule)
				says := c.Why == "allows it" || strings.HasPrefix(c.Why, "denies it") && (c.Why == "denies it" || strings.HasSuffix(c.Why, "has no value here"))
				if c.Why == "depends on the tier or tags of the secret" {
					if q.Secret != nil {
						t.Fatalf("%+v: %+v", q, c)
					}
					continue
				}
				if says != hits(r, q) {
					t.Fatalf("%+v: %+v", q, c)
				}
			}
		}
	})
}

func rule(p *policy.Policy, name string) policy.Rule {
	rules := p.Rules()
	return rules[slices.IndexFunc(rules, func(r policy.Rule) bool { return r.Name == name })]
}

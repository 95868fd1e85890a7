package policy_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

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
func hits(r policy.Rule, q policy.Request) bool {
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
	return some(r.To, func(n policy.Narrow) bool {
		host := n.Host == q.Target.Host
		if suffix, wild := strings.CutPrefix(n.Host, "*."); wild {
			labels := strings.Split(q.Target.Host, ".")
			for i := 1; i < len(labels); i++ {
				host = host || strings.Join(labels[i:], ".") == suffix
			}
		}
		return host && (len(n.Methods) == 0 || slices.Contains(n.Methods, q.Target.Method)) &&
			(len(n.Paths) == 0 || some(n.Paths, func(g vault.Glob) bool { return matches(string(g), q.Target.Path) }))
	})
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
		narrow = narrow && len(r.To) > 0
		for _, n := range r.To {
			if !some(d.To, func(m policy.Narrow) bool { return fmt.Sprint(m) == fmt.Sprint(n) }) {
				d.To = append(d.To, n)
			}
		}
	}
	if !narrow {
		d.To = nil
	}
	return d
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

// Small alphabets, so that rules and requests meet often.
var (
	agents  = []string{"ci", "claude-1", "claude-2", "local", "c"}
	words   = []string{"a", "b", "ab", "prod", "production"}
	globs   = []string{"*", "a*", "a/*", "a/b", "a/b*", "a/*/b", "*b", "*/a", "a*b*", "prod*", "production/*", "production/ab/*", "prod*/a", "ab", "a/b/a", "**", "a/**b"}
	hosts   = []string{"a.example", "b.example", "x.a.example", "y.x.a.example", "10.0.0.1", "localhost"}
	shapes  = []string{"", "", "sk-{handle}", "ghp_{handle}", "{handle}"}
	targets = []string{"/", "/v1", "/v1/chat", "/v2/x"}
)

func subset(t *rapid.T, name string, from []string, most int) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, most, rapid.ID).Draw(t, name)
}

func list(items []string) string {
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = `"` + s + `"`
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// drawRule draws one rule in YAML.
func drawRule(t *rapid.T, name string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "    "+format+"\n", args...) }
	fmt.Fprintf(&b, "  - name: %q\n", name)
	line("agents: %s", list(subset(t, "agents", []string{"*", "@stdio", "ci", "claude-*", "c*", "local", "*-1"}, 3)))
	line("paths: %s", list(subset(t, "paths", globs, 4)))
	if rapid.Bool().Draw(t, "with doors") {
		line("doors: %s", list(subset(t, "doors", []string{"mcp", "rest", "egress"}, 2)))
	}
	deny := rapid.IntRange(0, 3).Draw(t, "deny") == 0
	to := rapid.IntRange(0, 2).Draw(t, "narrow") == 0
	rights := []string{"list", "use", "reveal"}
	switch {
	case to && deny:
		rights = []string{"use"}
	case to:
		rights = subset(t, "rights", []string{"use", "list"}, 2)
		if !slices.Contains(rights, "use") {
			rights = append(rights, "use")
		}
	default:
		rights = subset(t, "rights", rights, 3)
	}
	if to {
		line("to:")
		for range rapid.IntRange(1, 3).Draw(t, "entries") {
			entry := `host: "` + rapid.SampledFrom(append([]string{"*.example.org", "*.a.example", "*.x.a.example"}, hosts...)).Draw(t, "host") + `"`
			if rapid.Bool().Draw(t, "with methods") {
				entry += ", methods: " + list(subset(t, "methods", []string{"GET", "POST", "PUT"}, 2))
			}
			if rapid.Bool().Draw(t, "with url paths") {
				entry += ", paths: " + list(subset(t, "url paths", []string{"/v1*", "/v1/*", "/*", "/v2/x", "/*x"}, 2))
			}
			line("  - {%s}", entry)
		}
	}
	if deny {
		line("deny: %s", list(rights))
		if rapid.Bool().Draw(t, "with reason") {
			line("reason: ask %s", name)
		}
		return b.String()
	}
	line("allow: %s", list(rights))
	var limits []string
	if rapid.Bool().Draw(t, "with ttl") {
		limits = append(limits, "ttl: "+rapid.SampledFrom([]string{"30s", "15m", "1h", "1d"}).Draw(t, "ttl"))
	}
	if rapid.Bool().Draw(t, "with uses") {
		limits = append(limits, fmt.Sprintf("uses: %d", rapid.IntRange(1, 5).Draw(t, "uses")))
	}
	if rapid.Bool().Draw(t, "with rate") {
		limits = append(limits, "rate: "+rapid.SampledFrom([]string{"1/s", "60/m", "59/m", "3600/h", "100/d", "1/m"}).Draw(t, "rate"))
	}
	if len(limits) > 0 {
		line("limits: {%s}", strings.Join(limits, ", "))
	}
	if shape := rapid.SampledFrom(shapes).Draw(t, "shape"); shape != "" {
		line("shape: %q", shape)
	}
	return b.String()
}

func drawRules(t *rapid.T) []string {
	n := rapid.IntRange(0, 12).Draw(t, "rules")
	rules := make([]string, n)
	for i := range rules {
		rules[i] = drawRule(t, fmt.Sprintf("r%02d", i))
	}
	return rules
}

func drawRequest(t *rapid.T) policy.Request {
	q := policy.Request{
		Subject: policy.Subject{
			Agent: rapid.SampledFrom(agents).Draw(t, "agent"),
			Stdio: rapid.Bool().Draw(t, "stdio"),
			Door:  policy.Door(rapid.SampledFrom([]string{"mcp", "rest", "egress", "cli"}).Draw(t, "door")),
		},
		Right: policy.Right(rapid.SampledFrom([]string{"list", "use", "use", "use", "reveal", "set"}).Draw(t, "right")),
		Path:  vault.Path(strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 1, 3).Draw(t, "path"), "/")),
	}
	if rapid.Bool().Draw(t, "with target") {
		q.Target = &vault.Target{
			Scheme: "https", Host: rapid.SampledFrom(hosts).Draw(t, "host"), Port: 443,
			Method: rapid.SampledFrom([]string{"GET", "POST", "DELETE"}).Draw(t, "method"),
			Path:   rapid.SampledFrom(targets).Draw(t, "url path"),
		}
	}
	return q
}

func parse(t rapid.TB, rules []string) *policy.Policy {
	t.Helper()
	src := "version: 1\nrules: []\n"
	if len(rules) > 0 {
		src = head + strings.Join(rules, "")
	}
	p, err := policy.Parse("p", []byte(src))
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return p
}

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
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0)) //nolint:gosec // a test
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
				says := c.Why == "allows it" || c.Why == "denies it"
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

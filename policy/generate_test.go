package policy_test

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// Small alphabets, so that rules and requests meet often.
var (
	agents  = []string{"ci", "claude-1", "claude-2", "local", "c"}
	words   = []string{"a", "b", "ab", "prod", "production"}
	globs   = []string{"*", "a*", "a/*", "a/b", "a/b*", "a/*/b", "*b", "*/a", "a*b*", "prod*", "production/*", "production/ab/*", "prod*/a", "ab", "a/b/a", "**", "a/**b"}
	hosts   = []string{"a.example", "b.example", "x.a.example", "y.x.a.example", "10.0.0.1", "localhost", "x." + publicSuffix, publicSuffix, "sts.amazonaws.com"}
	shapes  = []string{"", "", "sk-{handle}", "ghp_{handle}", "{handle}"}
	targets = []string{"/", "/v1", "/v1/chat", "/v2/x", "/v2;a=1/x", "/v2;/x;b", "/v2%3Bc/x", "/v1/c@t", "/v1/c%40t", "/v1;/c%40t%3Bd"}
)

// publicSuffix is below *.amazonaws.com, and strangers have names below it.
const publicSuffix = "s3.amazonaws.com"

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
	if when := drawWhen(t); when != "" {
		line("when: '%s'", when)
	}
	deny := rapid.IntRange(0, 3).Draw(t, "deny") == 0
	to := rapid.IntRange(0, 2).Draw(t, "narrow") == 0
	rights := []string{"list", "use", "reveal", "delete"}
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
		wild := []string{"*.example.org", "*.a.example", "*.x.a.example", "*.amazonaws.com"}
		if deny {
			wild = append(wild, "*.com", "*."+publicSuffix, "*.example")
		}
		for range rapid.IntRange(1, 3).Draw(t, "entries") {
			entry := `host: "` + rapid.SampledFrom(append(wild, hosts...)).Draw(t, "host") + `"`
			if rapid.Bool().Draw(t, "with methods") {
				entry += ", methods: " + list(subset(t, "methods", []string{"GET", "POST", "PUT"}, 2))
			}
			if rapid.Bool().Draw(t, "with url paths") {
				entry += ", paths: " + list(subset(t, "url paths", []string{"/v1*", "/v1/*", "/*", "/v2/x", "/*x", "/v1/c@t"}, 2))
			}
			if answer := rapid.SampledFrom([]string{"", "full", "status", "fields:/a", "fields:/b,/a", "fields:/c/*/d"}).Draw(t, "answer"); answer != "" && !deny {
				entry += `, answer: "` + answer + `"`
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
	if rapid.IntRange(0, 2).Draw(t, "permanent") == 0 {
		line("permanent: %v", rapid.IntRange(0, 3).Draw(t, "for good") > 0)
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
		Right: policy.Right(rapid.SampledFrom([]string{"list", "use", "use", "use", "reveal", "delete", "delete", "set"}).Draw(t, "right")),
		Path:  vault.Path(strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 1, 3).Draw(t, "path"), "/")),
	}
	if rapid.Bool().Draw(t, "with target") {
		q.Target = &vault.Target{
			Scheme: "https", Host: rapid.SampledFrom(hosts).Draw(t, "host"), Port: 443,
			Method: rapid.SampledFrom([]string{"GET", "POST", "DELETE"}).Draw(t, "method"),
			Path:   rapid.SampledFrom(targets).Draw(t, "url path"),
		}
	}
	drawFacts(t, &q)
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

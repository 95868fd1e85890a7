package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func TestCheck(t *testing.T) {
	secrets := []vault.Path{"production/openai/key", "production/stripe/key", "staging/db"}
	for _, c := range []struct {
		name, rules string
		want        []string
	}{
		{"nothing to say", `
  - {name: a, agents: [ci], paths: ["production/*", "staging/db"], allow: [list, use], limits: {ttl: 15m, uses: 100, rate: 60/m}, to: [{host: api.openai.com}]}
  - {name: b, agents: ["*"], paths: ["production/stripe/*"], deny: [use]}`, nil},
		{"shadowed whole", `
  - {name: a, agents: ["ci-*", "@stdio"], paths: ["production/openai/*"], allow: [list]}
  - {name: b, agents: ["*"], paths: ["production/*"], deny: [list, use]}`, []string{`3 a: can never apply: rule "b" on line 4 denies all of it`}},
		{"shadowed in part", `
  - {name: a, agents: ["ci-*"], paths: ["production/openai/*", "staging/*"], allow: [list]}
  - {name: b, agents: ["ci-1*"], paths: ["*"], deny: [list]}
  - {name: c, agents: ["*"], paths: ["production/*"], deny: [list]}
  - {name: d, agents: ["*"], paths: ["*"], deny: [use]}
  - {name: e, agents: ["*"], paths: ["*"], doors: [mcp], deny: [list]}`, nil},
		{"denied to a destination", `
  - {name: a, agents: [ci], paths: ["*"], allow: [use]}
  - {name: b, agents: ["*"], paths: ["*"], deny: [use], to: [{host: a.example}]}`, nil},
		{"group is not a name", `
  - {name: a, agents: ["@stdio"], paths: ["*"], allow: [list]}
  - {name: b, agents: ["c*", "*o"], paths: ["*"], deny: [list]}`, nil},
		{"no such secret", `
  - {name: a, agents: [ci], paths: ["production/*", "prodution/*"], allow: [list]}
  - {name: b, agents: [ci], paths: ["staging"], deny: [list]}`, []string{
			`3 a: path "prodution/*" matches no secret in the vault`, `4 b: path "staging" matches no secret in the vault`,
		}},
		{"wildcard host", `
  - {name: a, agents: [ci], paths: ["*"], allow: [use], to: [{host: "*.example.com"}, {host: a.example}]}
  - {name: b, agents: [ci], paths: ["*"], deny: [use], to: [{host: "*.example.org"}]}`, []string{
			"3 a: host *.example.com is every name below example.com: whoever gets one of them gets the value",
		}},
		{"plaintext for all", `
  - {name: a, agents: ["*"], paths: ["*"], allow: [reveal]}`, []string{"3 a: every agent may read plaintext"}},
		{"odd limits", `
  - {name: a, agents: [ci], paths: ["*"], allow: [use], limits: {ttl: 2d}}
  - {name: b, agents: [ci], paths: ["*"], allow: [use], limits: {ttl: 5m, rate: 10/h}}
  - {name: c, agents: [ci], paths: ["*"], allow: [list], shape: "x-{handle}"}
  - {name: d, agents: [ci], paths: ["*"], allow: [use], permanent: true}`, []string{
			"3 a: ttl is longer than 24h, which no handle lives",
			"4 b: rate counts over 1h, longer than a handle lives (5m)",
			"5 c: shape has no effect without the right use",
			"6 d: permanent has no effect without the right delete",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := mustParse(t, "version: 1\nrules:"+c.rules+"\n")
			var got []string
			for _, w := range p.Check(slices.Values(secrets)) {
				got = append(got, fmt.Sprintf("%d %s: %s", w.Line, w.Rule, w.Msg))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestCheckWithoutVault(t *testing.T) {
	p := mustParse(t, policy.Default)
	if w := p.Check(nil); len(w) != 0 {
		t.Errorf("%+v", w)
	}
	if w := p.Check(func(func(vault.Path) bool) {}); len(w) != 1 {
		t.Errorf("an empty vault: %+v", w)
	}
}

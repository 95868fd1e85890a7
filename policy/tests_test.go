package policy_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// tested is a policy with tests of every kind.
const tested = `version: 1
rules:
  - name: inference
    agents: ["claude-*", "@stdio"]
    paths: ["production/openai/*"]
    allow: [list, use]
    limits: {ttl: 15m, uses: 100}
    to: [{host: api.openai.com, methods: [POST]}]
    when: now.getHours("Europe/Berlin") >= 8 && tier == "standard"
  - {name: not pay, agents: ["*"], paths: ["*"], deny: [use], when: 'has(tags.team) && tags.team == "pay"'}
  - {name: new ones, agents: [ci], doors: [rest], paths: ["*"], allow: [set], when: 'tier == "" && cidr("10.0.0.0/8").containsIP(ip) && client == "ci/1"'}
tests:
  - {name: at eight, agent: claude-1, path: production/openai/key, ask: use, now: 2026-01-05T08:00:00+01:00, expect: allow, rule: inference, ttl: 15m, uses: 100}
  - name: before eight
    agent: claude-1
    path: production/openai/key
    ask: use
    now: "2026-01-05T06:59:59Z"
    expect: deny
  - {name: critical, agent: claude-1, path: production/openai/key, ask: use, tier: critical, now: 2026-01-05T08:00:00+01:00, expect: deny}
  - {name: pay, agent: "@stdio", path: production/openai/key, ask: use, tags: {team: pay}, now: 2026-01-05T08:00:00+01:00, expect: deny, rule: not pay}
  - {name: over stdio, agent: "@stdio", path: production/openai/key, ask: list, now: 2026-01-05T08:00:00+01:00, expect: allow}
  - {name: local, agent: local, path: production/openai/key, ask: list, now: 2026-01-05T08:00:00+01:00, expect: allow}
  - {name: by name, agent: other, path: production/openai/key, ask: list, now: 2026-01-05T08:00:00+01:00, expect: deny}
  - {name: by name over stdio, agent: other, stdio: true, path: production/openai/key, ask: list, now: 2026-01-05T08:00:00+01:00, expect: allow}
  - {name: there, agent: claude-1, path: production/openai/key, ask: use, to: {method: POST, url: "https://api.openai.com/v1"}, now: 2026-01-05T08:00:00+01:00, expect: allow}
  - {name: elsewhere, agent: claude-1, path: production/openai/key, ask: use, to: {url: "https://api.openai.com/v1"}, now: 2026-01-05T08:00:00+01:00, expect: deny}
  - {name: new, agent: ci, door: rest, path: a/b, ask: set, tier: none, ip: 10.1.2.3, client: ci/1, expect: allow}
  - {name: not new, agent: ci, door: rest, path: a/b, ask: set, ip: 10.1.2.3, client: ci/1, expect: deny}
`

// testWith is a good test with more lines, which start on line 9.
func testWith(lines ...string) string {
	s := "version: 1\nrules: []\ntests:\n  - name: a\n    agent: x\n    path: p\n    ask: use\n    expect: deny\n"
	for _, l := range lines {
		s += "    " + l + "\n"
	}
	return s
}

// brokenTests are policies whose tests have one mistake each.
var brokenTests = []struct{ name, src, want string }{
	{"tests as text", "version: 1\nrules: []\ntests: none\n", `p:3:8: tests must be a list, not text; write tests: [{name: …, agent: …, path: …, ask: use, expect: allow}]`},
	{"tests empty", "version: 1\nrules: []\ntests: []\n", `p:3:8: tests is an empty list; write tests: [{name: …, agent: …, path: …, ask: use, expect: allow}]`},
	{"test as text", "version: 1\nrules: []\ntests: [a]\n", `p:3:9: a test must have fields, not text; write name: value lines`},
	{"test unknown field", testWith("expct: allow"), `p:9:5: unknown field "expct" in a test; did you mean expect?`},
	{"test without name", "version: 1\nrules: []\ntests: [{agent: x, path: p, ask: use, expect: deny}]\n", `p:3:9: a test has no name; add name:`},
	{"test without agent", "version: 1\nrules: []\ntests: [{name: a, path: p, ask: use, expect: deny}]\n", `p:3:9: a test has no agent; add agent:`},
	{"test without path", "version: 1\nrules: []\ntests: [{name: a, agent: x, ask: use, expect: deny}]\n", `p:3:9: a test has no path; add path:`},
	{"test without ask", "version: 1\nrules: []\ntests: [{name: a, agent: x, path: p, expect: deny}]\n", `p:3:9: a test has no ask; add ask:`},
	{"test without expect", "version: 1\nrules: []\ntests: [{name: a, agent: x, path: p, ask: use}]\n", `p:3:9: a test has no expect; add expect:`},
	{"test name twice", testWith("rule: b") + "  - {name: a}\n", `p:10:12: test name "a" is taken on line 4 already; give each test its own name`},
	{"test agents", "version: 1\nrules: []\ntests: [{name: a, agent: \"x*\"}]\n", `p:3:26: the agent of a test is one agent; write one name`},
	{"test agent as list", "version: 1\nrules: []\ntests: [{name: a, agent: [x]}]\n", `p:3:26: an agent must be text, not a list; put it in double quotes`},
	{"test path with star", "version: 1\nrules: []\ntests: [{name: a, path: \"a/*\"}]\n", `p:3:25: path segment 2 has a character outside A-Z a-z 0-9 . _ - and space; paths look like production/openai/api-key`},
	{"test ask", "version: 1\nrules: []\ntests: [{name: a, ask: [use]}]\n", `p:3:24: a right must be text, not a list; put it in double quotes`},
	{"test unknown right", "version: 1\nrules: []\ntests: [{name: a, ask: uses}]\n", `p:3:24: unknown right "uses"; did you mean use?`},
	{"test expect", "version: 1\nrules: []\ntests: [{name: a, expect: denied}]\n", `p:3:27: unknown outcome "denied"; known are allow, deny`},
	{"test expect as bool", "version: 1\nrules: []\ntests: [{name: a, expect: true}]\n", `p:3:27: an outcome must be text, not true or false; put it in double quotes`},
	{"test door", testWith("door: cli"), `p:9:11: unknown door "cli"; the command line is the owner's, whom the policy is not asked about`},
	{"test doors", testWith("door: [mcp]"), `p:9:11: a door must be text, not a list; put it in double quotes`},
	{"test stdio", testWith("stdio: yes"), `p:9:12: stdio must be true or false; write stdio: true, or remove it`},
	{"test ip", testWith("ip: localhost"), `p:9:9: ip is not an address; write it without a port, like 10.1.2.3`},
	{"test ip with port", testWith("ip: 10.1.2.3:80"), `p:9:9: ip is not an address; write it without a port, like 10.1.2.3`},
	{"test now", testWith("now: 2026-01-05"), `p:9:10: now is not a point in time; write it like 2026-01-31T08:00:00+01:00`},
	{"test now of no day", testWith("now: 2026-02-31T08:00:00Z"), `p:9:10: now is not a point in time; write it like 2026-01-31T08:00:00+01:00`},
	{"test now without zone", testWith("now: 2026-01-05T08:00:00"), `p:9:10: now is not a point in time; write it like 2026-01-31T08:00:00+01:00`},
	{"test now of one digit", testWith("now: 2026-01-05T8:00:00Z"), `p:9:10: now is not a point in time; write it like 2026-01-31T08:00:00+01:00`},
	{"test now with a comma", testWith("now: 2026-01-05T08:00:00,5Z"), `p:9:10: now is not a point in time; write it like 2026-01-31T08:00:00+01:00`},
	{"test tier", testWith("tier: critcal"), `p:9:11: unknown tier "critcal"; did you mean critical?`},
	{"test tags as list", testWith("tags: [a]"), `p:9:11: tags must have fields, not a list; write name: value lines`},
	{"test tag as number", testWith("tags: {n: 7}"), `p:9:15: a tag must be text, not a number; put it in double quotes`},
	{"test tag long", testWith("tags: {n: " + strings.Repeat("x", 257) + "}"), `p:9:11: tags is longer than 256 bytes`},
	{"test tags of nothing", testWith("tier: none", "tags: {a: b}"), `p:4:5: a test has tags and tier: none, which is no secret; remove one of them`},
	{"test to as text", testWith("to: api.openai.com"), `p:9:9: to of a test must have fields, not text; write name: value lines`},
	{"test to without url", testWith("to: {method: GET}"), `p:9:5: to names no url; add url: "https://…"`},
	{"test to without use", "version: 1\nrules: []\ntests: [{name: a, agent: x, path: p, ask: reveal, expect: deny, to: {url: \"https://a.example\"}}]\n", `p:3:65: a test has to without ask: use, which alone has a destination; remove it`},
	{"test to host", testWith("to: {url: api.openai.com/v1}"), `p:9:15: url is not a URL; write it like "https://api.openai.com/v1/models"`},
	{"test to method", testWith("to: {method: post, url: \"https://a.example\"}"), `p:9:18: a method must be an upper-case word such as POST; write "POST"`},
	{"test ttl", testWith("ttl: 900"), `p:9:10: ttl needs a unit of time; write it like 90s, 15m, 1h30m or 2d`},
	{"test uses", testWith("uses: 0"), `p:9:11: uses must be a whole number from 1 to 1000000`},
}

func TestBrokenTests(t *testing.T) {
	for _, c := range brokenTests {
		t.Run(c.name, func(t *testing.T) {
			if _, err := policy.Parse("p", []byte(c.src)); err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// aim makes a target of a URL roughly as it is made of a real request.
func aim(method, url string) (vault.Target, error) {
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "https://"), "/")
	if host == "refused.example" {
		return vault.Target{}, errors.New("refused")
	}
	return vault.Target{Scheme: "https", Host: host, Port: 443, Method: method, Path: "/" + path}, nil
}

func TestPolicyTests(t *testing.T) {
	p := mustParse(t, tested)
	results := p.Test(aim)
	if len(results) != 12 {
		t.Fatalf("%d tests", len(results))
	}
	for _, r := range results {
		if len(r.Wrong) > 0 {
			t.Errorf("%s: %v: %s", r.Name, r.Wrong, r.Explanation.Sentence)
		}
	}
	if first := results[0]; first.Line != 13 || !first.Request.Now.Equal(time.Date(2026, 1, 5, 7, 0, 0, 0, time.UTC)) || first.Request.Secret.Tier != vault.Standard {
		t.Errorf("%+v", first.Test)
	}
}

func TestPolicyTestsThatFail(t *testing.T) {
	src := `version: 1
rules:
  - {name: one, agents: ["*"], paths: ["a/*"], allow: [list, use], limits: {ttl: 1h, uses: 1}}
  - {name: two, agents: ["*"], paths: ["a/no/*"], deny: [list]}
  - {name: three, agents: [night], doors: [rest], paths: ["a/*"], allow: [use], when: "now.getHours() < 6"}
tests:
  - {name: a, agent: x, path: a/b, ask: list, expect: deny}
  - {name: g, agent: night, door: rest, path: a/b, ask: use, expect: deny}
  - {name: h, agent: night, path: a/b, ask: use, expect: allow}
  - {name: i, agent: night, door: rest, path: a/b, ask: list, expect: deny}
  - {name: j, agent: night, door: rest, path: b, ask: use, expect: deny}
  - {name: b, agent: x, path: b, ask: list, expect: allow, rule: one}
  - {name: c, agent: x, path: a/no/b, ask: list, expect: allow, rule: one}
  - {name: d, agent: x, path: a/b, ask: use, expect: allow, ttl: 15m, uses: 2}
  - {name: e, agent: x, path: a/no/b, ask: list, expect: deny, rule: two, ttl: 15m, uses: 2}
  - {name: f, agent: x, path: a/b, ask: use, to: {url: "https://refused.example"}, expect: deny}
`
	want := map[string][]string{
		"a": {"want deny, got allow"},
		"b": {"want allow, got deny", `want rule "one", got rule none`},
		"c": {"want allow, got deny", `want rule "one", got rule "two"`},
		"d": {"want ttl 15m, got ttl 1h", "want uses 2 uses, got uses 1 use"},
		"e": {"want ttl 15m, got ttl none", "want uses 2 uses, got uses none"},
		"f": {"no request may go there: refused"},
		"g": {"a rule's condition asks for the time: add now"},
		"h": nil, "i": nil, "j": nil,
	}
	for _, r := range mustParse(t, src).Test(aim) {
		if !slices.Equal(r.Wrong, want[r.Name]) {
			t.Errorf("%s: %q, want %q", r.Name, r.Wrong, want[r.Name])
		}
		delete(want, r.Name)
	}
	if len(want) > 0 {
		t.Errorf("not run: %v", want)
	}
}

// Tests decide nothing: they change neither hashes nor the canonical form.
func TestTestsAreNoRules(t *testing.T) {
	rules, _, _ := strings.Cut(tested, "tests:\n")
	with, without := mustParse(t, tested), mustParse(t, rules)
	if with.Hash() != without.Hash() || !reflect.DeepEqual(with.Rules()[0].Hash, without.Rules()[0].Hash) || strings.Contains(string(with.Format()), "tests") {
		t.Error("tests are part of the policy")
	}
	if len((*policy.Policy)(nil).Tests()) != 0 || len(without.Test(aim)) != 0 {
		t.Error("tests of nothing")
	}
}

func TestManyTests(t *testing.T) {
	var b strings.Builder
	b.WriteString("version: 1\nrules: []\ntests:\n")
	for i := range 1001 {
		fmt.Fprintf(&b, "  - {name: t%d, agent: x, path: p, ask: use, expect: deny}\n", i)
	}
	if _, err := policy.Parse("p", []byte(b.String())); err == nil || err.Error() != "p:4:3: tests has more than 1000 entries" {
		t.Error(err)
	}
}

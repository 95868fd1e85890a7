package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// example is the policy of DESIGN §4 without what comes later.
const example = `version: 1
rules:
  - name: inference
    agents: ["claude-*", "@stdio"]
    doors: [mcp, egress]
    paths: ["production/openai/*"]
    allow: [list, use]
    limits: {ttl: 15m, uses: 100, rate: 60/m}
    to:
      - {host: api.openai.com, methods: [POST], paths: ["/v1/*"]}
    shape: "sk-proj-{handle}"
  - name: no payments
    agents: ["*"]
    paths: ["production/stripe/*"]
    deny: [use, reveal, rotate, delete]
    reason: Ask in the payments channel.
  - name: names
    agents: ["ci", "claude-*"]
    paths: ["*"]
    allow: [list]
  - name: not there
    agents: ["claude-*"]
    paths: ["production/*"]
    deny: [use]
    to: [{host: "*.evil.example"}]
  - name: rotation
    agents: ["ci"]
    doors: [rest]
    paths: ["*"]
    allow: [rotate]
approvals:
  sensitive: {quorum: 1, expires: 15m}
  critical:  {quorum: 2, delay: 5m, expires: 30m}
`

func target(method, host, path string) *vault.Target {
	return &vault.Target{Scheme: "https", Host: host, Port: 443, Method: method, Path: path}
}

func TestExplain(t *testing.T) {
	p := mustParse(t, example)
	claude := policy.Subject{Agent: "claude-1", Door: policy.DoorMCP}
	ci := policy.Subject{Agent: "ci", Door: policy.DoorMCP}
	for _, c := range []struct {
		name string
		q    policy.Request
		want string
	}{
		{"issue", policy.Request{Subject: claude, Right: policy.Use, Path: "production/openai/key"}, `
agent "claude-1" may use production/openai/key through mcp: rule "inference" allows it, for 15m at most, 100 uses, at 60/m, to POST api.openai.com/v1/*.
Get a handle, and put it where the value would stand; its destination is checked when it is used.
inference: allows it
not there: denies it to *.evil.example, which is decided when a handle is used
names: allows list only
no payments: is for other paths`},
		{"use", policy.Request{Subject: claude, Right: policy.Use, Path: "production/openai/key", Target: target("POST", "api.openai.com", "/v1/chat")}, `
agent "claude-1" may use production/openai/key through mcp for POST https://api.openai.com: rule "inference" allows it, for 15m at most, 100 uses, at 60/m, to POST api.openai.com/v1/*.
Make the request; the secret's own destinations must allow it too.
inference: allows it
not there: denies it to *.evil.example only
names: allows list only
no payments: is for other paths`},
		{"other method", policy.Request{Subject: claude, Right: policy.Use, Path: "production/openai/key", Target: target("GET", "api.openai.com", "/v1/chat")}, `
agent "claude-1" may not use production/openai/key through mcp for GET https://api.openai.com: rule "inference" allows it to POST api.openai.com/v1/* only.
Send the request to an allowed destination, or ask the owner to add this one to the rule.
inference: allows it to POST api.openai.com/v1/* only
not there: denies it to *.evil.example only
names: allows list only
no payments: is for other paths`},
		{"denied destination", policy.Request{Subject: claude, Right: policy.Use, Path: "production/openai/key", Target: target("POST", "x.evil.example", "/v1/chat")}, `
agent "claude-1" may not use production/openai/key through mcp for POST https://x.evil.example: rule "not there" denies it.
Choose another secret or destination, or ask the owner about that rule.
not there: denies it
inference: allows it to POST api.openai.com/v1/* only
names: allows list only
no payments: is for other paths`},
		{"denied", policy.Request{Subject: claude, Right: policy.Use, Path: "production/stripe/key"}, `
agent "claude-1" may not use production/stripe/key through mcp: rule "no payments" denies it. Ask in the payments channel.
Choose another secret, or ask the owner about that rule.
no payments: denies it
not there: denies it to *.evil.example, which is decided when a handle is used
names: allows list only
inference: is for other paths`},
		{"other path", policy.Request{Subject: claude, Right: policy.Use, Path: "staging/openai/key"}, `
agent "claude-1" may not use staging/openai/key through mcp: rule "names" allows list only.
Ask the owner to allow use on this path.
names: allows list only
inference: is for other paths
no payments: is for other paths
not there: is for other paths`},
		{"other right", policy.Request{Subject: claude, Right: policy.Reveal, Path: "production/openai/key"}, `
agent "claude-1" may not reveal production/openai/key through mcp: rule "inference" allows list, use only.
Get a handle instead of plaintext, or ask the owner to allow reveal on this path.
inference: allows list, use only
names: allows list only
not there: denies use only
no payments: is for other paths`},
		{"other door", policy.Request{Subject: ci, Right: policy.Rotate, Path: "production/openai/key"}, `
agent "ci" may not rotate production/openai/key through mcp: rule "rotation" allows it through rest only.
Use a door that the rule names, or ask the owner to add mcp to its doors.
rotation: allows it through rest only
names: allows list only
no payments: is for other paths`},
		{"list", policy.Request{Subject: ci, Right: policy.List, Path: "production/stripe/key"}, `
agent "ci" may list production/stripe/key through mcp: rule "names" allows it.
Go ahead.
names: allows it
no payments: denies delete, reveal, rotate, use only
rotation: allows rotate only`},
		{"unknown agent", policy.Request{Subject: policy.Subject{Agent: "x", Door: policy.DoorMCP}, Right: policy.List, Path: "a"}, `
agent "x" may not list a through mcp: no rule allows this agent anything.
The owner can add a rule for it to the policy file.
no payments: is for other paths`},
		{"stdio", policy.Request{Subject: policy.Subject{Agent: "local", Stdio: true, Door: policy.DoorMCP}, Right: policy.List, Path: "a"}, `
agent "local" may not list a through mcp: no rule for this agent covers this path.
Choose a secret from list_secrets, or ask the owner to add a rule for this path.
inference: is for other paths
no payments: is for other paths`},
		{"nobody", policy.Request{Right: policy.List, Path: "a"}, `
a caller without a name may not list a: no rule allows this agent anything.
The owner can add a rule for it to the policy file.`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := explained(p.Explain(c.q)); got != strings.TrimPrefix(c.want, "\n") {
				t.Errorf("got\n%s\nwant%s", got, c.want)
			}
		})
	}
}

func explained(e policy.Explanation) string {
	lines := []string{e.Sentence, e.Next}
	for _, c := range e.Considered {
		lines = append(lines, c.Rule+": "+c.Why)
	}
	return strings.Join(lines, "\n")
}

func mustParse(tb testing.TB, src string) *policy.Policy {
	tb.Helper()
	p, err := policy.Parse("p", []byte(src))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestExplainShowsNoRuleOfOthers(t *testing.T) {
	p := mustParse(t, example)
	e := p.Explain(policy.Request{Subject: policy.Subject{Agent: "claude-1", Door: policy.DoorMCP}, Right: policy.Rotate, Path: "a"})
	if text := explained(e); strings.Contains(text, "rotation") {
		t.Error(text)
	}
}

func TestExplainConsidersAFew(t *testing.T) {
	var b strings.Builder
	b.WriteString(head)
	for i := range 100 {
		fmt.Fprintf(&b, "  - {name: r%d, agents: [a], paths: [x], allow: [use]}\n", i)
	}
	e := mustParse(t, b.String()).Explain(policy.Request{Subject: policy.Subject{Agent: "a", Door: policy.DoorMCP}, Right: policy.Use, Path: "x"})
	if len(e.Considered) != 16 {
		t.Errorf("%d rules", len(e.Considered))
	}
}

// A policy that is not there denies and says so.
func TestNoPolicy(t *testing.T) {
	q := policy.Request{Subject: policy.Subject{Agent: "a", Stdio: true, Door: policy.DoorMCP}, Right: policy.List, Path: "x"}
	for name, p := range map[string]*policy.Policy{"nil": nil, "zero": {}, "empty": mustParse(t, "version: 1\nrules: []\n")} {
		t.Run(name, func(t *testing.T) {
			if d := p.Decide(q); d.Allowed || d.Reason == "" {
				t.Errorf("%+v", d)
			}
			if e := p.Explain(q); e.Allowed || e.Sentence == "" || e.Next == "" {
				t.Errorf("%+v", e)
			}
			if r := p.Reach(q.Subject, q.Right); len(r) != 0 {
				t.Errorf("%q", r)
			}
			if len(p.Rules()) != 0 || p.Approval(vault.Critical).Quorum != 2 || len(p.Check(nil)) != 1 || len(p.Hash()) != 64 {
				t.Error("methods of an empty policy")
			}
		})
	}
}

// What a rule shows of answers is part of what it allows.
func TestExplainAnswer(t *testing.T) {
	p := mustParse(t, "version: 1\nrules:\n  - {name: a, agents: [ci], paths: [\"*\"], allow: [use], to: [{host: a.example, answer: \"fields:/id\"}, {host: b.example, answer: full}]}\n")
	e := p.Explain(policy.Request{Subject: policy.Subject{Agent: "ci", Door: policy.DoorMCP}, Right: policy.Use, Path: "x"})
	if want := `to a.example (of the answer: fields:/id), b.example.`; !strings.HasSuffix(e.Sentence, want) {
		t.Fatal(e.Sentence)
	}
}

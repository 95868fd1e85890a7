package policy_test

import (
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func TestDecide(t *testing.T) {
	p := mustParse(t, example)
	claude := policy.Subject{Agent: "claude-1", Door: policy.DoorMCP}
	openai := policy.Narrow{Host: "api.openai.com", Methods: []string{"POST"}, Paths: []vault.Glob{"/v1/*"}}
	limits := policy.Limits{TTL: 15 * time.Minute, Uses: 100, Rate: policy.Rate{Count: 60, Per: time.Minute}}
	for _, c := range []struct {
		name string
		q    policy.Request
		want policy.Decision // without hash and reason
	}{
		{
			"issue",
			policy.Request{Subject: claude, Right: policy.Use, Path: "production/openai/key"},
			policy.Decision{Allowed: true, Rule: "inference", Limits: limits, Shape: "sk-proj-{handle}", To: []policy.Narrow{openai}},
		},
		{
			"use",
			policy.Request{Subject: claude, Right: policy.Use, Path: "production/openai/key", Target: target("POST", "api.openai.com", "/v1/chat")},
			policy.Decision{Allowed: true, Rule: "inference", Limits: limits, Shape: "sk-proj-{handle}", To: []policy.Narrow{openai}},
		},
		{"use elsewhere", policy.Request{Subject: claude, Right: policy.Use, Path: "production/openai/key", Target: target("POST", "api.openai.com.evil.example", "/v1/chat")}, policy.Decision{Rule: "not there"}},
		{"use another path", policy.Request{Subject: claude, Right: policy.Use, Path: "production/openai/key", Target: target("POST", "api.openai.com", "/v2")}, policy.Decision{}},
		{"path above", policy.Request{Subject: claude, Right: policy.Use, Path: "production/openai"}, policy.Decision{}},
		{"path beside", policy.Request{Subject: claude, Right: policy.Use, Path: "production/openai2/key"}, policy.Decision{}},
		{"path in other case", policy.Request{Subject: claude, Right: policy.Use, Path: "production/OpenAI/key"}, policy.Decision{}},
		{"agent in other case", policy.Request{Subject: policy.Subject{Agent: "Claude-1", Door: policy.DoorMCP}, Right: policy.Use, Path: "production/openai/key"}, policy.Decision{}},
		{"an agent called as the group", policy.Request{Subject: policy.Subject{Agent: "@stdio", Door: policy.DoorMCP}, Right: policy.Use, Path: "production/openai/key"}, policy.Decision{}},
		{"unknown door", policy.Request{Subject: policy.Subject{Agent: "claude-1", Door: policy.DoorCLI}, Right: policy.List, Path: "a"}, policy.Decision{}},
		{"unknown right", policy.Request{Subject: claude, Right: "everything", Path: "a"}, policy.Decision{}},
		{"no path", policy.Request{Subject: claude, Right: policy.List}, policy.Decision{}},
		// The narrower rule comes first, and the wider one has no limits.
		{"list", policy.Request{Subject: claude, Right: policy.List, Path: "production/openai/key"}, policy.Decision{Allowed: true, Rule: "inference", Shape: "sk-proj-{handle}"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := p.Decide(c.q)
			if got.Reason == "" || (got.Rule == "") != (got.RuleHash == "") {
				t.Errorf("%+v", got)
			}
			got.Reason, got.RuleHash = "", ""
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("\ngot  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestMostGenerous(t *testing.T) {
	rule := func(limits string) string {
		if limits != "" {
			limits = ", limits: {" + limits + "}"
		}
		return "agents: [a], paths: [\"*\"], allow: [use]" + limits
	}
	for _, c := range []struct {
		name, a, b string
		want       policy.Limits
	}{
		{"field by field", "ttl: 1h, uses: 1", "ttl: 1m, uses: 9", policy.Limits{TTL: time.Hour, Uses: 9}},
		{"no limit is the widest", "ttl: 365d, uses: 1000000, rate: 1000000/s", "", policy.Limits{}},
		{"no field is the widest", "ttl: 1h, uses: 5", "ttl: 2h", policy.Limits{TTL: 2 * time.Hour}},
		{"rates by pace", "rate: 2/s", "rate: 100/m", policy.Limits{Rate: policy.Rate{Count: 2, Per: time.Second}}},
		{"rates by burst", "rate: 1/s", "rate: 60/m", policy.Limits{Rate: policy.Rate{Count: 60, Per: time.Minute}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, pair := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
				p := mustParse(t, head+"  - {name: x, "+rule(pair[0])+"}\n  - {name: y, "+rule(pair[1])+"}\n")
				d := p.Decide(policy.Request{Subject: policy.Subject{Agent: "a", Door: policy.DoorMCP}, Right: policy.Use, Path: "p"})
				if d.Limits != c.want {
					t.Errorf("got %+v, want %+v", d.Limits, c.want)
				}
			}
		})
	}
}

// A caller may change what it was given; the policy stays what it is.
func TestAnswersAreCopies(t *testing.T) {
	p := mustParse(t, example)
	before := p.Hash()
	q := policy.Request{Subject: policy.Subject{Agent: "claude-1", Door: policy.DoorMCP}, Right: policy.Use, Path: "production/openai/key"}
	d := p.Decide(q)
	d.To[0].Host, d.To[0].Methods[0], d.To[0].Paths[0] = "evil.example", "GET", "*"
	r := p.Rules()[0]
	r.Agents[0], r.Doors[0], r.Paths[0], r.Rights[0], r.To[0].Host, r.To[0].Methods[0] = "*", "x", "*", "x", "x", "x"
	if p.Hash() != before || p.Decide(q).To[0].Host != "api.openai.com" || p.Decide(q).To[0].Methods[0] != "POST" {
		t.Error("the policy changed")
	}
}

func TestHashes(t *testing.T) {
	p := mustParse(t, example)
	other := mustParse(t, "# a comment\n"+strings.Replace(example, "uses: 100", "uses: 101", 1))
	if p.Hash() == other.Hash() || len(p.Hash()) != 64 {
		t.Errorf("%s %s", p.Hash(), other.Hash())
	}
	a, b := p.Rules(), other.Rules()
	for i := range a {
		if len(a[i].Hash) != 12 || (a[i].Hash == b[i].Hash) == (i == 0) {
			t.Errorf("rule %s: %s %s", a[i].Name, a[i].Hash, b[i].Hash)
		}
	}
}

func TestRulesAndApprovals(t *testing.T) {
	p := mustParse(t, example)
	r := p.Rules()[1]
	want := policy.Rule{
		Name: "no payments", Line: 12, Hash: r.Hash, Agents: []string{"*"}, Doors: []policy.Door{"egress", "mcp"},
		Paths: []vault.Glob{"production/stripe/*"}, Deny: true, Rights: []policy.Right{"delete", "reveal", "rotate", "use"}, Reason: "Ask in the payments channel.",
	}
	if got := r; got.Name != want.Name || got.Line != want.Line || !reflect.DeepEqual(got.Doors, want.Doors) || !reflect.DeepEqual(got.Rights, want.Rights) || got.Reason != want.Reason || !got.Deny {
		t.Errorf("got %+v", got)
	}
}

// TestApprovals: each tier has its terms from the file or, where that says nothing
// of it, the defaults; a tier that nobody knows has the strictest.
func TestApprovals(t *testing.T) {
	sensitive := policy.Approval{Quorum: 1, Expires: 15 * time.Minute}
	critical := policy.Approval{Quorum: 2, Delay: 5 * time.Minute, Expires: 30 * time.Minute}
	own := policy.Approval{Quorum: 3, Delay: time.Minute, Expires: time.Hour}
	for name, tc := range map[string]struct {
		file                string
		sensitive, critical policy.Approval
	}{
		"nothing":   {"", sensitive, critical},
		"sensitive": {"approvals:\n  sensitive: {quorum: 3, delay: 1m, expires: 1h}\n", own, critical},
		"critical":  {"approvals:\n  critical: {quorum: 3, delay: 1m, expires: 1h}\n", sensitive, own},
	} {
		p := mustParse(t, "version: 1\nrules: []\n"+tc.file)
		for tier, want := range map[vault.Tier]policy.Approval{
			vault.Standard: {}, vault.Sensitive: tc.sensitive, vault.Critical: tc.critical, "": critical, "of tomorrow": critical,
		} {
			if got := p.Approval(tier); got != want {
				t.Errorf("%s, tier %q: %+v", name, tier, got)
			}
		}
	}
}

func TestReach(t *testing.T) {
	p := mustParse(t, head+`
  - {name: a, agents: [a], paths: ["b/*", "b/c/*", "a/x", "d*e", "f/*", "g/h/*"], allow: [list]}
  - {name: b, agents: ["*"], paths: ["f/*", "g/*"], deny: [list]}
  - {name: c, agents: [all], paths: ["*"], allow: [list]}
`)
	for agent, want := range map[string][]string{"a": {"a/x", "b/", "d"}, "all": {""}, "": nil, "z": nil} {
		if got := p.Reach(policy.Subject{Agent: agent, Door: policy.DoorMCP}, policy.List); !reflect.DeepEqual(append([]string{}, got...), append([]string{}, want...)) {
			t.Errorf("%s: got %q, want %q", agent, got, want)
		}
	}
}

// Names that come once and never again do not fill the memory, and views are
// made once for many callers.
func TestViewsAreBoundedAndShared(t *testing.T) {
	p := mustParse(t, example)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 3000 {
				q := policy.Request{Subject: policy.Subject{Agent: "claude-" + strings.Repeat("x", i%50), Stdio: i%2 == 0, Door: policy.DoorMCP}, Right: policy.List, Path: "production/openai/key"}
				if g%2 == 0 && !p.Decide(q).Allowed {
					t.Error("denied")
				}
				q.Agent = strings.Repeat("y", g+1) + strings.Repeat("z", i%1500)
				if p.Decide(q).Allowed != q.Stdio {
					t.Error("decided wrongly")
				}
			}
		})
	}
	wg.Wait()
	if keys, shared := p.Views(); keys > 4096 || shared > 8 {
		t.Errorf("%d views for %d sets of rules", keys, shared)
	}
}

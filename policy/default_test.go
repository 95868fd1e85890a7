package policy_test

import (
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy"
)

func TestDefault(t *testing.T) {
	p := mustParse(t, policy.Default)
	for _, door := range []policy.Door{policy.DoorMCP, policy.DoorREST, policy.DoorEgress, policy.DoorCLI} {
		for _, right := range policy.Rights() {
			for _, stdio := range []bool{true, false} {
				q := policy.Request{Subject: policy.Subject{Agent: "local", Stdio: stdio, Door: door}, Right: right, Path: "production/openai/api-key"}
				want := stdio && (door == policy.DoorMCP || door == policy.DoorEgress) && (right == policy.List || right == policy.Use)
				if got := p.Decide(q); got.Allowed != want {
					t.Errorf("%+v: %v", q, got.Allowed)
				}
			}
		}
	}
}

// The examples in the comments of the default are good rules.
func TestDefaultComments(t *testing.T) {
	_, examples, found := strings.Cut(policy.Default, "# More that a rule can say:\n")
	if !found {
		t.Fatal("no examples")
	}
	p := mustParse(t, policy.Default+strings.ReplaceAll(examples, "\n  # ", "\n  "))
	if n := len(p.Rules()); n != 3 {
		t.Errorf("%d rules", n)
	}
}

func TestRuleFor(t *testing.T) {
	src := policy.Default + policy.RuleFor("ci") + policy.RuleFor("A_z-9")
	p := mustParse(t, src)
	for agent, want := range map[string]bool{"ci": true, "A_z-9": true, "cy": false} {
		q := policy.Request{Subject: policy.Subject{Agent: agent, Door: policy.DoorMCP}, Right: policy.Use, Path: "a/b"}
		if p.Decide(q).Allowed != want {
			t.Error(agent)
		}
		q.Right = policy.Reveal
		if p.Decide(q).Allowed {
			t.Errorf("%s may reveal", agent)
		}
	}
}

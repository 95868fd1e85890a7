package policy_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

var errNoValue = errors.New("no value")

// conditions are conditions with their meaning in Go.
var conditions = []struct {
	when  string
	means func(policy.Request) (bool, error)
}{
	{`agent == "ci"`, func(q policy.Request) (bool, error) { return q.Agent == "ci", nil }},
	{`now.getHours("Europe/Berlin") >= 8`, func(q policy.Request) (bool, error) {
		if q.Now.IsZero() {
			return false, errNoValue
		}
		berlin, err := time.LoadLocation("Europe/Berlin")
		return err == nil && q.Now.In(berlin).Hour() >= 8, err
	}},
	{`tier == "critical"`, func(q policy.Request) (bool, error) {
		if q.Secret == nil {
			return false, errNoValue
		}
		return q.Secret.Tier == vault.Critical, nil
	}},
	{`tags["team"] == "pay"`, func(q policy.Request) (bool, error) {
		if q.Secret == nil || q.Secret.Tags["team"] == "" {
			return false, errNoValue
		}
		return q.Secret.Tags["team"] == "pay", nil
	}},
	{`"team" in tags && tags.team == "pay"`, func(q policy.Request) (bool, error) {
		if q.Secret == nil {
			return false, errNoValue
		}
		return q.Secret.Tags["team"] == "pay", nil
	}},
	{`tier != "critical" || door == "rest"`, func(q policy.Request) (bool, error) {
		switch {
		case q.Door == policy.DoorREST:
			return true, nil
		case q.Secret == nil:
			return false, errNoValue
		}
		return q.Secret.Tier != vault.Critical, nil
	}},
	{`cidr("10.0.0.0/8").containsIP(ip)`, func(q policy.Request) (bool, error) { return strings.HasPrefix(q.IP, "10."), nil }},
	{`client.startsWith("cursor")`, func(q policy.Request) (bool, error) { return strings.HasPrefix(q.Client, "cursor"), nil }},
	{`path.matches("^a/")`, func(q policy.Request) (bool, error) {
		return regexp.MatchString("^a/", string(q.Path))
	}},
	{`1 / size(client) >= 0`, func(q policy.Request) (bool, error) {
		if q.Client == "" {
			return false, errNoValue
		}
		return true, nil
	}},
	{`door == "mcp" ? true : false`, func(q policy.Request) (bool, error) { return q.Door == policy.DoorMCP, nil }},
}

// drawWhen draws a condition, or "" for none.
func drawWhen(t *rapid.T) string {
	if !rapid.Bool().Draw(t, "with a condition") {
		return ""
	}
	return conditions[rapid.IntRange(0, len(conditions)-1).Draw(t, "condition")].when
}

// drawFacts draws what conditions ask about.
func drawFacts(t *rapid.T, q *policy.Request) {
	q.Now = rapid.SampledFrom([]time.Time{
		{}, time.Date(2026, 7, 1, 6, 30, 0, 0, time.UTC), time.Date(2026, 1, 1, 6, 30, 0, 0, time.UTC), time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC),
	}).Draw(t, "now")
	q.Client = rapid.SampledFrom([]string{"", "cursor/1", "other"}).Draw(t, "client")
	q.IP = rapid.SampledFrom([]string{"", "10.1.2.3", "192.0.2.1", "::1"}).Draw(t, "ip")
	q.Secret = rapid.SampledFrom(secrets).Draw(t, "secret")
}

// secrets are what may be known of a secret.
var secrets = []*policy.Secret{
	nil,
	{},
	{Tier: vault.Standard},
	{Tier: vault.Critical},
	{Tier: vault.Sensitive, Tags: map[string]string{"team": "pay"}},
	{Tier: vault.Critical, Tags: map[string]string{"team": "web"}},
	{Tier: vault.Standard, Tags: map[string]string{"team": "pay"}},
}

// meets is the meaning of a rule's condition: without a value it is false in an
// allow rule and true in a deny rule.
func meets(r policy.Rule, q policy.Request) bool {
	if r.When == "" {
		return true
	}
	for _, c := range conditions {
		if c.when == r.When {
			holds, err := c.means(q)
			return holds || err != nil && r.Deny
		}
	}
	panic("no meaning for " + r.When)
}

// What does not need the secret does not depend on it, but for which of several
// deny rules is named.
func TestNeedsSecret(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := parse(t, drawRules(t))
		for range requestsEach {
			q := drawRequest(t)
			if p.NeedsSecret(q) {
				continue
			}
			q.Secret = nil
			first := p.Decide(q)
			for _, s := range secrets {
				q.Secret = s
				if d := p.Decide(q); d.Allowed != first.Allowed || d.Allowed && !sameDecision(d, first) {
					t.Fatalf("%+v needs %+v: %+v, %+v\n%s", q, s, first, d, p.Format())
				}
			}
		}
	})
}

func TestNeedsSecretNearThePathOnly(t *testing.T) {
	p := mustParse(t, head+`
  - {name: a, agents: [a], paths: ["a/*"], allow: [use], when: 'tier == "standard"'}
  - {name: b, agents: [a], paths: ["b/*"], allow: [use]}
  - {name: c, agents: [a], paths: ["a/off/*"], deny: [use]}
  - {name: d, agents: [a], paths: ["d/*"], allow: [use], when: 'agent == "a"'}
  - {name: e, agents: [a], paths: ["e/*"], allow: [use], to: [{host: a.example}], when: '"x" in tags'}
`)
	for _, c := range []struct {
		path  vault.Path
		agent string
		right policy.Right
		want  bool
	}{
		{"a/x", "a", policy.Use, true},
		{"a/x", "b", policy.Use, false},
		{"a/x", "a", policy.List, false},
		{"b/x", "a", policy.Use, false},
		{"a/off/x", "a", policy.Use, false},
		{"d/x", "a", policy.Use, false},
		{"e/x", "a", policy.Use, true},
		{"", "a", policy.Use, false},
	} {
		q := policy.Request{Subject: policy.Subject{Agent: c.agent, Door: policy.DoorMCP}, Right: c.right, Path: c.path}
		if got := p.NeedsSecret(q); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if (*policy.Policy)(nil).NeedsSecret(policy.Request{}) {
		t.Error("no policy needs something")
	}
}

// A refusal in front of somebody who may not know of the secret is the same
// whatever the secret is.
func TestExplainUnseen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := parse(t, drawRules(t))
		q := drawRequest(t)
		want := ""
		for _, s := range secrets {
			q.Secret = s
			e := p.ExplainUnseen(q)
			if e.Allowed || e.Rule != "" || e.RuleHash != "" || !strings.Contains(e.Sentence, "may not") || !strings.HasSuffix(e.Next, ".") {
				t.Fatalf("%+v", e)
			}
			if got := explained(e); want != "" && got != want {
				t.Fatalf("%s\n%s", want, got)
			} else {
				want = got
			}
		}
	})
}

package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// The place of an error inside a condition, in each of YAML's ways to write it.
func TestWhenErrors(t *testing.T) {
	long := strings.Repeat("x", 1100)
	for _, c := range []struct{ name, src, want string }{
		{"plain", ruleWith(`when: agent == "x" && agnt == "y"`), `p:7:27: unknown name "agnt"; did you mean agent?`},
		{"plain with a comment", ruleWith(`when: agent == "x" && agnt == "y" # agnt`), `p:7:27: unknown name "agnt"; did you mean agent?`},
		{"plain over lines", ruleWith(`when: agent == "x" &&`, `  door == "mcp" && agnt == "y"`), `p:8:24: unknown name "agnt"; did you mean agent?`},
		{"plain on the next line", ruleWith("when:", `  agent == "x" && agnt == "y"`), `p:8:23: unknown name "agnt"; did you mean agent?`},
		{"single quotes", ruleWith(`when: 'agent == "x" && agnt == "y"'`), `p:7:28: unknown name "agnt"; did you mean agent?`},
		{"doubled quotes", ruleWith(`when: 'agent == ''x'' && agnt == ''y'''`), `p:7:30: unknown name "agnt"; did you mean agent?`},
		{"double quotes", ruleWith(`when: "agent == \"x\" && agnt == \"y\""`), `p:7:30: unknown name "agnt"; did you mean agent?`},
		{"escapes", ruleWith(`when: "agent == '\x41\u00e9\U0001F600\/' &&\n agnt == 'y'"`), `p:7:51: unknown name "agnt"; did you mean agent?`},
		{"escaped line end", ruleWith(`when: "agent == 'x' && \`, `  agnt == 'y'"`), `p:8:7: unknown name "agnt"; did you mean agent?`},
		{"literal block", ruleWith("when: |", `  agent == "x" &&`, "", `  agnt == "y"`), `p:10:7: unknown name "agnt"; did you mean agent?`},
		{"folded block", ruleWith("when: >- # why", `  agent == "x" &&`, `  agnt == "y"`), `p:9:7: unknown name "agnt"; did you mean agent?`},
		{"wide characters", ruleWith(`when: agent == "é日" && agnt == "y"`), `p:7:28: unknown name "agnt"; did you mean agent?`},
		{"flow", head + `  - {name: a, agents: [x], when: 'agnt == "y"', paths: [x], allow: [use]}` + "\n", `p:3:35: unknown name "agnt"; did you mean agent?`},
		{"JSON", head + `  - {"name": "a", "agents": ["x"], "when": "agnt == \"y\"", "paths": ["x"], "allow": ["use"]}` + "\n", `p:3:45: unknown name "agnt"; did you mean agent?`},
		{"end", ruleWith(`when: agent ==`), `p:7:19: the condition ends too early`},
		{"end of block", ruleWith("when: |", "  agent ==", "", ""), `p:8:15: the condition ends too early`},
		{"end in quotes", ruleWith(`when: "agent =="`), `p:7:20: the condition ends too early`},

		{"number", ruleWith("when: 1"), `p:7:11: when must be text, not a number; put it in double quotes`},
		{"true", ruleWith("when: true"), `p:7:11: when must be text, not true or false; put it in double quotes`},
		{"list", ruleWith("when: [a]"), `p:7:11: when must be text, not a list; put it in double quotes`},
		{"empty", ruleWith(`when: ""`), `p:7:12: the condition ends too early`},
		{"nothing", ruleWith("when:"), `p:7:5: field "when" has no value; write one, or remove the field`},
		{"twice", ruleWith(`when: agent == "x"`, `when: agent == "x"`), `p:8:5: field "when" is on line 7 already; keep one of them`},
		{"control character", ruleWith(`when: "agent == 'a\u0001'"`), `p:7:11: when has a character that does not print`},
		{"right-to-left override", ruleWith(`when: "agent == 'a\u202e'"`), `p:7:11: when has a character that does not print`},
		{"not a test", ruleWith("when: agent"), `p:7:11: a condition must be true or false, not string`},
		{"types", ruleWith("when: now > 1"), `p:7:15: > does not take (timestamp, int)`},
		{"one equals sign", ruleWith(`when: agent = "x"`), `p:7:17: the condition is not CEL from here on; compare with ==`},
		{"and", ruleWith(`when: agent == "x" and door == "mcp"`), `p:7:24: the condition is not CEL from here on; write && for and`},
		{"or", ruleWith(`when: agent == "x" or door == "mcp"`), `p:7:24: the condition is not CEL from here on; write || for or`},
		{"not", ruleWith(`when: not agent == "x"`), `p:7:15: the condition is not CEL from here on; write ! for not`},
		{"function", ruleWith(`when: agent.startswith("x")`), `p:7:17: unknown name "startswith"; did you mean startsWith?`},
		{"far name", ruleWith(`when: weekday == 1`), `p:7:11: unknown name "weekday"; known are now, agent, door, path, tier, tags, client, ip, getFullYear, getMonth, getDate, getDayOfMonth, getDayOfYear, getDayOfWeek, getHours, getMinutes, getSeconds, getMilliseconds, cidr, containsIP, size, duration, int, timestamp, contains, endsWith, startsWith, matches`},
		{"field", ruleWith(`when: agent.name == "x"`), `p:7:16: only tags has fields; write tags["team"]`},
		{"time zone", ruleWith(`when: now.getHours("Europe/Berln") > 8`), `p:7:24: unknown time zone; write it like "Europe/Berlin", "UTC" or "+02:00"`},
		{"the machine's time zone", ruleWith(`when: now.getHours("Local") > 8`), `p:7:24: unknown time zone; write it like "Europe/Berlin", "UTC" or "+02:00"`},
		{"time zone from outside", ruleWith(`when: now.getHours(client) > 8`), `p:7:24: a time zone must be written out here, in quotes`},
		{"pattern", ruleWith(`when: path.matches("[")`), `p:7:24: the pattern is not RE2, or too large; write it like path.matches("^production/[a-z]+$")`},
		{"pattern too large", ruleWith(`when: path.matches("((a{100}){100}){100}")`), `p:7:24: the pattern is not RE2, or too large; write it like path.matches("^production/[a-z]+$")`},
		{"pattern from outside", ruleWith(`when: path.matches(client)`), `p:7:24: a pattern must be written out here, in quotes`},
		{"network", ruleWith(`when: cidr("10.0.0.0").containsIP(ip)`), `p:7:16: not a network; write it like cidr("10.0.0.0/8")`},
		{"network with more", ruleWith(`when: cidr("10.0.0.1/8").containsIP(ip)`), `p:7:16: the network has an address beyond its prefix; write 10.0.0.0/8`},
		{"network of nothing", ruleWith(`when: cidr("::ffff:10.0.0.0/104").containsIP(ip)`), `p:7:16: the network is one of IPv4 written as IPv6, in which no address is; write it like cidr("10.0.0.0/8")`},
		{"network from outside", ruleWith(`when: cidr(client).containsIP(ip)`), `p:7:16: a network must be written out here, in quotes`},
		{"point in time", ruleWith(`when: now < timestamp("2026-01-31")`), `p:7:27: not a point in time; write it like timestamp("2026-01-31T00:00:00Z")`},
		{"duration", ruleWith(`when: now - now < duration("3 days")`), `p:7:32: not a duration; write it like duration("36h")`},
		{"tier", ruleWith(`when: tier == "critcal"`), `p:7:19: unknown tier "critcal"; did you mean critical?`},
		{"tier in a list", ruleWith(`when: 'tier in ["standard", "none"]'`), `p:7:33: unknown tier "none"; known are standard, sensitive, critical`},
		{"door", ruleWith(`when: '"cli" != door'`), `p:7:12: unknown door "cli"; known are mcp, rest, egress`},
		{"loop", ruleWith(`when: tags.exists(k, k == "x")`), `p:7:22: a condition has no loops; use in, or several rules`},
		{"message", ruleWith(`when: 'google.protobuf.BoolValue{value: true}'`), `p:7:37: a condition builds no messages and has no loops`},
		{"no value at all", ruleWith(`when: 1 / 0 == 1`), `p:7:11: the condition has no value whatever is asked`},
		{"long", ruleWith(`when: agent == "` + long + `"`), `p:7:11: the condition is longer than 1024 characters; make several rules of it`},
		{"deep", ruleWith(`when: ` + strings.Repeat("(", 40) + "true" + strings.Repeat(")", 40)), `p:7:11: the condition is nested more than 32 deep`},
		{"many patterns", ruleWith(`when: '` + strings.Repeat(`tags["a"].matches("^[a-z]{0,150}$") && `, 8) + `true'`), `p:7:147: the pattern is not RE2, or too large; write it like path.matches("^production/[a-z]+$")`},
		{"costly", ruleWith(`when: 'path.matches("` + strings.Repeat("x", 950) + `")'`), `p:7:12: the condition may take too long; shorten its patterns and lists`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := policy.Parse("p", []byte(c.src))
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if strings.Contains(c.src, "\\\n") {
				return // an escaped line end, which has no carriage return
			}
			_, err = policy.Parse("p", []byte(strings.ReplaceAll(c.src, "\n", "\r\n")))
			if err == nil || err.Error() != c.want {
				t.Errorf("with carriage returns\ngot  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestWhen(t *testing.T) {
	p := mustParse(t, head+`
  - name: office hours
    agents: [a]
    paths: ["a/*"]
    allow: [use]
    when: |
      now.getHours("Europe/Berlin") >= 8 && now.getHours("Europe/Berlin") < 18
      && now.getDayOfWeek("Europe/Berlin") in [1, 2, 3, 4, 5]
  - name: not the payment team's
    agents: ["*"]
    paths: ["a/*"]
    deny: [use]
    when: tags.team == "pay"
    reason: Ask the payment team.
  - {name: office network, agents: [a], paths: ["b/*"], allow: [list], when: 'cidr("10.0.0.0/8").containsIP(ip) || cidr("2001:db8::/32").containsIP(ip)'}
`)
	monday := time.Date(2026, 1, 5, 7, 30, 0, 0, time.UTC) // 8:30 in Berlin
	pay := map[string]string{"team": "pay"}
	web := map[string]string{"team": "web"}
	for _, c := range []struct {
		name string
		q    policy.Request
		want string
	}{
		{"in hours", policy.Request{Right: policy.Use, Path: "a/x", Now: monday, Secret: &policy.Secret{Tags: web}}, "office hours"},
		{"before hours", policy.Request{Right: policy.Use, Path: "a/x", Now: monday.Add(-time.Hour), Secret: &policy.Secret{Tags: web}}, ""},
		{"on Sunday", policy.Request{Right: policy.Use, Path: "a/x", Now: monday.AddDate(0, 0, -1), Secret: &policy.Secret{Tags: web}}, ""},
		{"time not known", policy.Request{Right: policy.Use, Path: "a/x", Secret: &policy.Secret{Tags: web}}, ""},
		{"denied by tag", policy.Request{Right: policy.Use, Path: "a/x", Now: monday, Secret: &policy.Secret{Tags: pay}}, "-not the payment team's"},
		{"denied without the tag", policy.Request{Right: policy.Use, Path: "a/x", Now: monday, Secret: &policy.Secret{}}, "-not the payment team's"},
		{"denied when not looked up", policy.Request{Right: policy.Use, Path: "a/x", Now: monday}, "-not the payment team's"},
		{"inside", policy.Request{Subject: policy.Subject{IP: "10.1.2.3"}, Right: policy.List, Path: "b/x"}, "office network"},
		{"inside, written as IPv6", policy.Request{Subject: policy.Subject{IP: "::ffff:10.1.2.3"}, Right: policy.List, Path: "b/x"}, "office network"},
		{"inside by IPv6", policy.Request{Subject: policy.Subject{IP: "2001:db8::1%eth0"}, Right: policy.List, Path: "b/x"}, "office network"},
		{"outside", policy.Request{Subject: policy.Subject{IP: "192.0.2.1"}, Right: policy.List, Path: "b/x"}, ""},
		{"no address", policy.Request{Right: policy.List, Path: "b/x"}, ""},
		{"no real address", policy.Request{Subject: policy.Subject{IP: "10.1.2.3:80"}, Right: policy.List, Path: "b/x"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.q.Agent, c.q.Door = "a", policy.DoorMCP
			d := p.Decide(c.q)
			got := d.Rule
			if got != "" && !d.Allowed {
				got = "-" + got
			}
			if got != c.want || d.Allowed && strings.HasPrefix(got, "-") {
				t.Errorf("%+v, want %q", d, c.want)
			}
		})
	}
}

func TestExplainWhen(t *testing.T) {
	p := mustParse(t, head+`
  - {name: hours, agents: [a], paths: ["a/*"], allow: [use], when: 'now.getHours("UTC")   >= 8'}
  - {name: team, agents: [a], paths: ["b/*"], allow: [use], when: 'tags.team == "web"'}
  - {name: all, agents: [a], paths: ["b/*"], allow: [list]}
  - {name: pay, agents: [a], paths: ["b/*"], deny: [list], when: 'tags.team == "pay"', reason: Ask them.}
`)
	eight := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		q    policy.Request
		want string
	}{
		{"holds", policy.Request{Right: policy.Use, Path: "a/x", Now: eight}, `
agent "a" may use a/x through mcp: rule "hours" allows it.
Get a handle, and put it where the value would stand; its destination is checked when it is used.
hours: allows it
team: is for other paths
all: is for other paths
pay: is for other paths`},
		{"does not hold", policy.Request{Right: policy.Use, Path: "a/x", Now: eight.Add(-time.Second)}, `
agent "a" may not use a/x through mcp: rule "hours" allows it only when now.getHours("UTC") >= 8.
Try again when that is so, or ask the owner about the rule's condition.
hours: allows it only when now.getHours("UTC") >= 8
team: is for other paths
all: is for other paths
pay: is for other paths`},
		{"has no value", policy.Request{Right: policy.Use, Path: "b/x", Secret: &policy.Secret{Tier: vault.Standard}}, `
agent "a" may not use b/x through mcp: rule "team" allows it only when tags.team == "web", which has no value here.
Try again when that is so, or ask the owner about the rule's condition.
team: allows it only when tags.team == "web", which has no value here
all: allows list only
pay: denies list only
hours: is for other paths`},
		{"denied without a value", policy.Request{Right: policy.List, Path: "b/x", Secret: &policy.Secret{Tier: vault.Standard}}, `
agent "a" may not list b/x through mcp: rule "pay" denies it. Ask them.
Choose another secret, or ask the owner about that rule.
all: allows it
pay: denies it, since its condition has no value here
team: allows use only
hours: is for other paths`},
		{"not denied", policy.Request{Right: policy.List, Path: "b/x", Secret: &policy.Secret{Tags: map[string]string{"team": "web"}}}, `
agent "a" may list b/x through mcp: rule "all" allows it.
Go ahead.
all: allows it
pay: denies it only when tags.team == "pay"
team: allows use only
hours: is for other paths`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.q.Agent, c.q.Door = "a", policy.DoorMCP
			if got := explained(p.Explain(c.q)); got != strings.TrimPrefix(c.want, "\n") {
				t.Errorf("got\n%s\nwant%s", got, c.want)
			}
		})
	}
	q := policy.Request{Subject: policy.Subject{Agent: "a", Door: policy.DoorMCP}, Right: policy.List, Path: "b/x"}
	if got, want := explained(p.ExplainUnseen(q)), `agent "a" may not list b/x through mcp: the rules for this path depend on the tier or tags of the secret, and they do not allow it.
Choose a secret from list_secrets, or ask the owner to allow list on this path.
all: allows it
pay: depends on the tier or tags of the secret
team: allows use only
hours: is for other paths`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The text of a condition belongs to the rule: a change shows in its hash.
func TestWhenIsPartOfTheRule(t *testing.T) {
	a := mustParse(t, ruleWith(`when: agent == "x"`))
	b := mustParse(t, ruleWith(`when: agent == "y"`))
	c := mustParse(t, ruleWith(`when: "agent == \"x\"" # the same`))
	d := mustParse(t, ruleWith("when: |", `  agent == "x"`, "", ""))
	if a.Hash() == b.Hash() || a.Rules()[0].Hash == b.Rules()[0].Hash {
		t.Error("another condition, and the same hash")
	}
	if a.Hash() != c.Hash() || a.Hash() != d.Hash() || a.Rules()[0].When != `agent == "x"` {
		t.Errorf("the same condition, and another hash:\n%s\n%s\n%s", a.Format(), c.Format(), d.Format())
	}
}

func TestManyConditions(t *testing.T) {
	rules := func(n int) string {
		var b strings.Builder
		b.WriteString(head)
		for i := range n {
			fmt.Fprintf(&b, "  - {name: r%d, agents: [a], paths: [p], allow: [use], when: 'size(agent) == %d'}\n", i, i)
			fmt.Fprintf(&b, "  - {name: s%d, agents: [a], paths: [p], deny: [use], when: 'size(agent) == %d'}\n", i, i)
		}
		return b.String()
	}
	if _, err := policy.Parse("p", []byte(rules(1000))); err != nil {
		t.Error(err)
	}
	want := "p:2003:65: the policy has more than 1000 different conditions; compare variables, as in tags.team == agent"
	if _, err := policy.Parse("p", []byte(rules(1001))); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

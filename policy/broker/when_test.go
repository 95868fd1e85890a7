package broker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

func whenRule(rights, when string) string {
	return "version: 1\nrules:\n  - name: sometimes\n    agents: [\"*\"]\n    paths: [\"*\"]\n    allow: [" + rights + "]\n    when: '" + when + "'\n"
}

// tagged is a change that sets a tier and a team.
func tagged(tier vault.Tier, team string) vault.Change {
	c := vault.Change{Tier: &tier}
	if team != "" {
		c.Tags = &map[string]string{"team": team}
	}
	return c
}

func TestWhenHoldsByTime(t *testing.T) {
	f := newDesk(t, whenRule("use", `now.getHours("UTC") < 4`)) // the clock starts at 3:02
	base, _ := upstream(t)
	f.put(t, "a/b", vault.Change{}, base)
	text := f.issue(t, local, broker.IssueRequest{Path: "a/b", TTL: 2 * time.Hour})
	if _, err := f.HTTP(t.Context(), local, get(base, text)); err != nil {
		t.Fatal(err)
	}
	f.pass(time.Hour)
	if _, err := f.HTTP(t.Context(), local, get(base, text)); codeOf(err) != "policy_denied" || !strings.Contains(err.Error(), "only when now.getHours") {
		t.Fatalf("a handle that outlives the hours: %v", err)
	}
	if _, err := f.Issue(t.Context(), local, broker.IssueRequest{Path: "a/b"}); codeOf(err) != "policy_denied" {
		t.Fatalf("a new one: %v", err)
	}
}

func TestWhenHoldsByCaller(t *testing.T) {
	for _, c := range []struct {
		when string
		who  func(*identity.Principal)
		want bool
	}{
		{`cidr("10.0.0.0/8").containsIP(ip)`, func(p *identity.Principal) { p.Addr = "10.1.1.1" }, true},
		{`cidr("10.0.0.0/8").containsIP(ip)`, func(p *identity.Principal) { p.Addr = "192.0.2.1" }, false},
		{`cidr("10.0.0.0/8").containsIP(ip)`, func(*identity.Principal) {}, false},
		{`client.startsWith("cursor/")`, func(p *identity.Principal) { p.Client = "cursor/1.2" }, true},
		{`client.startsWith("cursor/")`, func(*identity.Principal) {}, false},
		{`agent == "local" && door == "mcp" && path == "a/b"`, func(*identity.Principal) {}, true},
	} {
		f := newDesk(t, whenRule("reveal", c.when))
		f.put(t, "a/b", vault.Change{})
		who := local
		c.who(&who)
		if _, err := f.Reveal(t.Context(), who, "a/b", vault.Latest); (err == nil) != c.want || err != nil && codeOf(err) != "policy_denied" {
			t.Errorf("%s: %v", c.when, err)
		}
	}
}

func TestWhenHoldsByTags(t *testing.T) {
	f := newDesk(t, whenRule("list, use, reveal, rotate, delete, set", `has(tags.team) && tags.team == "web"`))
	base, received := upstream(t)
	recipe := vault.Recipe("{base62:30}")
	for name, team := range map[vault.Path]string{"web/key": "web", "pay/key": "pay", "no/key": ""} {
		c := tagged(vault.Standard, team)
		c.Generate = &recipe
		f.put(t, name, c, base)
	}
	for p, want := range map[vault.Path]bool{"web/key": true, "pay/key": false, "no/key": false, "gone/key": false} {
		for name, err := range everything(t, f, local, p) {
			if (err == nil) != want || err != nil && codeOf(err) != "policy_denied" {
				t.Errorf("%s %s: %v", name, p, err)
			}
		}
	}
	text := f.issue(t, local, broker.IssueRequest{Path: "web/key"})
	if _, err := f.HTTP(t.Context(), local, get(base, text)); err != nil || len(received()) != 1 {
		t.Fatalf("with its team: %v", err)
	}
	f.put(t, "web/key", tagged(vault.Standard, "pay"), base)
	if _, err := f.HTTP(t.Context(), local, get(base, text)); codeOf(err) != "policy_denied" || len(received()) != 1 {
		t.Fatalf("a handle of a secret that changed teams: %v", err)
	}
}

// everything asks for all that an agent can do with a path without changing it
// for the next question.
func everything(t *testing.T, f *fixture, who identity.Principal, p vault.Path) map[string]error {
	t.Helper()
	ctx := t.Context()
	_, issued := f.Issue(ctx, who, broker.IssueRequest{Path: p})
	_, revealed := f.Reveal(ctx, who, p, vault.Latest)
	_, masked := f.Redacted(ctx, who, p)
	_, described := f.Describe(ctx, who, p)
	_, rotated := f.Rotate(ctx, who, broker.RotateRequest{Path: p})
	_, toSet := f.Set(ctx, who, broker.SetRequest{Path: p})
	return map[string]error{"use": issued, "reveal": revealed, "redacted": masked, "describe": described, "rotate": rotated, "set": toSet}
}

// told is what an agent is told about a path by every road.
func told(t *testing.T, f *fixture, who identity.Principal, p vault.Path) []string {
	t.Helper()
	var all []string
	for name, err := range everything(t, f, who, p) {
		if name != "set" { // to create is its own question
			all = append(all, fmt.Sprintf("%s: %#v %v", name, err, err))
		}
	}
	_, deleted := f.Delete(t.Context(), who, p, false)
	_, purged := f.Delete(t.Context(), who, p, true)
	all = append(all, fmt.Sprintf("delete: %v %v", deleted, purged))
	for _, right := range policy.Rights() {
		if right == policy.Set {
			continue
		}
		for _, url := range []string{"", "https://api.example.com/v1"} {
			said, err := f.Explain(t.Context(), who, broker.ExplainRequest{Path: p, Right: right, URL: url})
			all = append(all, fmt.Sprintf("explain %s %s: %+v %v", right, url, said, err))
		}
	}
	for i := range all {
		all[i] = strings.ReplaceAll(all[i], string(p), "PATH")
	}
	slices.Sort(all)
	return all
}

// What a condition on the secret refuses looks the same whether the secret is
// of this kind, of that kind, or not there.
func TestWhenIsNoOracle(t *testing.T) {
	rules := func(text string) string { return "version: 1\nrules:\n" + text }
	for name, text := range map[string]string{
		"allowed by tier": rules(`
  - {name: a, agents: ["*"], paths: ["*"], allow: [list, use, reveal, rotate, delete], permanent: true, when: 'tier == "standard"'}`),
		"allowed unless critical": rules(`
  - {name: a, agents: ["*"], paths: ["*"], allow: [list, use, reveal, rotate, delete], permanent: true, when: 'tier != "critical" && tier != "sensitive"'}`),
		"denied by tier": rules(`
  - {name: a, agents: ["*"], paths: ["*"], allow: [list, use, reveal, rotate, delete, token], permanent: true}
  - {name: b, agents: ["*"], paths: ["*"], deny: [list, use, reveal, rotate, delete, token], when: 'tier in ["sensitive", "critical"]', reason: Ask upstairs.}`),
		"denied by tag": rules(`
  - {name: a, agents: ["*"], paths: ["*"], allow: [list, use, reveal, rotate, delete, token], permanent: true}
  - {name: b, agents: ["*"], paths: ["*"], deny: [list, use, reveal, rotate, delete, token], when: 'has(tags.team)'}`),
		"by tag, never listed": rules(`
  - {name: a, agents: ["*"], paths: ["*"], allow: [use, reveal, rotate, delete, token], when: '!has(tags.team)'}`),
		"to one host by tag": rules(`
  - {name: a, agents: ["*"], paths: ["*"], allow: [use], to: [{host: api.example.com}], when: '!has(tags.team)'}
  - {name: b, agents: ["*"], paths: ["*"], deny: [use], to: [{host: api.example.com}], when: 'tags.team == "pay"'}`),
		"one rule names more than the other": rules(`
  - {name: a, agents: ["*"], paths: ["*"], allow: [use], when: '!has(tags.team)'}
  - {name: z, agents: ["*"], paths: ["a/*"], deny: [use], when: 'has(tags.team) && tier == "critical"', reason: Critical.}
  - {name: y, agents: ["*"], paths: ["a/*"], deny: [use], when: 'has(tags.team) && tier == "sensitive"', reason: Sensitive.}`),
	} {
		t.Run(name, func(t *testing.T) {
			f := newDesk(t, text)
			f.put(t, "a/critical", tagged(vault.Critical, "pay"), "api.example.com")
			f.put(t, "a/sensitive", tagged(vault.Sensitive, "web"), "api.example.com")
			want := told(t, f, local, "a/nothing")
			for _, p := range []vault.Path{"a/critical", "a/sensitive"} {
				if got := told(t, f, local, p); !slices.Equal(got, want) {
					for i := range got {
						if got[i] != want[i] {
							t.Errorf("%s\n%s\nfor nothing\n%s", p, got[i], want[i])
						}
					}
				}
			}
			listed, err := f.List(t.Context(), local, broker.ListRequest{})
			if err != nil || len(listed.Items) != 0 || listed.Next != "" {
				t.Errorf("a list of %d, next %q, %v", len(listed.Items), listed.Next, err)
			}
		})
	}
}

// Who may list a secret is told all there is to say.
func TestWhenSpeaksToWhoMayList(t *testing.T) {
	f := newDesk(t, `version: 1
rules:
  - {name: names, agents: ["*"], paths: ["*"], allow: [list]}
  - {name: standard, agents: ["*"], paths: ["*"], allow: [use], when: 'tier == "standard"'}
  - {name: pay, agents: ["*"], paths: ["*"], deny: [use], when: 'has(tags.team) && tags.team == "pay"', reason: Ask them.}
`)
	f.put(t, "a/critical", tagged(vault.Critical, ""), "api.example.com")
	f.put(t, "a/pay", tagged(vault.Standard, "pay"), "api.example.com")
	f.put(t, "a/fine", tagged(vault.Standard, "web"), "api.example.com")
	for p, want := range map[vault.Path]string{
		"a/critical": `only when tier == "standard".`,
		"a/pay":      `rule "pay" denies it. Ask them.`,
		"a/none":     `only when tier == "standard".`,
	} {
		_, err := f.Issue(t.Context(), local, broker.IssueRequest{Path: p})
		if codeOf(err) != "policy_denied" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", p, err)
		}
		said, explained := f.Explain(t.Context(), local, broker.ExplainRequest{Path: p, Right: policy.Use})
		if explained != nil || said.Reason != err.Error() {
			t.Errorf("%s is explained otherwise: %+v, %v", p, said, explained)
		}
	}
	if _, err := f.Issue(t.Context(), local, broker.IssueRequest{Path: "a/fine"}); err != nil {
		t.Error(err)
	}
	f.setPolicy(t, `version: 1
rules:
  - {name: names, agents: ["*"], paths: ["*"], allow: [list]}
  - {name: most, agents: ["*"], paths: ["*"], allow: [use], when: 'tier != "critical"'}
`)
	if _, err := f.Issue(t.Context(), local, broker.IssueRequest{Path: "a/none"}); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("it could be listed, and is not there: %v", err)
	}
}

// The record names the rule that decided, also where the agent is not told.
func TestWhenOnRecord(t *testing.T) {
	f := newDesk(t, `version: 1
rules:
  - {name: all, agents: ["*"], paths: ["*"], allow: [use]}
  - {name: no critical ones, agents: ["*"], paths: ["*"], deny: [use], when: 'tier == "critical"'}
`)
	f.put(t, "a/critical", tagged(vault.Critical, ""), "api.example.com")
	_, err := f.Issue(t.Context(), local, broker.IssueRequest{Path: "a/critical"})
	var denied *broker.Denied
	if !errors.As(err, &denied) || denied.Rule != "" || strings.Contains(err.Error(), "critical ones") {
		t.Errorf("the agent is told %+v", denied)
	}
	events := f.events(t)
	if last := events[len(events)-1]; last.Rule != "no critical ones" || last.Code != "policy_denied" {
		t.Errorf("on record: %+v", last)
	}
}

// An agent may create where the rules allow it for a secret without tier and
// tags, and not where a secret is that the rules keep from it.
func TestWhenSetting(t *testing.T) {
	f := newDesk(t, whenRule("set", `tier == "" || tier == "standard" && has(tags.team) && tags.team == "web"`))
	f.put(t, "a/web", tagged(vault.Standard, "web"))
	f.put(t, "a/pay", tagged(vault.Standard, "pay"))
	f.put(t, "a/critical", tagged(vault.Critical, ""))
	set := func(p vault.Path) error {
		_, err := f.Set(t.Context(), local, broker.SetRequest{Path: p, Value: secret.New([]byte("a value of an agent"))})
		return err
	}
	if err := errors.Join(set("a/new"), set("a/web")); err != nil {
		t.Error(err)
	}
	pay, critical := set("a/pay"), set("a/critical")
	if codeOf(pay) != "policy_denied" || strings.ReplaceAll(pay.Error(), "a/pay", "") != strings.ReplaceAll(critical.Error(), "a/critical", "") {
		t.Errorf("%v\n%v", pay, critical)
	}
}

func TestWhenPages(t *testing.T) {
	f := newDesk(t, whenRule("list", `has(tags.team) && tags.team == "web" && tier != "critical"`))
	var visible []vault.Path
	for i := range 120 {
		tier, team := vault.Tiers()[i%3], []string{"web", "pay", "", "web"}[i%4]
		p := vault.Path(fmt.Sprintf("a/%03d", i))
		f.put(t, p, tagged(tier, team))
		if tier != vault.Critical && team == "web" {
			visible = append(visible, p)
		}
	}
	for _, limit := range []int{0, 1, 7, 40, 5000} {
		if got, _ := pages(t, f, local, broker.ListRequest{Limit: limit}); !slices.Equal(got, visible) {
			t.Errorf("limit %d: %d secrets, want %d", limit, len(got), len(visible))
		}
	}
}

func TestExplainAtAnotherTime(t *testing.T) {
	f := newDesk(t, whenRule("list", `now.getHours("UTC") >= 12`))
	f.put(t, "a/b", vault.Change{})
	for at, want := range map[time.Time]bool{{}: false, time.Date(2026, 1, 1, 13, 0, 0, 0, time.UTC): true} {
		said, err := f.Explain(t.Context(), local, broker.ExplainRequest{Path: "a/b", Right: policy.List, Now: at})
		if err != nil || said.Allowed != want {
			t.Errorf("%s: %+v, %v", at, said, err)
		}
	}
}

// turning is a vault in which something happens after each look.
type turning struct {
	broker.Inside
	after func()
}

func (v turning) Describe(ctx context.Context, p vault.Path) (vault.Metadata, error) {
	m, err := v.Inside.Describe(ctx, p)
	v.after()
	return m, err
}

// What was decided about one secret is not done to another: the transaction
// looks again.
func TestWhenTheSecretChangesMeanwhile(t *testing.T) {
	f := newDesk(t, whenRule("use, reveal, rotate, delete, set", `tier != "critical" && !has(tags.team)`))
	config := f.config
	change := func() {}
	config.Vault = turning{f.config.Vault.(broker.Inside), func() { change() }}
	b, err := broker.New(config)
	if err != nil {
		t.Fatal(err)
	}
	recipe := vault.Recipe("{base62:30}")
	for i, with := range []vault.Change{tagged(vault.Critical, ""), tagged(vault.Standard, "web")} {
		for name, do := range map[string]func(p vault.Path) error{
			"use": func(p vault.Path) error {
				_, err := b.Issue(t.Context(), local, broker.IssueRequest{Path: p})
				return err
			},
			"reveal": func(p vault.Path) error { _, err := b.Reveal(t.Context(), local, p, vault.Latest); return err },
			"rotate": func(p vault.Path) error {
				_, err := b.Rotate(t.Context(), local, broker.RotateRequest{Path: p})
				return err
			},
			"delete": func(p vault.Path) error { _, err := b.Delete(t.Context(), local, p, false); return err },
			"set": func(p vault.Path) error {
				_, err := b.Put(t.Context(), local, p, vault.Change{Value: secret.New([]byte("an agent's own value"))})
				return err
			},
		} {
			p := vault.Path(fmt.Sprintf("a/%s-%d", name, i))
			f.put(t, p, vault.Change{Generate: &recipe}, "api.example.com")
			change = func() {
				change = func() {}
				f.put(t, p, with)
			}
			if err := do(p); codeOf(err) != "policy_denied" || !strings.Contains(err.Error(), "changed while") {
				t.Errorf("%s: %v", p, err)
			}
		}
	}
	if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

package policy

import (
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// localAgent is the name of the agent over stdio that gives none.
const localAgent = "local"

// tests reads the table of tests.
func (r *reader) tests(f field) []Test {
	nodes := r.items(f, "{name: …, agent: …, path: …, ask: use, expect: allow}")
	if len(nodes) > maxList {
		r.fail(start(f.value), "", "tests has more than %d entries", maxList)
		return nil
	}
	tests := make([]Test, 0, len(nodes))
	lines := make(map[string]int, len(nodes))
	for _, n := range nodes {
		tests = append(tests, r.test(n, lines))
		if r.err != nil {
			return nil
		}
	}
	return tests
}

func (r *reader) test(n ast.Node, lines map[string]int) Test {
	t := Test{Line: start(n).line, Method: "GET"}
	q := &t.Request
	q.Door, q.Secret = DoorMCP, &Secret{Tier: vault.Standard}
	seen := map[string]position{}
	for _, f := range r.fields(n, aTest) {
		seen[f.name] = f.at
		switch f.name {
		case "name":
			t.Name = r.label(f, maxNameBytes)
			if line, taken := lines[t.Name]; taken {
				r.fail(start(f.value), "give each test its own name", "test name %s is taken on line %d already", quote(t.Name), line)
			}
			lines[t.Name] = start(f.value).line
		case "agent":
			q.Agent = r.oneAgent(f)
		case "stdio":
			q.Stdio = r.yes(f)
		case "door":
			q.Door = oneOf(r, f.value, "door", Doors())
		case "client":
			q.Client = r.label(f, maxNameBytes)
		case "ip":
			q.IP = r.address(f)
		case "now":
			q.Now = r.moment(f)
		case "tier":
			q.Secret.Tier = oneOf(r, f.value, "tier", append(vault.Tiers(), noSecret))
		case "tags":
			q.Secret.Tags = r.tags(f)
		case "path":
			q.Path = r.onePath(f)
		case "ask":
			q.Right = oneOf(r, f.value, "right", Rights())
		case "to":
			t.Method, t.URL = r.request(f)
		case "expect":
			t.Allow = oneOf(r, f.value, "outcome", []string{"allow", "deny"}) == "allow"
		case "rule":
			t.Rule = r.label(f, maxNameBytes)
		case "ttl":
			t.TTL = r.duration(f)
		case "uses":
			t.Uses = r.number(f, 1, maxCount)
		}
	}
	for _, name := range []string{"name", "agent", "path", "ask", "expect"} {
		if _, there := seen[name]; !there {
			r.fail(start(n), "add "+name+":", "a test has no %s", name)
		}
	}
	if to, there := seen["to"]; there && q.Right != Use {
		r.fail(to, "remove it", "a test has to without ask: use, which alone has a destination")
	}
	if q.Agent == stdioAgents {
		q.Agent = localAgent
	}
	q.Stdio = q.Stdio || q.Agent == localAgent && q.Door == DoorMCP
	if q.Secret.Tier == noSecret {
		q.Secret.Tier = ""
		if len(q.Secret.Tags) > 0 {
			r.fail(start(n), "remove one of them", "a test has tags and tier: none, which is no secret")
		}
	}
	return t
}

// noSecret is the tier of a test about a path where no secret is.
const noSecret vault.Tier = "none"

func (r *reader) oneAgent(f field) string {
	s := r.agent(f.value)
	if strings.Contains(s, "*") {
		r.fail(start(f.value), "write one name", "the agent of a test is one agent")
	}
	return s
}

func (r *reader) onePath(f field) vault.Path {
	p, err := vault.ParsePath(r.text(f.value, f.name))
	if err != nil {
		r.fail(start(f.value), "paths look like production/openai/api-key", "%s", err.Error())
	}
	return p
}

func (r *reader) address(f field) string {
	s := r.text(f.value, f.name)
	if _, err := netip.ParseAddr(s); err != nil {
		r.fail(start(f.value), "write it without a port, like 10.1.2.3", "ip is not an address")
	}
	return s
}

func (r *reader) moment(f field) time.Time {
	s := r.text(f.value, f.name)
	t, err := time.Parse(time.RFC3339, s)
	// It takes more than RFC 3339 has: one digit of an hour, and a comma.
	if err != nil || s[len("2026-01-31T08")] != ':' || strings.Contains(s, ",") {
		r.fail(start(f.value), "write it like 2026-01-31T08:00:00+01:00", "now is not a point in time")
	}
	return t
}

func (r *reader) tags(f field) map[string]string {
	tags := map[string]string{}
	for _, tag := range r.entries(f.value, "tags") {
		tags[tag.name] = r.text(tag.value, "a tag")
	}
	there := vault.Metadata{Version: 1}
	if _, err := (vault.Change{Tags: &tags}).Apply(there, time.Time{}); err != nil {
		r.fail(start(f.value), "", "%s", err.Error())
	}
	return tags
}

// request reads where a value would go. Whether such a request may be made is
// found when the test runs.
func (r *reader) request(f field) (method, to string) {
	method = "GET"
	for _, f := range r.fields(f.value, toOfTest) {
		switch f.name {
		case "method":
			method = r.method(f.value)
		case "url":
			to = r.text(f.value, f.name)
			if u, err := url.Parse(to); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
				r.fail(start(f.value), `write it like "https://api.openai.com/v1/models"`, "url is not a URL")
			}
		}
	}
	if to == "" {
		r.fail(f.at, `add url: "https://…"`, "to names no url")
	}
	return method, to
}

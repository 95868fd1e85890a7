package policy_test

import (
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// In case of doubt a deny rule matches and an allow rule does not.
func TestToFailsClosed(t *testing.T) {
	for name, c := range map[string]struct {
		to, host, path string
		allow, deny    bool // whether such a rule matches
	}{
		"a plain name":                   {`{host: api.example.com}`, "api.example.com", "/", true, true},
		"a name below":                   {`{host: "*.example.com"}`, "a.b.example.com", "/", true, true},
		"below a public suffix":          {`{host: "*.amazonaws.com"}`, "bucket.s3.amazonaws.com", "/", false, true},
		"a public suffix itself":         {`{host: "*.amazonaws.com"}`, "s3.amazonaws.com", "/", false, true},
		"another name":                   {`{host: "*.amazonaws.com"}`, "evilamazonaws.com", "/", false, false},
		"a path":                         {`{host: a.example, paths: ["/v1/admin*"]}`, "a.example", "/v1/admin/users", true, true},
		"a parameter inside":             {`{host: a.example, paths: ["/v1/admin*"]}`, "a.example", "/v1;x=1/admin", false, true},
		"parameters everywhere":          {`{host: a.example, paths: ["/v1/admin"]}`, "a.example", "/v1;a;b=c/admin;d", false, true},
		"a parameter at the end":         {`{host: a.example, paths: ["/v1/admin"]}`, "a.example", "/v1/admin;", false, true},
		"an escaped semicolon":           {`{host: a.example, paths: ["/v1/admin"]}`, "a.example", "/v1%3Bx/admin", false, true},
		"another escape":                 {`{host: a.example, paths: ["/v1/@admin"]}`, "a.example", "/v1/%40admin", false, true},
		"an escape and a parameter":      {`{host: a.example, paths: ["/v1/@admin"]}`, "a.example", "/v1;x/%40admin", false, true},
		"a rule that means it literally": {`{host: a.example, paths: ["/v1;x=1/admin"]}`, "a.example", "/v1;x=1/admin", true, true},
		"another path":                   {`{host: a.example, paths: ["/v1/admin"]}`, "a.example", "/v1/users;admin", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			q := policy.Request{
				Subject: policy.Subject{Agent: "ci", Door: policy.DoorMCP}, Right: policy.Use, Path: "a",
				Target: &vault.Target{Scheme: "https", Host: c.host, Port: 443, Method: "GET", Path: c.path},
			}
			const every = "  - {name: every, agents: [ci], paths: ['*'], allow: [use]}\n"
			if got := parse(t, []string{"  - {name: a, agents: [ci], paths: ['*'], allow: [use], to: [" + c.to + "]}\n"}).Decide(q).Allowed; got != c.allow {
				t.Errorf("an allow rule matches: %v", got)
			}
			denies := parse(t, []string{every, "  - {name: d, agents: [ci], paths: ['*'], to: [" + c.to + "], deny: [use]}\n"})
			if got := denies.Decide(q).Allowed; got == c.deny {
				t.Errorf("a deny rule matches: %v", !got)
			}
			if e := denies.Explain(q); e.Allowed == c.deny {
				t.Errorf("explained as allowed: %v", e.Allowed)
			}
		})
	}
	for _, host := range []string{"*.com", "*.github.io", "*.co.uk"} {
		p := parse(t, []string{"  - {name: d, agents: [ci], paths: ['*'], deny: [use], to: [{host: '" + host + "'}]}\n"})
		if got := p.Rules()[0].To[0].Host; got != host {
			t.Errorf("%s was read as %s", host, got)
		}
	}
}

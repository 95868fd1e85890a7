package policy_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// FuzzParse: whatever the bytes, there is a policy or an error with a place
// inside the file. A policy's canonical form reads back as the same policy,
// byte for byte, and decides the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(policy.Default + policy.RuleFor("ci")))
	f.Add(mustParse(f, example).Format())
	f.Add([]byte(tested))
	for _, c := range conditions {
		f.Add([]byte(ruleWith("when: '" + c.when + "'")))
		f.Add([]byte(ruleWith("when: |", "  "+c.when)))
	}
	for _, c := range brokenTests {
		f.Add([]byte(c.src))
	}
	for _, c := range broken {
		if len(c.src) < 2000 {
			f.Add([]byte(c.src))
		}
	}
	for _, s := range []string{"{", "[", "- ", "a: |\n", "a: >-\n \n", "\"\\u", "'", "? ", "!!", "%", "--- |", "...", "a: b: c", "{a, b: c}", "[a: b]", "- - - a", "a:\n- b\n- c", "<<: *a", "~: ~"} {
		f.Add([]byte(s))
		f.Add([]byte(head + "  - name: " + s + "\n    agents: [a]\n"))
		f.Add([]byte(ruleWith("reason: "+s, s)))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 1<<16 {
			return
		}
		p, err := policy.Parse("f", src)
		if err != nil {
			var syntax *policy.SyntaxError
			if !errors.As(err, &syntax) || p != nil || syntax.Msg == "" {
				t.Fatalf("%T %v %v", err, err, p)
			}
			lines := bytes.Count(src, []byte("\n")) + 1
			if syntax.Line < 1 || syntax.Line > lines || syntax.Column < 1 || syntax.Column > len(src)+2 {
				t.Fatalf("%v is outside of the file of %d lines", err, lines)
			}
			return
		}
		text := p.Format()
		again, err := policy.Parse("f", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !bytes.Equal(again.Format(), text) || again.Hash() != p.Hash() {
			t.Fatalf("not canonical:\n%s\n%s", text, again.Format())
		}
		for _, r := range p.Rules() {
			q := policy.Request{Subject: policy.Subject{Agent: r.Agents[0], Stdio: true, Door: r.Doors[0]}, Right: r.Rights[0], Path: vault.Path(r.Paths[0])}
			if d := p.Decide(q); d.Allowed != again.Decide(q).Allowed || len(q.Path) < 20 && !conditional(p) && d.Allowed != oracle(p.Rules(), q).Allowed {
				t.Fatalf("%+v: %+v", q, d)
			}
		}
	})
}

// conditional reports whether a rule has a condition, whose meaning in Go is not
// known here.
func conditional(p *policy.Policy) bool {
	return slices.ContainsFunc(p.Rules(), func(r policy.Rule) bool { return r.When != "" })
}

package policy_test

import (
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func TestPermanent(t *testing.T) {
	p := mustParse(t, head+`
  - {name: scratch, agents: [a], paths: ["scratch/*", "both"], allow: [delete, list], permanent: true}
  - {name: trash, agents: [a], paths: ["trash/*", "both", "no"], allow: [delete], permanent: false}
  - {name: kept, agents: [a], paths: ["scratch/kept/*"], deny: [delete]}
`)
	for _, c := range []struct {
		path               vault.Path
		right              policy.Right
		allowed, permanent bool
		says               string
	}{
		{"scratch/x", policy.Delete, true, true, `rule "scratch" allows it, also for good. Delete it; it goes to the trash unless permanent is asked for.`},
		{"trash/x", policy.Delete, true, false, `rule "trash" allows it. Delete it; it goes to the trash, where the owner can restore it.`},
		{"both", policy.Delete, true, true, "also for good"},
		{"scratch/kept/x", policy.Delete, false, false, `rule "kept" denies it`},
		{"scratch/x", policy.List, true, false, `rule "scratch" allows it. Go ahead.`},
	} {
		t.Run(string(c.path)+" "+string(c.right), func(t *testing.T) {
			q := policy.Request{Subject: policy.Subject{Agent: "a", Door: policy.DoorMCP}, Right: c.right, Path: c.path}
			e := p.Explain(q)
			if e.Allowed != c.allowed || e.Permanent != c.permanent || !strings.Contains(e.Sentence+" "+e.Next, c.says) {
				t.Errorf("%+v", e)
			}
		})
	}
}

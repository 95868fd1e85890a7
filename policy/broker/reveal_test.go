package broker_test

import (
	"errors"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// TestSecretOrNamespace: what a path names is found out by reading it, and only a
// reading of a secret, or of nothing at all, is on record.
func TestSecretOrNamespace(t *testing.T) {
	f := newDesk(t, `
version: 1
rules:
  - {name: all of p, agents: [claude], doors: [rest], paths: ["p/*"], allow: [list, reveal]}
  - {name: the names of q, agents: [claude], doors: [rest], paths: ["q/*"], allow: [list]}
`)
	who := f.register(t, identity.NewAgent{Name: "claude"})
	f.put(t, "p/a/key", vault.Change{})
	f.put(t, "q/a/key", vault.Change{})
	f.put(t, "r/a/key", vault.Change{})
	gone := f.register(t, identity.NewAgent{Name: "gone"})
	if err := f.RevokeAgent(t.Context(), owner, "gone"); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		who      identity.Principal
		p        vault.Path
		err      error
		code     string
		recorded string
	}{
		"a secret":                           {who, "p/a/key", nil, "", "ok"},
		"a namespace":                        {who, "p/a", broker.ErrNamespace, "", ""},
		"nothing":                            {who, "p/none", vault.ErrNotFound, "", "failed"},
		"the start of a name":                {who, "p/a/k", vault.ErrNotFound, "", "failed"},
		"below a secret":                     {who, "p/a/key/x", vault.ErrNotFound, "", "failed"},
		"a namespace without the right":      {who, "q/a", broker.ErrNamespace, "", ""},
		"a secret without the right":         {who, "q/a/key", nil, "policy_denied", "denied"},
		"a namespace that is not to be seen": {who, "r/a", nil, "policy_denied", "denied"},
		"nothing without the right":          {who, "r/none", nil, "policy_denied", "denied"},
		"a namespace, by the owner":          {owner, "r/a", broker.ErrNamespace, "", ""},
		"a secret, by the owner":             {owner, "r/a/key", nil, "", "ok"},
		"a namespace, by one who is revoked": {gone, "p/a", identity.ErrUnauthenticated, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(f.events(t))
			s, err := f.RevealUnlessNamespace(t.Context(), tt.who, tt.p)
			if codeOf(err) != tt.code || tt.code == "" && !errors.Is(err, tt.err) || err == nil != (s.Path == tt.p) {
				t.Errorf("%+v, %v", s.Metadata, err)
			}
			recorded := ""
			if all := f.events(t); len(all) > before {
				recorded = all[len(all)-1].Outcome
			}
			if recorded != tt.recorded {
				t.Errorf("recorded %q, want %q", recorded, tt.recorded)
			}
		})
	}
}

package broker_test

import (
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

const (
	setsOnly     = "version: 1\nrules:\n  - {name: r, agents: [\"*\"], doors: [rest], paths: [\"*\"], allow: [set, token]}\n"
	setsAndLists = "version: 1\nrules:\n  - {name: r, agents: [\"*\"], doors: [rest], paths: [\"*\"], allow: [set, token, list]}\n"
)

// TestUnseenIsNotAskedFor: who may set and not list a guarded path learns nothing of
// it, and nobody is asked: an agent, and a token of one. Once the agent may list it
// people are asked, also for a token that is there to write alone.
func TestUnseenIsNotAskedFor(t *testing.T) {
	for name, caller := range map[string]func(*testing.T, *fixture, identity.Principal) identity.Principal{
		"agent": func(_ *testing.T, _ *fixture, who identity.Principal) identity.Principal { return who },
		"token": func(t *testing.T, f *fixture, who identity.Principal) identity.Principal {
			t.Helper()
			writer, _ := f.token(t, who, broker.TokenRequest{Scopes: scopes(t, "secrets:write:*")})
			return writer
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newDesk(t, setsOnly)
			ada := f.admin(t, "ada")
			who := caller(t, f, f.register(t, identity.NewAgent{Name: "claude"}))
			f.guarded(t, "p/key", vault.Sensitive)
			set := f.deeds("p/key")["set"]
			imported := func() error {
				change := vault.Change{Value: secret.New([]byte("the next value"))}
				_, err := f.Import(t.Context(), who, broker.ImportRequest{Items: []broker.ImportItem{{Path: "p/key", Change: change}}, Replace: true})
				return err
			}
			wantDenied(t, set(t.Context(), who), broker.Unavailable)
			wantDenied(t, imported(), broker.Unavailable)
			if page, err := f.Approvals(t.Context(), ada, approval.Query{}); err != nil || len(page.Items) != 0 {
				t.Errorf("%+v, %v", page, err)
			}
			f.setPolicy(t, setsAndLists)
			id := wantDenied(t, set(t.Context(), who), broker.ApprovalRequired).Approval
			if again := wantDenied(t, imported(), broker.ApprovalRequired); again.Approval != id {
				t.Errorf("asked twice for one change: %s and %s", id, again.Approval)
			}
			if _, err := f.Approve(t.Context(), ada, id, ""); err != nil {
				t.Fatal(err)
			}
			if err := set(t.Context(), who); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestATokenToWriteIsToldWhatItsAgentIs: what is in the way of a change, and nothing
// that it could read.
func TestATokenToWriteIsToldWhatItsAgentIs(t *testing.T) {
	f := newDesk(t, setsAndLists)
	writer, _ := f.token(t, f.register(t, identity.NewAgent{Name: "claude"}), broker.TokenRequest{Scopes: scopes(t, "secrets:write:*")})
	f.put(t, "p/gone", vault.Change{Tier: new(vault.Sensitive)})
	if _, err := f.Delete(t.Context(), owner, "p/gone", false); err != nil {
		t.Fatal(err)
	}
	_, err := f.Put(t.Context(), writer, "p/gone", vault.Change{Value: secret.New([]byte("value"))})
	wantDenied(t, err, broker.InTrash)
	_, err = f.Put(t.Context(), writer, "p/there", vault.Change{Value: secret.New([]byte("value")), Tier: new(vault.Standard), Mode: vault.Create})
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Set(t.Context(), writer, broker.SetRequest{Path: "p/there", Value: secret.New([]byte("value"))})
	if err != nil || !got.Shown || got.Metadata.Version != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = f.Describe(t.Context(), writer, "p/there")
	wantDenied(t, err, broker.ScopeDenied)
}

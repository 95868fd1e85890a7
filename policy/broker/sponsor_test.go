package broker_test

import (
	"errors"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// oneEach has a quorum of one for whatever is guarded.
const oneEach = allowEverything + "approvals: {critical: {quorum: 1, expires: 15m}}\n"

// sponsored is a desk on which ada has had in her hands what who asks with; bob is
// another admin.
type sponsored struct {
	*fixture
	ada, bob, who identity.Principal
}

// addedBy is an agent that an admin registers.
func (s *sponsored) addedBy(tb testing.TB, admin identity.Principal, name string) identity.Principal {
	tb.Helper()
	key, err := s.AddAgent(tb.Context(), admin, identity.NewAgent{Name: name})
	if err != nil {
		tb.Fatal(err)
	}
	return s.by(tb, key)
}

// issuedBy is a token of an agent that somebody issues.
func (s *sponsored) issuedBy(tb testing.TB, who identity.Principal, scope, agent string) identity.Principal {
	tb.Helper()
	issued, err := s.IssueToken(tb.Context(), who, broker.TokenRequest{Scopes: s.scopes(tb, scope), For: agent})
	if err != nil {
		tb.Fatal(err)
	}
	return s.by(tb, issued.Text)
}

func (*sponsored) scopes(tb testing.TB, texts ...string) identity.Scopes {
	tb.Helper()
	scopes, err := identity.ParseScopes(texts)
	if err != nil {
		tb.Fatal(err)
	}
	return scopes
}

// handedOut are the ways in which an admin has in its hands what it then asks with,
// before there is anything guarded.
var handedOut = map[string]func(testing.TB, *sponsored) identity.Principal{
	"an agent it registered": func(tb testing.TB, s *sponsored) identity.Principal {
		tb.Helper()
		return s.addedBy(tb, s.ada, "x")
	},
	"an agent it registered anew": func(tb testing.TB, s *sponsored) identity.Principal {
		tb.Helper()
		s.register(tb, identity.NewAgent{Name: "x"})
		if err := s.RevokeAgent(tb.Context(), s.ada, "x"); err != nil {
			tb.Fatal(err)
		}
		return s.addedBy(tb, s.ada, "x")
	},
	"a token of an agent it registered": func(tb testing.TB, s *sponsored) identity.Principal {
		tb.Helper()
		return s.issuedBy(tb, s.addedBy(tb, s.ada, "x"), "*", "")
	},
	"a token it issued for the owner's agent": func(tb testing.TB, s *sponsored) identity.Principal {
		tb.Helper()
		s.register(tb, identity.NewAgent{Name: "x"})
		return s.issuedBy(tb, s.ada, "*", "x")
	},
	"a token that another issued for its agent": func(tb testing.TB, s *sponsored) identity.Principal {
		tb.Helper()
		s.addedBy(tb, s.ada, "x")
		return s.issuedBy(tb, owner, "*", "x")
	},
	"a token that others approved for less": func(tb testing.TB, s *sponsored) identity.Principal {
		tb.Helper()
		s.register(tb, identity.NewAgent{Name: "x"})
		s.guarded(tb, "q/key", vault.Sensitive)
		wanted := broker.TokenRequest{Scopes: s.scopes(tb, "*"), For: "x"}
		_, err := s.IssueToken(tb.Context(), s.ada, wanted)
		id := wantDenied(tb, err, broker.ApprovalRequired).Approval
		if _, err := s.Approve(tb.Context(), s.bob, id, ""); err != nil {
			tb.Fatal(err)
		}
		_, issued, err := s.Claim(tb.Context(), s.ada, id)
		if err != nil || issued == nil || issued.Tier != vault.Sensitive {
			tb.Fatal(issued, err)
		}
		return s.by(tb, issued.Text)
	},
	"an agent of its own from before it got another key": func(tb testing.TB, s *sponsored) identity.Principal {
		tb.Helper()
		who := s.addedBy(tb, s.ada, "x")
		if err := s.RevokeAdmin(tb.Context(), owner, "ada"); err != nil {
			tb.Fatal(err)
		}
		s.ada = s.admin(tb, "ada")
		return who
	},
}

// TestOneKeyIsNoQuorum: where one admin is enough, nobody is that admin who could
// also be the one who asks; another admin is, and who could be may still say no.
func TestOneKeyIsNoQuorum(t *testing.T) {
	for way, handOut := range handedOut {
		for name := range (&fixture{}).deeds("") {
			t.Run(way+" "+name, func(t *testing.T) {
				s := &sponsored{fixture: newDesk(t, oneEach)}
				s.ada, s.bob = s.admin(t, "ada"), s.admin(t, "bob")
				s.who = handOut(t, s)
				s.guarded(t, "p/key", vault.Critical)
				deed := s.deeds("p/key")[name]
				id := wantDenied(t, deed(t.Context(), s.who), broker.ApprovalRequired).Approval
				if _, err := s.Approve(t.Context(), s.ada, id, ""); !errors.Is(err, approval.ErrOwnRequest) {
					t.Fatalf("approved by who could ask it: %v", err)
				}
				wantDenied(t, deed(t.Context(), s.who), broker.ApprovalRequired)
				if _, err := s.Approve(t.Context(), s.bob, id, ""); err != nil {
					t.Fatal(err)
				}
				if err := deed(t.Context(), s.who); err != nil {
					t.Fatal(err)
				}
				if name == "delete" {
					return
				}
				id = wantDenied(t, deed(t.Context(), s.who), broker.ApprovalRequired).Approval
				if r, err := s.Deny(t.Context(), s.ada, id, "mine, and wrong"); err != nil || r.Status != approval.Denied {
					t.Errorf("%s, %v", r.Status, err)
				}
			})
		}
	}
}

// TestOneKeyIsNoQuorumForTokens: nor for a token that reads what is guarded.
func TestOneKeyIsNoQuorumForTokens(t *testing.T) {
	s := &sponsored{fixture: newDesk(t, oneEach)}
	s.ada, s.bob = s.admin(t, "ada"), s.admin(t, "bob")
	s.who = s.addedBy(t, s.ada, "x")
	value := s.guarded(t, "p/key", vault.Sensitive)
	_, err := s.IssueToken(t.Context(), s.who, broker.TokenRequest{Scopes: s.scopes(t, "secrets:read:p/*")})
	id := wantDenied(t, err, broker.ApprovalRequired).Approval
	if _, err := s.Approve(t.Context(), s.ada, id, ""); !errors.Is(err, approval.ErrOwnRequest) {
		t.Fatalf("approved by who registered the agent: %v", err)
	}
	if _, err := s.Approve(t.Context(), s.bob, id, ""); err != nil {
		t.Fatal(err)
	}
	_, issued, err := s.Claim(t.Context(), s.who, id)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Reveal(t.Context(), s.by(t, issued.Text), "p/key", vault.Latest); err != nil || string(got.Value.Reveal()) != value {
		t.Error(err)
	}
}

// TestOneKeyCountsOnce: where two are needed, who could be the one who asks is
// none of them; and a new key under the same name is no second vote.
func TestOneKeyCountsOnce(t *testing.T) {
	s := &sponsored{fixture: newDesk(t, allowEverything)}
	s.ada, s.bob = s.admin(t, "ada"), s.admin(t, "bob")
	eve := s.admin(t, "eve")
	s.who = s.addedBy(t, s.ada, "x")
	s.guarded(t, "p/key", vault.Critical)
	deed := s.deeds("p/key")["use"]
	id := wantDenied(t, deed(t.Context(), s.who), broker.ApprovalRequired).Approval
	if _, err := s.Approve(t.Context(), s.bob, id, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Approve(t.Context(), s.ada, id, ""); !errors.Is(err, approval.ErrOwnRequest) {
		t.Fatal(err)
	}
	if err := s.RevokeAdmin(t.Context(), owner, "bob"); err != nil {
		t.Fatal(err)
	}
	again := s.admin(t, "bob")
	if r, err := s.Approve(t.Context(), again, id, ""); err != nil || r.Agreed() != 1 || r.Status != approval.Pending {
		t.Fatalf("%+v, %v", r, err)
	}
	s.pass(5 * time.Minute)
	wantDenied(t, deed(t.Context(), s.who), broker.ApprovalRequired)
	if _, err := s.Approve(t.Context(), eve, id, ""); err != nil {
		t.Fatal(err)
	}
	s.pass(5 * time.Minute)
	if err := deed(t.Context(), s.who); err != nil {
		t.Error(err)
	}
}

// TestTakenOverAgent: an admin approves what the owner's agent asks for, and then
// takes the agent's name over: what it asked for is over.
func TestTakenOverAgent(t *testing.T) {
	s := &sponsored{fixture: newDesk(t, oneEach)}
	s.ada = s.admin(t, "ada")
	s.who = s.register(t, identity.NewAgent{Name: "x"})
	s.guarded(t, "p/key", vault.Sensitive)
	deed := s.deeds("p/key")["reveal"]
	id := wantDenied(t, deed(t.Context(), s.who), broker.ApprovalRequired).Approval
	if _, err := s.Approve(t.Context(), s.ada, id, ""); err != nil {
		t.Fatal(err)
	}
	if err := s.RevokeAgent(t.Context(), s.ada, "x"); err != nil {
		t.Fatal(err)
	}
	who := s.addedBy(t, s.ada, "x")
	again := wantDenied(t, deed(t.Context(), who), broker.ApprovalRequired).Approval
	if again == id {
		t.Fatal("the request of another registration")
	}
	for _, one := range []string{id, again} {
		if _, err := s.Approve(t.Context(), s.ada, one, ""); !errors.Is(err, approval.ErrOwnRequest) {
			t.Errorf("%s: %v", one, err)
		}
	}
}

// TestVotesAreCountedWhenUsed: an approval that was there when its agent came into
// the hands of who gave it, by a way around [broker.Broker.RevokeAgent], buys
// nothing: neither a reading nor a token.
func TestVotesAreCountedWhenUsed(t *testing.T) {
	s := &sponsored{fixture: newDesk(t, oneEach)}
	s.ada = s.admin(t, "ada")
	s.who = s.register(t, identity.NewAgent{Name: "x"})
	s.guarded(t, "p/key", vault.Sensitive)
	read := s.deeds("p/key")["reveal"]
	wanted := broker.TokenRequest{Scopes: s.scopes(t, "secrets:read:p/*")}
	token := func(who identity.Principal) error { _, err := s.IssueToken(t.Context(), who, wanted); return err }
	for _, err := range []error{read(t.Context(), s.who), token(s.who)} {
		if _, err := s.Approve(t.Context(), s.ada, wantDenied(t, err, broker.ApprovalRequired).Approval, ""); err != nil {
			t.Fatal(err)
		}
	}
	var key string
	err := s.db.Update(t.Context(), func(tx *sqldb.Tx) (err error) {
		if err := s.config.Agents.Revoke(tx, "x", s.now()); err != nil {
			return err
		}
		key, err = s.config.Agents.Add(tx, identity.NewAgent{Name: "x", Registrar: s.ada.ID()}, s.now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	who := s.by(t, key)
	wantDenied(t, read(t.Context(), who), broker.ApprovalRequired)
	got := wantDenied(t, token(who), broker.ApprovalRequired)
	_, _, err = s.Claim(t.Context(), who, got.Approval)
	wantDenied(t, err, broker.ApprovalRequired)
	wanted.TTL = 10 * time.Minute // less than was approved
	wantDenied(t, token(who), broker.ApprovalRequired)
}

// TestOneAdminAloneReadsNothingGuarded: whatever an admin may do without asking, it
// does not come by the value that way: not by moving it, not by taking its guard
// away, and not by a credential from before it was guarded.
func TestOneAdminAloneReadsNothingGuarded(t *testing.T) {
	given := func(v string) vault.Change { return vault.Change{Value: secret.New([]byte(v))} }
	for name, try := range map[string]func(*testing.T, *sponsored) []error{
		"as it is": func(*testing.T, *sponsored) []error { return nil },
		"a new secret in its place": func(t *testing.T, s *sponsored) []error {
			t.Helper()
			_, err := s.Delete(t.Context(), s.ada, "p/key", false)
			_, put := s.Put(t.Context(), s.ada, "p/key", given("another"))
			return []error{err, put}
		},
		"back from the trash": func(t *testing.T, s *sponsored) []error {
			t.Helper()
			_, err := s.Delete(t.Context(), s.ada, "p/key", false)
			_, put := s.Put(t.Context(), s.ada, "p/key", given("another"))
			_, gone := s.Delete(t.Context(), s.ada, "p/key", false)
			_, back := s.Restore(t.Context(), s.ada, "p/key")
			return []error{err, put, gone, back}
		},
		"the version before": func(t *testing.T, s *sponsored) []error {
			t.Helper()
			_, err := s.Rotate(t.Context(), s.ada, broker.RotateRequest{Path: "p/key", Grace: time.Hour})
			return []error{err}
		},
		"an import over it": func(t *testing.T, s *sponsored) []error {
			t.Helper()
			c := given("another")
			c.Tier = new(vault.Standard)
			_, err := s.Import(t.Context(), s.ada, broker.ImportRequest{Items: []broker.ImportItem{{Path: "p/key", Change: c}}, Replace: true})
			return []error{err}
		},
		"a lower tier": func(t *testing.T, s *sponsored) []error {
			t.Helper()
			_, err := s.Put(t.Context(), s.ada, "p/key", vault.Change{Tier: new(vault.Standard)})
			wantDenied(t, err, broker.ApprovalRequired)
			return nil
		},
		"a lower tier with a value": func(t *testing.T, s *sponsored) []error {
			t.Helper()
			c := given("another")
			c.Tier = new(vault.Sensitive)
			_, err := s.Put(t.Context(), s.ada, "p/key", c)
			wantDenied(t, err, broker.ApprovalRequired)
			return nil
		},
		"a token from when it lay in the trash": func(t *testing.T, s *sponsored) []error {
			t.Helper()
			_, err := s.Delete(t.Context(), s.ada, "p/key", false)
			s.who = s.issuedBy(t, s.ada, "*", "x")
			_, back := s.Restore(t.Context(), s.ada, "p/key")
			return []error{err, back}
		},
		"an export": func(t *testing.T, s *sponsored) []error {
			t.Helper()
			got, err := s.Export(t.Context(), s.ada, []vault.Path{"p/key"})
			if wantDenied(t, err, broker.OwnerOnly); len(got) != 0 {
				t.Error("exported")
			}
			return nil
		},
		"an admin of its own": func(t *testing.T, s *sponsored) []error {
			t.Helper()
			_, err := s.AddAdmin(t.Context(), s.ada, "eve")
			wantDenied(t, err, broker.OwnerOnly)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &sponsored{fixture: newDesk(t, oneEach)}
			s.ada, s.bob = s.admin(t, "ada"), s.admin(t, "bob")
			s.register(t, identity.NewAgent{Name: "x"})
			s.who = s.addedBy(t, s.ada, "own")
			value := s.guarded(t, "p/key", vault.Critical)
			for i, err := range try(t, s) {
				if err != nil {
					t.Fatalf("step %d: %v", i, err)
				}
			}
			for _, who := range []identity.Principal{s.ada, s.who} {
				for version := range 4 {
					got, err := s.Reveal(t.Context(), who, "p/key", version)
					if err == nil && string(got.Value.Reveal()) == value {
						t.Errorf("%s reads version %d", who.ID(), version)
					}
					if denied := (*broker.Denied)(nil); errors.As(err, &denied) && denied.Approval != "" {
						if _, err := s.Approve(t.Context(), s.ada, denied.Approval, ""); !errors.Is(err, approval.ErrOwnRequest) {
							t.Errorf("%s, version %d: %v", who.ID(), version, err)
						}
					}
				}
			}
		})
	}
}

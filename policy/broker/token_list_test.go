package broker_test

import (
	"errors"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// TestWhoLooksAtAToken: its agent and who manages agents, in any state of it; to
// everybody else there is none.
func TestWhoLooksAtAToken(t *testing.T) {
	f := newDesk(t, allowEverything)
	ada, who, other := f.admin(t, "ada"), f.register(t, identity.NewAgent{Name: "claude"}), f.register(t, identity.NewAgent{Name: "other"})
	f.put(t, "p/key", vault.Change{})
	reader, issued := f.token(t, who, broker.TokenRequest{Scopes: scopes(t, "secrets:read:*"), MaxUses: 1})
	ofModel := ada
	ofModel.Door = "mcp"
	look := func(used int, revoked time.Time) {
		t.Helper()
		for _, someone := range []identity.Principal{who, ada, owner} {
			got, err := f.Token(t.Context(), someone, issued.ID)
			if err != nil || got.ID != issued.ID || got.Agent != "claude" || got.Used != used || !got.RevokedAt.Equal(revoked) {
				t.Errorf("%s sees %+v, %v", someone.ID(), got, err)
			}
		}
		for _, someone := range []identity.Principal{other, local, ofModel} {
			if got, err := f.Token(t.Context(), someone, issued.ID); !errors.Is(err, identity.ErrUnknownToken) || got.ID != "" {
				t.Errorf("%s sees %+v, %v", someone.ID(), got, err)
			}
		}
	}
	look(0, time.Time{})
	if _, err := f.Token(t.Context(), reader, issued.ID); !errors.Is(err, identity.ErrUnknownToken) {
		t.Errorf("a token looks: %v", err)
	}
	if _, err := f.Reveal(t.Context(), reader, "p/key", vault.Latest); err != nil {
		t.Fatal(err)
	}
	look(1, time.Time{})
	if err := f.RevokeToken(t.Context(), who, issued.ID); err != nil {
		t.Fatal(err)
	}
	look(1, f.now())
	for _, someone := range []identity.Principal{who, owner} {
		if _, err := f.Token(t.Context(), someone, "tok_0000000000"); !errors.Is(err, identity.ErrUnknownToken) {
			t.Error(err)
		}
	}
	err := f.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE tokens SET agent = 'other'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.Token(t.Context(), ada, issued.ID); err != nil || !got.Damaged || got.Agent != "" {
		t.Errorf("damaged: %+v, %v", got, err)
	}
	for _, someone := range []identity.Principal{who, other} {
		if _, err := f.Token(t.Context(), someone, issued.ID); !errors.Is(err, identity.ErrUnknownToken) {
			t.Errorf("damaged, %s: %v", someone.ID(), err)
		}
	}
	if err := f.RevokeAgent(t.Context(), ada, "other"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Token(t.Context(), other, issued.ID); !errors.Is(err, identity.ErrUnauthenticated) {
		t.Errorf("a revoked agent looks: %v", err)
	}
}

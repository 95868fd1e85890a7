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

// TestATokenDoesNotComeBackWithItsTime: the clock is set back by mistake and
// accepted; a day later it is the same time again.
func TestATokenDoesNotComeBackWithItsTime(t *testing.T) {
	f := newDesk(t, allowEverything)
	_, token := f.token(t, f.register(t, identity.NewAgent{Name: "web"}), broker.TokenRequest{Scopes: scopes(t, "secrets:read:*"), TTL: time.Hour})
	f.pass(2 * time.Hour)
	f.pass(-24 * time.Hour)
	if _, _, changed, err := f.AcceptClock(t.Context(), owner); err != nil || !changed {
		t.Fatal(changed, err)
	}
	f.pass(22*time.Hour + time.Minute) // a minute after it was issued
	if err := f.db.View(t.Context(), func(tx *sqldb.Tx) error {
		_, err := f.config.Agents.ByCredential(tx, token.Text, "", f.desk.Now())
		return err
	}); !errors.Is(err, identity.ErrUnauthenticated) {
		t.Errorf("a day after it had expired: %v", err)
	}
}

// TestCheckpointsForgetTokens that ended long ago, and no others.
func TestCheckpointsForgetTokens(t *testing.T) {
	f := newDesk(t, allowEverything)
	f.put(t, "a/c", vault.Change{})
	f.token(t, f.register(t, identity.NewAgent{Name: "web"}), broker.TokenRequest{Scopes: scopes(t, "secrets:read:*"), TTL: time.Hour})
	left := func() (n int) {
		if err := f.db.View(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(`SELECT count(*) FROM tokens`).Scan(&n) }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if f.seal(t); left() != 1 {
		t.Error("forgotten while it is good")
	}
	f.pass(time.Hour + identity.KeepTokens)
	if f.seal(t); left() != 0 {
		t.Error("kept for good")
	}
}

package broker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// active is when an agent was last active, as the owner is told.
func (f *fixture) active(t *testing.T, name string) time.Time {
	t.Helper()
	all, err := f.ListAgents(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.Name == name {
			return r.ActiveAt
		}
	}
	t.Fatalf("no agent %s", name)
	return time.Time{}
}

// TestActivity: what an agent asks for counts, recorded or not, and what a token of
// it does; what is no request of a live one does not.
func TestActivity(t *testing.T) {
	f := newDesk(t, allowEverything)
	f.put(t, "p/key", vault.Change{})
	who, other := f.register(t, identity.NewAgent{Name: "claude"}), f.register(t, identity.NewAgent{Name: "other"})
	var stdio identity.Principal
	_, err := f.AddAgent(t.Context(), owner, identity.NewAgent{Name: "desk", Stdio: true})
	if err == nil {
		err = f.db.View(t.Context(), func(tx *sqldb.Tx) (err error) {
			stdio, err = f.config.Agents.ByName(tx, "desk")
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	token, _ := f.token(t, who, broker.TokenRequest{Scopes: scopes(t, "secrets:read:p/*")})
	if got := f.active(t, "other"); !got.IsZero() {
		t.Errorf("active before it asked for anything: %v", got)
	}
	for name, ask := range map[string]func() error{
		"a door":   func() error { f.Seen(who); return nil },
		"a list":   func() error { _, err := f.List(t.Context(), who, broker.ListRequest{}); return err },
		"a look":   func() error { _, err := f.Describe(t.Context(), who, "p/key"); return err },
		"a value":  func() error { _, err := f.Reveal(t.Context(), who, "p/key", vault.Latest); return err },
		"no value": func() error { _, err := f.Reveal(t.Context(), who, "p/none", vault.Latest); return ignored(err) },
		"a token":  func() error { _, err := f.Reveal(t.Context(), token, "p/key", vault.Latest); return err },
	} {
		f.pass(time.Minute)
		if err := ask(); err != nil {
			t.Fatal(name, err)
		}
		if got := f.active(t, "claude"); !got.Equal(f.now()) {
			t.Errorf("%s: active at %v, it is %v", name, got, f.now())
		}
	}
	f.pass(time.Minute)
	if _, err := f.List(t.Context(), stdio, broker.ListRequest{}); err != nil || !f.active(t, "desk").Equal(f.now()) {
		t.Errorf("over stdio: %v, %v", f.active(t, "desk"), err)
	}
	before := f.active(t, "claude")
	f.pass(time.Minute)
	if err := f.Alive(t.Context(), who); err != nil { // a door watches what is under way
		t.Fatal(err)
	}
	f.Seen(owner)
	f.Seen(local)
	f.Seen(f.admin(t, "ada"))
	if got := f.active(t, "claude"); !got.Equal(before) {
		t.Errorf("active at %v without a request", got)
	}
	if got := f.active(t, "other"); !got.IsZero() {
		t.Errorf("the other one active at %v", got)
	}
	if err := f.RevokeAgent(t.Context(), owner, "other"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // not after its end, and not for the next of its name
		_, listed := f.List(t.Context(), other, broker.ListRequest{})
		_, read := f.Reveal(t.Context(), other, "p/key", vault.Latest)
		if listed == nil || read == nil || !f.active(t, "other").IsZero() {
			t.Errorf("%v, %v, active at %v", listed, read, f.active(t, "other"))
		}
		if _, err := f.AddAgent(t.Context(), owner, identity.NewAgent{Name: "other"}); ignored(err) != nil {
			t.Fatal(err)
		}
	}
	f.pass(time.Minute)
	if err := f.RevokeAgent(t.Context(), owner, "claude"); err != nil {
		t.Fatal(err)
	}
	if got := f.active(t, "claude"); !got.Equal(before) {
		t.Errorf("revoked, it was active at %v", got)
	}
	f.register(t, identity.NewAgent{Name: "claude"})
	if got := f.active(t, "claude"); !got.IsZero() {
		t.Errorf("registered anew, it was active at %v", got)
	}
}

// ignored is for what may be refused.
func ignored(error) error { return nil }

// TestActivityIsWrittenOnceAMinute, however busy an agent is, and by Close; then
// another desk tells it.
func TestActivityIsWrittenOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newDesk(t, allowEverything)
		who := f.register(t, identity.NewAgent{Name: "claude"})
		writes := 0
		last := time.Time{}
		for range 180 {
			f.Seen(who)
			f.pass(time.Second)
			time.Sleep(time.Second)
			synctest.Wait()
			if at := f.written(t, "activity", "agent")["claude"]; !at.Equal(last) {
				writes, last = writes+1, at
			}
		}
		if writes < 2 || writes > 3 {
			t.Errorf("%d writes in three minutes", writes)
		}
		f.Seen(who)
		if err := f.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		next, err := broker.New(f.config)
		if err != nil {
			t.Fatal(err)
		}
		f.Broker = next
		if got := f.active(t, "claude"); !got.Equal(f.now()) {
			t.Errorf("active at %v, it is %v", got, f.now())
		}
	})
}

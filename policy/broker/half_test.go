package broker_test

import (
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// settled is the outcome of each intent, by path; every intent has one.
func (f *fixture) settled(t *testing.T) map[vault.Path]string {
	t.Helper()
	if err := f.Close(t.Context()); err != nil { // waits for outcomes
		t.Fatal(err)
	}
	intents, out := map[int64]audit.Record{}, map[vault.Path]string{}
	for _, e := range f.events(t) {
		if e.Outcome == audit.Intent {
			intents[e.Seq] = e
		}
		if of, ok := intents[e.Ref]; ok {
			if e.Path != of.Path || e.Event != of.Event {
				t.Errorf("%+v for %+v", e, of)
			}
			out[e.Path] = e.Outcome + " " + e.Code
			delete(intents, e.Ref)
		}
	}
	for _, e := range intents {
		t.Errorf("nothing came of %s of %q", e.Event, e.Path)
	}
	return out
}

func wantSettled(t *testing.T, got, want map[vault.Path]string) {
	t.Helper()
	for p, outcome := range want {
		if got[p] != outcome {
			t.Errorf("%q: %q instead of %q", p, got[p], outcome)
		}
	}
}

// TestElsewhereHalfDone: what was done there and had no consequence here is on record
// as that, item by item, and what was not tried as well.
func TestElsewhereHalfDone(t *testing.T) {
	to, err := vault.ParseDestination("api.example.com", vault.Bearer)
	if err != nil {
		t.Fatal(err)
	}
	valued := vault.Change{Value: secret.New([]byte("v"))}
	going := valued
	going.Destinations = &[]vault.Destination{to}
	t.Run("set", func(t *testing.T) {
		f := newDesk(t, allowEverything)
		f.sendAway(t).blind = true
		if _, err := f.Put(t.Context(), owner, "p/key", going); err == nil {
			t.Error("kept of a secret that cannot be told from the next one")
		}
		wantSettled(t, f.settled(t), map[vault.Path]string{"p/key": "failed not_kept"})
	})
	t.Run("restore", func(t *testing.T) {
		f := newDesk(t, allowEverything)
		f.sendAway(t)
		f.put(t, "p/key", vault.Change{}, "api.example.com")
		if _, err := f.Delete(t.Context(), owner, "p/key", false); err != nil {
			t.Fatal(err)
		}
		if err := f.db.Update(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`UPDATE overlay SET destinations = '[]'`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Restore(t.Context(), owner, "p/key"); err == nil {
			t.Error("a damaged row was believed")
		}
		wantSettled(t, f.settled(t), map[vault.Path]string{"p/key": "failed not_kept"})
	})
	t.Run("import", func(t *testing.T) {
		f := newDesk(t, allowEverything)
		far := f.sendAway(t)
		far.blind = true
		far.before = func(call string, p vault.Path) error {
			if call == "put" && p == "p/1" {
				intents := map[vault.Path]bool{}
				for _, e := range f.events(t) {
					intents[e.Path] = e.Outcome == audit.Intent
				}
				if !intents["p/1"] || !intents["p/2"] || !intents["p/3"] {
					t.Errorf("stored before it was on record: %v", intents)
				}
			}
			return nil
		}
		if _, err := f.Import(t.Context(), owner, broker.ImportRequest{Items: []broker.ImportItem{{"p/1", valued}, {"p/2", going}, {"p/3", valued}}}); err == nil {
			t.Error("imported")
		}
		wantSettled(t, f.settled(t), map[vault.Path]string{"p/1": "failed not_kept", "p/2": "failed not_kept", "p/3": "failed not_kept", "": "failed not_kept"})
	})
	t.Run("export", func(t *testing.T) {
		f := newDesk(t, allowEverything)
		far := f.sendAway(t)
		for _, p := range []vault.Path{"p/1", "p/2", "p/3"} {
			f.put(t, p, vault.Change{})
		}
		far.before = func(call string, p vault.Path) error {
			if call == "get" && p == "p/2" {
				return vault.ErrUnreachable
			}
			return nil
		}
		if got, err := f.Export(t.Context(), owner, []vault.Path{"p/1", "p/2", "p/3"}); err == nil || got != nil {
			t.Errorf("exported: %v", err)
		}
		wantSettled(t, f.settled(t), map[vault.Path]string{"p/1": "ok ", "p/2": "failed vault_unreachable", "p/3": "failed not_tried", "": "failed vault_unreachable"})
	})
}

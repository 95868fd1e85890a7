package broker_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb/faults"
)

// TestNothingWithoutItsRecord fails every call to the disk that changes a file
// while a desk stores, rotates, issues, uses, reveals and deletes, because the
// disk is broken for a moment and because it is full and stays so. What a call
// gave or did is on record; what is on record was done; a value is never lent
// before its intent is; the desk goes on once the disk does.
func TestNothingWithoutItsRecord(t *testing.T) {
	for _, how := range []faults.Fault{{}, {Full: true, Stay: true}} {
		t.Run(fmt.Sprintf("full %v, stays %v", how.Full, how.Stay), func(t *testing.T) {
			disk, err := faults.Install("/")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := disk.Remove(); err != nil {
					t.Error(err)
				}
			})
			f := newDesk(t, allowAll) // which at its end verifies the log
			for n := 0; ; n++ {
				w := ioWork{t: t, f: f, path: vault.Path(fmt.Sprintf("io/%d", n))}
				disk.Fail(n, how)
				w.run()
				call, hit := disk.Heal()
				w.check(call)
				if !hit {
					t.Logf("%d calls", n)
					return
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}

// ioWork is one walk through the desk on a path of its own, and what it was told.
type ioWork struct {
	t    *testing.T
	f    *fixture
	path vault.Path
	done []string // events whose call succeeded
	id   string   // of the handle that was given
	lent bool
}

// told notes what a call returned.
func (w *ioWork) told(event string, err error) bool {
	w.t.Helper()
	if err == nil {
		w.done = append(w.done, event)
		return true
	}
	if !errors.Is(err, vault.ErrStorageFailed) && !errors.Is(err, vault.ErrStorageFull) && !errors.Is(err, vault.ErrReadOnly) && !errors.Is(err, vault.ErrNotFound) {
		w.t.Errorf("%s of %s: %v", event, w.path, err)
	}
	return false
}

func (w *ioWork) run() {
	ctx := w.t.Context()
	d, err := vault.ParseDestination("api.example.com", vault.Bearer)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.f.Put(ctx, owner, w.path, vault.Change{Value: secret.New([]byte("val-0123456789abcdef")), Destinations: &[]vault.Destination{d}})
	w.told("secret.created", err)
	_, err = w.f.Rotate(ctx, owner, broker.RotateRequest{Path: w.path, Value: secret.New([]byte("val-fedcba9876543210"))})
	w.told("secret.rotated", err)
	ticket, err := w.f.Issue(ctx, local, broker.IssueRequest{Path: w.path})
	if w.told("handle.issued", err) {
		w.id = ticket.ID
		target := vault.Target{Method: "GET", Scheme: "https", Host: "api.example.com", Port: 443, Path: "/"}
		fit := func(string, string, []vault.Destination) error { return nil }
		w.told("handle.used", w.f.Use(ctx, local, []string{ticket.Text}, target, fit, func(broker.Opened) error {
			w.lent = true
			return nil
		}))
	} else if ticket.Text != "" {
		w.t.Errorf("%s: a handle was given although it was not issued", w.path)
	}
	got, err := w.f.Reveal(ctx, owner, w.path, vault.Latest)
	if !w.told("secret.read", err) && !got.Value.IsZero() {
		w.t.Errorf("%s: a value was shown although that is not on record", w.path)
	}
	_, err = w.f.Delete(ctx, owner, w.path, false)
	w.told("secret.deleted", err)
}

// check compares what was told with the record and with the vault.
func (w *ioWork) check(call string) {
	w.t.Helper()
	on := map[string]int{}
	for _, e := range w.f.events(w.t) {
		if e.Path == w.path && (e.Outcome == audit.OK || e.Outcome == audit.Intent || e.Outcome == audit.Allowed) {
			on[e.Event]++
			if e.Event == "handle.issued" && e.Handle != w.id {
				w.t.Errorf("%s: handle %s is on record and was not given", call, e.Handle)
			}
		}
	}
	delete(on, "handle.outcome") // joins later
	for _, event := range w.done {
		if on[event] == 0 {
			w.t.Errorf("%s: %s was done and is not on record", call, event)
		}
	}
	if w.lent && on["handle.used"] == 0 {
		w.t.Errorf("%s: a value was lent without an intent", call)
	}
	_, err := w.f.Describe(w.t.Context(), owner, w.path)
	if there, want := err == nil, on["secret.created"] > on["secret.deleted"]; there != want {
		w.t.Errorf("%s: the secret is there: %v, by the record %v (%v)", call, there, want, err)
	}
}

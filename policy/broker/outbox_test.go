package broker_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// outcomes counts the intents to use a handle and the outcomes that name them.
func outcomes(list []audit.Record) (intents, answered int) {
	named := map[int64]bool{}
	for _, r := range list {
		switch {
		case r.Event == "handle.outcome":
			named[r.Ref] = true
		case r.Event == "handle.used" && r.Outcome == audit.Intent:
			intents++
		}
	}
	for _, r := range list {
		if named[r.Seq] {
			answered++
		}
	}
	return intents, answered
}

// Every use has its outcome on record, taken along by what comes next or
// written by itself, also when what comes next is refused, and when the desk
// closes first.
func TestEveryOutcomeIsRecorded(t *testing.T) {
	base := answers(t, func(http.ResponseWriter, *http.Request) {})
	for name, then := range map[string]func(t *testing.T, f *fixture){
		"uses":    func(t *testing.T, f *fixture) { t.Helper(); f.use(t, "a/b", base) },
		"issues":  func(t *testing.T, f *fixture) { t.Helper(); f.issue(t, local, broker.IssueRequest{Path: "a/b"}) },
		"nothing": func(*testing.T, *fixture) {},
		"refusals": func(t *testing.T, f *fixture) {
			t.Helper()
			if _, err := f.Issue(t.Context(), local, broker.IssueRequest{Path: "a/none"}); err == nil {
				t.Fatal("issued")
			}
			if _, err := f.HTTP(t.Context(), local, get("http://other.example/", f.issue(t, local, broker.IssueRequest{Path: "a/b"}))); err == nil {
				t.Fatal("used")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newDesk(t, allowAll)
			f.put(t, "a/b", vault.Change{}, base)
			for range 10 {
				f.use(t, "a/b", base)
				then(t, f)
			}
			if err := f.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Fatal(err)
			}
			if intents, answered := outcomes(f.events(t)); intents < 10 || answered != intents {
				t.Fatalf("%d uses, %d outcomes", intents, answered)
			}
		})
	}
}

// Close waits also for outcomes that a transaction has taken along, and that
// come back when it fails.
func TestCloseWaitsForOutcomesInATransaction(t *testing.T) {
	base := answers(t, func(http.ResponseWriter, *http.Request) {})
	f := newDesk(t, allowAll)
	f.put(t, "a/b", vault.Change{}, base)
	var back func()
	for back == nil { // or the outcome was written before
		f.use(t, "a/b", base)
		back = f.Ride(t.Context())
	}
	early, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := f.Close(early); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	back()
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if intents, answered := outcomes(f.events(t)); intents == 0 || answered != intents {
		t.Fatalf("%d uses, %d outcomes", intents, answered)
	}
}

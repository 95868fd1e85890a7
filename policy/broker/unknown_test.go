package broker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// TestGuessingEnds: who sends unknown handles is refused for a moment, also with
// the right one, on record; others are not, and a mistake in copying does not
// count.
func TestGuessingEnds(t *testing.T) {
	base := answers(t, nothing)
	f := newDesk(t, allowAll)
	f.put(t, "a/b", vault.Change{}, base)
	good := f.issue(t, local, broker.IssueRequest{Path: "a/b"})
	remote := f.agent(t, "remote")
	others := f.issue(t, remote, broker.IssueRequest{Path: "a/b"})
	use := func(who identity.Principal, text string) error {
		_, err := f.HTTP(t.Context(), who, get(base, text))
		return err
	}
	guess := func() string {
		text, err := mint.New(handle.Prefix)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for range 30 {
		if err := use(local, good[:len(good)-1]+"_"); err == nil {
			t.Fatal("a mistyped handle was taken")
		}
	}
	for round := range 3 {
		for i := range 20 {
			text := guess()
			if i%5 == 0 {
				text = others // real, and another's
			}
			if err := use(local, text); !errors.Is(err, handle.ErrUnknown) {
				t.Fatalf("round %d, guess %d: %v", round, i, err)
			}
		}
		for _, text := range []string{guess(), others, good} {
			if err := use(local, text); codeOf(err) != string(broker.RateLimited) {
				t.Fatalf("round %d: after 20 guesses: %v", round, err)
			}
		}
		if err := use(remote, others); err != nil {
			t.Fatalf("another agent: %v", err)
		}
		f.pass(time.Minute)
		if err := use(local, good); err != nil {
			t.Fatalf("after a minute: %v", err)
		}
	}
	refused := 0
	for _, e := range f.events(t) {
		if e.Event == "handle.used" && e.Code == string(broker.RateLimited) && e.Actor == local.ID() {
			refused++
		}
	}
	if refused != 9 {
		t.Errorf("%d refusals on record, want 9", refused)
	}
}

// Uses that go on while guesses come in leave no guess uncounted.
func TestGuessingAtOnce(t *testing.T) {
	f := newDesk(t, allowAll)
	const each = 10
	unknown := make(chan int)
	for range 8 {
		go func() {
			n := 0
			for range each {
				text, err := mint.New(handle.Prefix)
				if err == nil {
					_, err = f.HTTP(context.WithoutCancel(t.Context()), local, get("https://api.example.com/", text))
				}
				if errors.Is(err, handle.ErrUnknown) {
					n++
				}
			}
			unknown <- n
		}()
	}
	total := 0
	for range 8 {
		total += <-unknown
	}
	if total < 20 || total >= 20+8 { // those under way are past the check
		t.Errorf("%d guesses were looked up", total)
	}
}

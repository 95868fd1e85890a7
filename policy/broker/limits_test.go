package broker_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func TestUsesAreCountedUnderRace(t *testing.T) {
	base, received := upstream(t)
	f := newDesk(t, allowAll)
	f.put(t, "a/b", vault.Change{}, base)
	text := f.issue(t, local, broker.IssueRequest{Path: "a/b", Uses: 5})
	var granted atomic.Int64
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			switch _, err := f.HTTP(t.Context(), local, get(base, text)); {
			case err == nil:
				granted.Add(1)
			case !errors.Is(err, handle.ErrExhausted):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if granted.Load() != 5 || len(received()) != 5 {
		t.Fatalf("%d granted, %d arrived, want 5", granted.Load(), len(received()))
	}
}

func TestTheRuleOfTheRequestLimitsIt(t *testing.T) {
	base, _ := upstream(t)
	f := newDesk(t, allowAll+"    limits: {uses: 1}\n")
	f.put(t, "a/b", vault.Change{}, base)
	f.setPolicy(t, allowAll)
	text := f.issue(t, local, broker.IssueRequest{Path: "a/b"})
	f.setPolicy(t, allowAll+"    limits: {uses: 1}\n")
	if _, err := f.HTTP(t.Context(), local, get(base, text)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.HTTP(t.Context(), local, get(base, text)); !errors.Is(err, handle.ErrExhausted) {
		t.Fatalf("second use under a limit of one: %v", err)
	}
}

func TestRate(t *testing.T) {
	f := newDesk(t, allowAll+"    limits: {rate: 3/m}\n")
	f.put(t, "a/b", vault.Change{}, "api.example.com")
	issue := func() error {
		_, err := f.Issue(t.Context(), local, broker.IssueRequest{Path: "a/b"})
		return err
	}
	for range 3 {
		if err := issue(); err != nil {
			t.Fatal(err)
		}
	}
	if err := issue(); codeOf(err) != "rate_limited" {
		t.Fatalf("the fourth in a minute: %v", err)
	}
	f.pass(19 * time.Second)
	if err := issue(); codeOf(err) != "rate_limited" {
		t.Fatalf("before a third of the minute: %v", err)
	}
	f.pass(time.Second)
	if err := issue(); err != nil {
		t.Fatalf("after a third of the minute: %v", err)
	}
	if err := issue(); codeOf(err) != "rate_limited" {
		t.Fatalf("a refused call bought a permit: %v", err)
	}
}

func TestLifetimeAndUsesComeFromThePolicy(t *testing.T) {
	for _, tc := range []struct {
		name, limits string
		asked        broker.IssueRequest
		ttl          time.Duration
		uses         int
	}{
		{"default", "", broker.IssueRequest{}, handle.DefaultTTL, 0},
		{"the policy's", "    limits: {ttl: 1h, uses: 7}\n", broker.IssueRequest{}, time.Hour, 7},
		{"less than the policy's", "    limits: {ttl: 1h, uses: 7}\n", broker.IssueRequest{TTL: time.Minute, Uses: 2}, time.Minute, 2},
		{"more than the policy's", "    limits: {ttl: 1h, uses: 7}\n", broker.IssueRequest{TTL: 5 * time.Hour, Uses: 20}, time.Hour, 7},
		{"more than a handle's", "    limits: {ttl: 30d}\n", broker.IssueRequest{}, handle.MaxTTL, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newDesk(t, allowAll+tc.limits)
			f.put(t, "a/b", vault.Change{}, "api.example.com")
			tc.asked.Path = "a/b"
			ticket, err := f.Issue(t.Context(), local, tc.asked)
			if err != nil {
				t.Fatal(err)
			}
			if got := ticket.ExpiresAt.Sub(f.now()); got != tc.ttl || ticket.Uses != tc.uses {
				t.Fatalf("lives %s with %d uses, want %s with %d", got, ticket.Uses, tc.ttl, tc.uses)
			}
		})
	}
}

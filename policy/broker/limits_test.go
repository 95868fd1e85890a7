package broker_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
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

// TestHandlesOfTokensAreBounded: the tokens of one agent have ten thousand handles
// together, however many tokens there are.
func TestHandlesOfTokensAreBounded(t *testing.T) {
	f := newDesk(t, allowEverything)
	f.put(t, "p/key", vault.Change{}, "api.example.com")
	who := f.register(t, identity.NewAgent{Name: "claude"})
	issue := func(who identity.Principal) {
		t.Helper()
		if _, err := f.Issue(t.Context(), who, broker.IssueRequest{Path: "p/key"}); err != nil {
			t.Fatal(err)
		}
	}
	first, _ := f.token(t, who, broker.TokenRequest{Scopes: scopes(t, "secrets:read:*")})
	second, _ := f.token(t, who, broker.TokenRequest{Scopes: scopes(t, "secrets:read:*")})
	issue(first)
	err := f.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		clear(tx.Shared())
		_, err := tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO handles SELECT 'token:claude/tok_' || (i / 900), i, 'h_' || i, hash, path, version, destinations, shape, rule, parent,
				created_at, expires_at, revoked_at, max_uses, used, mac, tier FROM handles, n WHERE principal = ?`, handle.MaxFamily-1, first.ID())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	count := func(principals string) (n int) {
		err := f.db.View(t.Context(), func(tx *sqldb.Tx) error {
			return tx.QueryRow(`SELECT count(*) FROM handles WHERE principal LIKE ?`, principals).Scan(&n)
		})
		if err != nil {
			t.Error(err)
		}
		return n
	}
	issue(who)
	if n := count("%claude%"); n != handle.MaxFamily+1 {
		t.Fatalf("%d handles", n)
	}
	issue(second)
	if all, own := count("token:claude/%"), count("agent:claude"); all >= handle.MaxFamily || own != 1 {
		t.Errorf("%d handles of tokens, %d of the agent", all, own)
	}
}

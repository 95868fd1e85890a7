package broker_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/clock"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// A rate is counted in the database: desks that share it share the count, and
// one that starts later goes on from there.
func TestRateOverDesks(t *testing.T) {
	f := newDesk(t, allowAll+"    limits: {rate: 10/m}\n")
	f.put(t, "a/b", vault.Change{}, "api.example.com")
	desk := func() *broker.Broker {
		db, err := sqldb.Open(t.Context(), f.file, migrations())
		if err != nil {
			t.Fatal(err)
		}
		config := f.config
		config.DB = db
		b, err := broker.New(config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		return b
	}
	reveal := func(b *broker.Broker) string {
		_, err := b.Reveal(t.Context(), local, "a/b", vault.Latest)
		if err != nil && codeOf(err) == "" {
			t.Error(err)
		}
		return codeOf(err)
	}
	var granted atomic.Int64
	var wg sync.WaitGroup
	for _, b := range []*broker.Broker{f.Broker, desk()} {
		wg.Go(func() {
			for range 10 {
				if reveal(b) == "" {
					granted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if granted.Load() != 10 {
		t.Fatalf("two desks granted %d, want 10 together", granted.Load())
	}
	later := desk()
	if code := reveal(later); code != "rate_limited" {
		t.Fatalf("a desk that started later: %q", code)
	}
	f.pass(6 * time.Second)
	if code := reveal(later); code != "" {
		t.Fatalf("after a tenth of the minute: %q", code)
	}
	if code := reveal(f.Broker); code != "rate_limited" {
		t.Fatalf("the other desk after that: %q", code)
	}
}

// A desk whose time is a little behind, or a call that waited for its turn to
// write, finds a rate that others have used up as used up as they do.
func TestRateBehind(t *testing.T) {
	f := newDesk(t, allowAll+"    limits: {rate: 10/m}\n")
	f.put(t, "a/b", vault.Change{}, "api.example.com")
	config, behind := f.config, 2*time.Second
	config.Clock = clock.New(clock.Of(func() time.Time { return f.now().Add(-behind) }), f.rowKey)
	late, err := broker.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := late.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	granted := 0
	for range 3 {
		for _, b := range []*broker.Broker{f.Broker, late} {
			for range 10 {
				if _, err := b.Reveal(t.Context(), local, "a/b", vault.Latest); err == nil {
					granted++
				} else if codeOf(err) != "rate_limited" {
					t.Fatal(err)
				}
			}
		}
	}
	if granted != 10 {
		t.Errorf("%d calls were granted at once, want 10", granted)
	}
}

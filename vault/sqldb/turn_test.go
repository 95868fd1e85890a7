package sqldb_test

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// turns returns the places of n processes in the queue of one database.
func turns(t *testing.T, n int) []sqldb.Turn {
	t.Helper()
	path := filepath.Join(privateDir(t), "x.db")
	all := make([]sqldb.Turn, n)
	for i := range all {
		turn, err := sqldb.OpenTurn(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = turn.Close() })
		all[i] = turn
	}
	return all
}

func take(t *testing.T, turn sqldb.Turn) {
	t.Helper()
	if err := turn.Take(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
}

func release(t *testing.T, turn sqldb.Turn) {
	t.Helper()
	if err := turn.Release(); err != nil {
		t.Fatal(err)
	}
}

// TestOneWhoReleasesComesLast: whoever gives the turn back and wants it again
// does not pass in front of one who waits, however quick it is.
func TestOneWhoReleasesComesLast(t *testing.T) {
	all := turns(t, 2)
	quick, slow := all[0], all[1]
	for range 50 {
		take(t, quick)
		got := make(chan error)
		go func() { got <- slow.Take(t.Context(), time.Minute) }()
		for !slow.Asks() {
			runtime.Gosched()
		}
		release(t, quick)
		if err := quick.Take(t.Context(), 0); !errors.Is(err, vault.ErrBusy) {
			t.Fatalf("passed in front: %v", err)
		}
		if err := <-got; err != nil {
			t.Fatal(err)
		}
		release(t, slow)
		take(t, quick) // the place it took above is still its own
		release(t, quick)
	}
}

// TestTurnGivenUp: a wait ends with its time or its context, and what it stood
// in the queue for is given back at once when nobody comes for it.
func TestTurnGivenUp(t *testing.T) {
	all := turns(t, 2)
	holder, other := all[0], all[1]
	take(t, holder)
	if err := other.Take(t.Context(), time.Millisecond); !errors.Is(err, vault.ErrBusy) {
		t.Errorf("after its time: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := other.Take(ctx, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context: %v", err)
	}
	release(t, holder)
	for other.Asks() {
		runtime.Gosched()
	}
	take(t, holder) // would wait for a turn that nobody wants
	release(t, holder)
	take(t, other)
	release(t, other)
}

// TestUpdateStandsInTheQueue: somebody has the turn and writes nothing, so that
// SQLite's own lock is free. A write waits for the turn as long as it may, or as
// its caller does, and the next in this process has its own time.
func TestUpdateStandsInTheQueue(t *testing.T) {
	path := filepath.Join(privateDir(t), "x.db")
	db := openAt(t, path)
	holder, err := sqldb.OpenTurn(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close() }()
	take(t, holder)
	if err := db.Update(t.Context(), insert(1)); !errors.Is(err, vault.ErrBusy) {
		t.Errorf("after its time: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error), make(chan error)
	go func() { first <- db.Update(ctx, insert(2)) }()
	awaitQueue(db, 1)
	go func() { second <- db.Update(t.Context(), insert(3)) }()
	awaitQueue(db, 2)
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("after its context: %v", err)
	}
	release(t, holder)
	if err := <-second; err != nil {
		t.Errorf("behind it: %v", err)
	}
	if got := count(t, db); got != 1 {
		t.Errorf("%d rows, want 1", got)
	}
}

// TestTurnClosedWhileWaiting: the goroutine that waits ends with the one in
// front, and takes nothing.
func TestTurnClosedWhileWaiting(t *testing.T) {
	all := turns(t, 3)
	take(t, all[0])
	for _, turn := range all[1:] { // one waits for the floor, one at the gate
		if err := turn.Take(t.Context(), time.Millisecond); !errors.Is(err, vault.ErrBusy) {
			t.Fatal(err)
		}
		if err := turn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	release(t, all[0])
	for _, turn := range all[1:] {
		for turn.Asks() {
			runtime.Gosched()
		}
	}
	take(t, all[0])
}

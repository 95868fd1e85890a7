package sqldb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/private"
)

// turn makes the processes that write one database take turns in the order of
// their coming. SQLite's own wait is a sleep that grows to 100 ms and hands the
// lock to whoever happens to wake first.
//
// Two locks on files beside the database make the queue. Who wants to write
// takes the gate, then the floor, then opens the gate again. So there is never
// more than one who waits for the floor, and a process that gives it back and
// wants it again finds itself behind those at the gate; with one lock it would
// have it again before the next one has woken up.
//
// The locks only order. What keeps writers apart is SQLite's own lock as
// before, so that a program which knows nothing of turns does no harm, and a
// turn lost or taken twice costs time and nothing else.
//
// Choices: flock(2) and LockFileEx, because the system ends them with the
// process that holds them, whatever ends that. A queue in shared memory (ticket
// and futex) was rejected: it has to find out by itself that the one in front is
// dead, and only Linux can wait on it. So was asking every millisecond: it costs
// a core and its 99.9th percentile grows with the square of the processes. It
// was wrong if BenchmarkBudgets shows the wait of eight processes above its
// bound while that of one is below it.
type turn struct {
	gate, floor *private.Mutex

	mu      sync.Mutex
	asking  bool       // a goroutine stands in the queue
	granted chan error // of the one who waits for it; nil: he has gone
}

// turnFiles are the names of a database's two locks.
func turnFiles(database string) (gate, floor string) { return database + "-gate", database + "-turn" }

func openTurn(database string) (*turn, error) {
	gateFile, floorFile := turnFiles(database)
	gate, err := private.OpenMutex(gateFile)
	if err != nil {
		return nil, mapError(err)
	}
	floor, err := private.OpenMutex(floorFile)
	if err != nil {
		return nil, errors.Join(mapError(err), gate.Close())
	}
	return &turn{gate: gate, floor: floor}, nil
}

// take waits for the turn until ctx or the time has ended; then the errors are
// ctx's and [vault.ErrBusy]. One caller at a time.
//
// The system's wait cannot be called off. So a goroutine does it, and keeps the
// place in the queue for the next caller when this one has gone; if nobody comes
// it gives the turn back at once. There is one at most, and it ends when the
// process in front lets go or dies.
func (t *turn) take(ctx context.Context, end time.Time) error {
	t.mu.Lock()
	if !t.asking {
		gate, floor, err := t.try()
		if err != nil || floor {
			t.mu.Unlock()
			return err
		}
		t.asking = true
		go t.ask(gate)
	}
	granted := make(chan error, 1)
	t.granted = granted
	t.mu.Unlock()

	timer := time.NewTimer(time.Until(end))
	defer timer.Stop()
	var err error
	select {
	case err := <-granted:
		return err
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = fmt.Errorf("%w: another process has not finished its write", vault.ErrBusy)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case err = <-granted: // at the last moment
	default:
		t.granted = nil
	}
	return err
}

// try takes what is free without waiting: the gate, then the floor. With the
// floor the gate is open again.
func (t *turn) try() (gate, floor bool, err error) {
	if gate, err = t.gate.TryLock(); err != nil || !gate {
		return gate, false, err
	}
	if floor, err = t.floor.TryLock(); err == nil && !floor {
		return true, false, nil
	}
	if err = errors.Join(err, t.gate.Unlock()); err != nil && floor {
		err = errors.Join(err, t.floor.Unlock())
	}
	return false, floor, err
}

// ask stands in the queue.
func (t *turn) ask(gate bool) {
	var err error
	if !gate {
		err = t.gate.Lock()
	}
	if err == nil {
		err = errors.Join(t.floor.Lock(), t.gate.Unlock())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asking = false
	if t.granted != nil {
		t.granted <- err
		t.granted = nil
	} else if err == nil {
		_ = t.floor.Unlock() // or it is closed, which unlocks
	}
}

// release gives the turn to the next one.
func (t *turn) release() error { return t.floor.Unlock() }

// close gives up the place in the queue.
func (t *turn) close() error {
	if t == nil {
		return nil
	}
	return errors.Join(t.gate.Close(), t.floor.Close())
}

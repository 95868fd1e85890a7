package sqldb

import (
	"context"
	"time"
)

// OpenBusy is [Open] with another [BusyTimeout].
func OpenBusy(ctx context.Context, path string, migrations []Migration, busy time.Duration) (*DB, error) {
	return open(ctx, path, migrations, busy)
}

// OnNetwork is how [Open] judges a folder.
var OnNetwork = onNetwork

// Waiting is the number of writes that nobody has taken yet.
func (db *DB) Waiting() int {
	db.queue.mu.Lock()
	defer db.queue.mu.Unlock()
	return len(db.queue.waiting)
}

// Closing reports whether Close was called.
func (db *DB) Closing() bool {
	db.queue.mu.Lock()
	defer db.queue.mu.Unlock()
	return db.queue.closed
}

// MaxBatch is how many writes share one commit at most.
const MaxBatch = maxBatch

// TurnFiles are the names of a database's locks.
var TurnFiles = turnFiles

// Turn is a place in the queue of processes.
type Turn struct{ *turn }

// OpenTurn opens the locks of a database.
func OpenTurn(database string) (Turn, error) {
	t, err := openTurn(database)
	return Turn{t}, err
}

// Take waits for the turn.
func (t Turn) Take(ctx context.Context, wait time.Duration) error {
	return t.take(ctx, time.Now().Add(wait))
}

// Release gives it to the next one.
func (t Turn) Release() error { return t.release() }

// Close gives up the place.
func (t Turn) Close() error { return t.close() }

// Asks reports whether somebody stands in the queue.
func (t Turn) Asks() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.asking
}

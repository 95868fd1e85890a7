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

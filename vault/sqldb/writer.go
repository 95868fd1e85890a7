package sqldb

import (
	"context"
	"fmt"
)

// maxBatch bounds how many waiting writes share one commit.
const maxBatch = 64

type job struct {
	ctx      context.Context
	fn       func(*Tx) error
	err      error
	panicked any
	done     chan struct{}
}

// Update queues fn, runs it in a write transaction and returns after the
// commit. fn may run on another goroutine; it must not block on anything but
// tx, nor keep it. When ctx ends before fn has started, fn does not run and
// ctx's error returns; after that the outcome is awaited. A panic of fn undoes
// its writes and continues in the caller.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{ctx: ctx, fn: fn, done: make(chan struct{})}
	db.mu.RLock()
	if db.closed {
		db.mu.RUnlock()
		return ErrClosed
	}
	db.jobs <- j
	db.mu.RUnlock()
	<-j.done
	if j.panicked != nil {
		panic(j.panicked)
	}
	return j.err
}

// write is the one goroutine that commits. It takes what waits and no more, so
// that a lone write is committed at once.
func (db *DB) write() {
	defer close(db.done)
	batch := make([]*job, 0, maxBatch)
	for first := range db.jobs {
		batch = append(batch[:0], first)
	more:
		for len(batch) < maxBatch {
			select {
			case next, ok := <-db.jobs:
				if !ok {
					break more
				}
				batch = append(batch, next)
			default:
				break more
			}
		}
		db.commit(batch)
		for _, j := range batch {
			close(j.done)
		}
	}
}

func (db *DB) commit(batch []*job) {
	c := db.writer
	err := c.exec("BEGIN IMMEDIATE")
	if err == nil {
		for _, j := range batch {
			j.run(c, len(batch) > 1)
		}
		if len(batch) == 1 && batch[0].failed() {
			c.rollback()
			return
		}
		if err = c.exec("COMMIT"); err == nil {
			return
		}
		c.rollback()
	}
	for _, j := range batch {
		if !j.failed() {
			j.err = err
		}
	}
}

func (j *job) failed() bool { return j.err != nil || j.panicked != nil }

// run calls fn, inside a savepoint when others share the transaction.
func (j *job) run(c *conn, shared bool) {
	if j.err = j.ctx.Err(); j.err != nil {
		return
	}
	if shared {
		if j.err = c.exec("SAVEPOINT job"); j.err != nil {
			return
		}
		defer func() {
			if j.failed() {
				if err := c.exec("ROLLBACK TO job"); err != nil {
					j.err = fmt.Errorf("%w (undo: %w)", j.err, err)
				}
			}
			if err := c.exec("RELEASE job"); err != nil && !j.failed() {
				j.err = err
			}
		}()
	}
	defer func() { j.panicked = recover() }()
	j.err = j.fn(&Tx{c: c})
}

package sqldb

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Update queues fn, runs it in a write transaction and returns after the
// commit. fn may run on another caller's goroutine; it must not block on
// anything but tx, keep it, nor end its goroutine (as t.FailNow does).
//
// When ctx ends before fn has started, fn does not run and ctx's error returns;
// after that the outcome is awaited. A panic of fn undoes its writes and
// continues in the caller.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return db.enqueue(ctx, &job{fn: fn})
}

// enqueue sees a job through.
func (db *DB) enqueue(ctx context.Context, j *job) error {
	j.ctx, j.end, j.wake = ctx, time.Now().Add(db.busy), make(chan struct{}, 1)
	if err := db.queue.join(j); err != nil {
		return err
	}
	if err := db.queue.wait(ctx, j); err != nil {
		return err
	}
	if j.leads {
		db.lead(j)
	}
	if j.panicked != nil {
		panic(j.panicked)
	}
	return j.err
}

// job is one write, or one thing to do beside the writes. Its fields belong to the queue, then to the leader that
// took it, and to its caller once it was woken.
type job struct {
	ctx      context.Context
	end      time.Time // of the wait for other processes
	fn       func(*Tx) error
	beside   func() error // in place of fn: outside of a transaction
	leads    bool
	wake     chan struct{} // one token: lead, or done
	erase    bool
	err      error
	panicked any
}

func (j *job) failed() bool { return j.err != nil || j.panicked != nil }

// errAbandoned: the transaction was ended from the outside, so that nothing of
// it is kept.
var errAbandoned = errors.New("write was abandoned")

// lead waits for the turn, commits the leader's own write with those that wait
// behind it by then, and hands the lead on. Without a turn it hands the lead on
// all the same: the others may have more time left.
func (db *DB) lead(own *job) {
	db.queue.gather()
	if own.err = db.turn.take(own.ctx, own.end); own.err != nil {
		db.queue.leave()
		db.queue.pass()
		return
	}
	batch := db.queue.take()
	whole := false
	defer func() { // also when a function ended the goroutine
		if !whole {
			db.writer.rollback()
			for _, j := range batch {
				j.err = errAbandoned
			}
		}
		pages := db.writer.written()
		_ = db.turn.release() // fails only where there is nothing left to release
		db.queue.pass()
		// Who folds is told first: foldAfter may wait for what that one holds.
		tell(batch[1:], true)
		db.foldAfter(batch, pages)
		tell(batch[1:], false)
	}()
	db.work(batch)
	whole = true
}

// tell wakes the jobs that were done beside the writes, or the writes.
func tell(batch []*job, beside bool) {
	for _, j := range batch {
		if (j.beside != nil) == beside {
			j.wake <- struct{}{}
		}
	}
}

// work does what the batch asks for: the writes in one transaction, then the rest.
func (db *DB) work(batch []*job) {
	writes := make([]*job, 0, len(batch))
	for _, j := range batch {
		if j.fn != nil {
			writes = append(writes, j)
		}
	}
	if len(writes) > 0 {
		db.commit(writes)
	}
	for _, j := range batch {
		if j.beside != nil {
			j.err = j.beside()
		}
	}
}

// commit runs writes in one transaction.
func (db *DB) commit(writes []*job) {
	c := db.writer
	err := c.begin("BEGIN IMMEDIATE")
	if err == nil {
		for _, j := range writes {
			if err = j.run(c, len(writes) > 1); err != nil {
				break
			}
		}
		if len(writes) == 1 && writes[0].failed() {
			c.rollback()
			return
		}
		if err == nil {
			err = c.commit()
		}
		if err != nil {
			c.rollback()
		}
	}
	for _, j := range writes {
		if err != nil && !j.failed() {
			j.err = err
		}
	}
}

// run calls fn, inside a savepoint when others share the transaction. The
// error it returns is one of the whole transaction, which must not go on.
func (j *job) run(c *conn, shared bool) error {
	if j.err = j.ctx.Err(); j.failed() {
		return nil
	}
	if shared {
		if _, err := c.exec("SAVEPOINT job"); err != nil {
			return err
		}
	}
	tx := &Tx{c: c}
	j.call(tx)
	j.erase = tx.erase
	if c.broken != nil {
		return c.broken
	}
	if !shared {
		return nil
	}
	if j.failed() {
		clear(c.shared)
		if _, err := c.exec("ROLLBACK TO job"); err != nil {
			return fmt.Errorf("undoing a write: %w", err)
		}
	}
	_, err := c.exec("RELEASE job")
	return err
}

func (j *job) call(tx *Tx) {
	defer func() { j.panicked = recover() }()
	j.err = j.fn(tx)
}

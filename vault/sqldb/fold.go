package sqldb

import (
	"context"
	"errors"
	"sync"
	"time"

	modernc "modernc.org/sqlite"
)

// The log is folded into the database in these steps, in pages of 4 KiB. What a
// start after a kill has to read is the log's length, and nearly nothing else.
const (
	lookEvery = 128  // pages written here between two looks at the log
	foldAt    = 1000 // pages in the log that the database lacks
	finishAt  = 2000 // pages in the log, copied or not: the writers must pause
	bulkAt    = 1000 // pages of one commit, which waits until they are folded
)

const (
	keepLog   = finishAt * 4096        // bytes of the log's file that are kept for the next pages
	foldRetry = time.Second            // when somebody reads what a bulk commit left in the log
	foldWait  = 20 * time.Millisecond  // for short reads that would keep the log from being emptied
	closeWait = 500 * time.Millisecond // for the turn, when closing
)

// folding moves the log into the database beside the work, on a connection of
// its own: SQLite itself would do it inside some writer's commit, and all the
// others would wait.
//
// Copying holds up nobody, but the log starts anew only when a write finds all
// of it copied, which does not happen while writes follow one another. So once
// the log is long, the rest is copied in the writers' turn; by then that is little.
//
// What was deleted for good, and the log of a bulk commit, must go whole: the
// file is emptied, in the writers' turn too, as soon as nobody reads from it.
type folding struct {
	mu    sync.Mutex // held by the one who folds
	conn  *conn      // opened at need
	ended bool

	state   sync.Mutex
	pages   int  // written since the last look
	owed    bool // the log must be emptied and is not yet
	running bool // a goroutine folds
	closed  bool
	retry   *time.Timer
	idle    sync.WaitGroup
}

// folded is the answer of a checkpoint (sqlite.org/pragma.html#pragma_wal_checkpoint).
type folded struct {
	busy   bool // somebody was in the way
	log    int  // pages in the log
	copied int  // of them, into the database
}

// checkpoint runs one on the folding's connection, which the caller has.
func (db *DB) checkpoint(mode string) (f folded, err error) {
	if db.folding.ended {
		return f, ErrClosed
	}
	if db.folding.conn == nil {
		if db.folding.conn, err = connect(dsn(db.uri, foldWait)); err != nil {
			return f, err
		}
	}
	err = (&Tx{c: db.folding.conn}).QueryRow("PRAGMA wal_checkpoint("+mode+")").Scan(&f.busy, &f.log, &f.copied)
	return f, err
}

// foldAfter follows each commit, when the turn has been given on and before the
// batch is told. It counts the pages and starts a look at the log now and then.
// If something must leave the log at once, the batch waits for it.
func (db *DB) foldAfter(batch []*job, pages int) {
	f := &db.folding
	must := pages >= bulkAt
	for _, j := range batch {
		must = must || j.erase && !j.failed()
	}
	f.state.Lock()
	f.owed = f.owed || must
	if f.pages += pages; f.pages >= lookEvery || must {
		f.pages = 0
	}
	wait := must && batch[0].beside == nil // else this very goroutine is folding
	if !wait && f.pages == 0 && pages > 0 {
		db.startFolding()
	}
	f.state.Unlock()
	if wait {
		db.empty()
	}
}

// startFolding has a goroutine look at the log; f.state is held.
func (db *DB) startFolding() {
	f := &db.folding
	if f.running || f.closed {
		return
	}
	f.running = true
	f.idle.Go(func() {
		db.fold()
		f.state.Lock()
		defer f.state.Unlock()
		f.running = false
		if f.owed && !f.closed && f.retry == nil {
			f.retry = time.AfterFunc(foldRetry, func() {
				f.state.Lock()
				defer f.state.Unlock()
				f.retry = nil
				db.startFolding()
			})
		}
	})
}

// fold folds what there is to fold. An error is left to the next time: the log
// is as good as the database, and a write that meets the same fault says so.
func (db *DB) fold() {
	if db.owesEmptying() {
		db.empty()
		return
	}
	db.folding.mu.Lock()
	defer db.folding.mu.Unlock()
	at, err := db.checkpoint("NOOP")
	if err != nil || at.log-at.copied < foldAt && at.log < finishAt {
		return
	}
	if at, err = db.checkpoint("PASSIVE"); err == nil && !at.busy && at.log >= finishAt {
		_ = db.inTurn(func() error {
			_, err := db.checkpoint("PASSIVE")
			return err
		})
	}
}

// empty folds the log and empties its file, or sees to it that this is done later.
func (db *DB) empty() {
	f := &db.folding
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state.Lock()
	f.owed = false
	f.state.Unlock()
	_, err := db.checkpoint("PASSIVE")
	if err == nil {
		err = db.inTurn(db.truncate)
	}
	if err == nil {
		return
	}
	f.state.Lock()
	defer f.state.Unlock()
	f.owed = true
	db.startFolding()
}

var errStillRead = errors.New("somebody reads the log")

func (db *DB) truncate() error {
	at, err := db.checkpoint("TRUNCATE")
	if err == nil && at.busy {
		err = errStillRead
	}
	return err
}

func (db *DB) owesEmptying() bool {
	db.folding.state.Lock()
	defer db.folding.state.Unlock()
	return db.folding.owed
}

// inTurn runs fn while nobody writes, outside of a transaction. It takes no
// context: nobody in particular asked for it, and its wait is bounded.
//
//nolint:contextcheck,nolintlint // as said; tells contextcheck about the callers
func (db *DB) inTurn(fn func() error) error {
	return db.enqueue(context.Background(), &job{beside: fn})
}

// closeFolding ends the folding. The writers have gone. It takes no context, as
// Close has none: its waits are bounded.
//
//nolint:contextcheck,nolintlint // as said; tells contextcheck about the callers
func (db *DB) closeFolding() error {
	f := &db.folding
	f.state.Lock()
	f.closed = true
	if f.retry != nil {
		f.retry.Stop()
	}
	f.state.Unlock()
	f.idle.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.ended = true }()
	if db.owesEmptying() && db.turn.take(context.Background(), time.Now().Add(closeWait)) == nil {
		_ = db.truncate() // whoever has the database open and writes does it otherwise
		_ = db.turn.release()
	}
	if f.conn == nil {
		return nil
	}
	return f.conn.close()
}

// written returns how many pages the connection wrote since the last call.
func (c *conn) written() int {
	n, _, err := c.driver.(modernc.DBStatus).Status(modernc.DBStatusCacheWrite, true)
	if err != nil {
		return 0 // cannot be: the counter exists
	}
	return n
}

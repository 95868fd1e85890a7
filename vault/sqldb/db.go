package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/private"
)

// BusyTimeout bounds the wait for the transactions of other processes, in the
// queue and, where somebody writes who does not stand in it, once more for
// SQLite's own lock.
const BusyTimeout = 5 * time.Second

// readers is the number of connections that [DB.View] may use at once.
const readers = 4

// DB is an open state database, safe for concurrent use.
type DB struct {
	uri     string
	busy    time.Duration
	writer  *conn // used by the leader of the queue only
	queue   queue
	turn    *turn // among processes; the leader's
	folding folding

	closed chan struct{}
	idle   chan *conn    // readers not in use
	permit chan struct{} // one token for each reader that may still be opened
}

// Open opens the database file, creating it with mode 0600, and applies the
// migrations it has not seen. The folder must exist and be private.
//
// Errors: [vault.ErrLoosePermissions], [vault.ErrNetworkFilesystem],
// [vault.ErrNewer], [vault.ErrForeign], [vault.ErrReadOnly], [vault.ErrBusy],
// [vault.ErrCorrupt].
func Open(ctx context.Context, path string, migrations []Migration) (*DB, error) {
	return open(ctx, path, migrations, BusyTimeout)
}

func open(ctx context.Context, path string, migrations []Migration, busy time.Duration) (*DB, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := prepareFile(path); err != nil {
		return nil, err
	}
	db := &DB{
		uri:    fileURI(path),
		busy:   busy,
		queue:  queue{stopped: make(chan struct{})},
		closed: make(chan struct{}),
		idle:   make(chan *conn, readers),
		permit: make(chan struct{}, readers),
	}
	for range readers {
		db.permit <- struct{}{}
	}
	var err error
	if db.writer, err = connect(dsn(db.uri, busy)); err != nil {
		return nil, err
	}
	if err := db.migrate(ctx, path, migrations); err != nil {
		return nil, errors.Join(err, db.writer.close(), db.turn.close())
	}
	return db, nil
}

// dsn has the pragmas that run on every new connection. They change nothing in
// the file; the journal mode is set after a look at whose file it is.
func dsn(uri string, busy time.Duration) string {
	return fmt.Sprintf("%s?_pragma=busy_timeout(%d)&_pragma=synchronous(FULL)&_pragma=checkpoint_fullfsync(ON)"+
		"&_pragma=wal_autocheckpoint(0)&_pragma=journal_size_limit(%d)"+
		"&_pragma=temp_store(MEMORY)&_pragma=secure_delete(ON)&_pragma=trusted_schema(OFF)&_dqs=0",
		uri, busy.Milliseconds(), keepLog)
}

func prepareFile(path string) error {
	dir := filepath.Dir(path)
	if err := private.CheckDir(dir); err != nil {
		return err
	}
	// SQLite's log needs all processes on one host (sqlite.org/wal.html).
	if remote, err := onNetwork(dir); err != nil {
		return mapError(err)
	} else if remote {
		return fmt.Errorf("%w: %s", vault.ErrNetworkFilesystem, dir)
	}
	if err := private.CheckFile(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Also a file that is there is opened for writing first: SQLite would leave
	// its log beside a read-only one with the same permissions.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the caller names the file
	if err != nil {
		return mapError(err)
	}
	return f.Close()
}

// Close waits for queued writes and running views, folds the log into the
// database and closes it. Calls after it return [ErrClosed].
func (db *DB) Close() error {
	if !db.queue.close() {
		return nil
	}
	close(db.closed)
	errs := []error{db.closeFolding()}
	for range readers { // waits for views in flight
		select {
		case c := <-db.idle:
			errs = append(errs, c.close())
		case <-db.permit:
		}
	}
	// The last connection to close folds the log and removes it.
	return errors.Join(append(errs, db.writer.close(), db.turn.close())...)
}

// ErrClosed means that the database was closed before the call.
var ErrClosed = errors.New("database is closed")

// View runs fn in a read-only snapshot. fn must not keep tx. When ctx ends
// before fn has started, ctx's error returns.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	c, err := db.reader(ctx)
	if err != nil {
		return err
	}
	defer func() { db.idle <- c }()
	if err := c.begin("BEGIN"); err != nil {
		return err
	}
	defer c.rollback() // nothing to keep, and cheaper than a commit
	return fn(&Tx{c: c})
}

func (db *DB) reader(ctx context.Context) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-db.closed:
		return nil, ErrClosed
	default:
	}
	select { // an open one rather than a new one
	case c := <-db.idle:
		return c, nil
	default:
	}
	select {
	case c := <-db.idle:
		return c, nil
	case <-db.permit:
		c, err := connect(dsn(db.uri, db.busy) + "&_pragma=query_only(ON)")
		if err != nil {
			db.permit <- struct{}{}
		}
		return c, err
	case <-db.closed:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

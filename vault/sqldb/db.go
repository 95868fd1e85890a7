package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the "sqlite" driver

	"github.com/coatcheck-dev/coatcheck/vault/private"
)

// BusyTimeout bounds the wait for another process's transaction.
const BusyTimeout = 5 * time.Second

// readers is the number of connections that [DB.View] may use at once.
const readers = 4

// DB is an open state database, safe for concurrent use.
type DB struct {
	sql    *sql.DB
	writer *conn
	jobs   chan *job
	done   chan struct{} // closed when the writer has stopped

	mu     sync.RWMutex // held for reading while a job is being queued
	closed bool

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
	if err := prepareFile(path); err != nil {
		return nil, err
	}
	// Pragmas run on every new connection. The busy timeout comes first, so
	// that switching to the log may wait for another process doing the same.
	dsn := fmt.Sprintf("file:%s?_pragma=busy_timeout(%d)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"+
		"&_pragma=temp_store(MEMORY)&_pragma=secure_delete(ON)&_pragma=trusted_schema(OFF)&_dqs=0",
		escapeURIPath(path), BusyTimeout.Milliseconds())
	pool, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, mapError(err)
	}
	db := &DB{
		sql:    pool,
		jobs:   make(chan *job, maxBatch),
		done:   make(chan struct{}),
		idle:   make(chan *conn, readers),
		permit: make(chan struct{}, readers),
	}
	for range readers {
		db.permit <- struct{}{}
	}
	if db.writer, err = db.connect(ctx); err == nil {
		err = migrate(db.writer, migrations)
	}
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	go db.write()
	return db, nil
}

func prepareFile(path string) error {
	dir := filepath.Dir(path)
	if err := private.CheckDir(dir); err != nil {
		return err
	}
	if err := refuseNetworkFilesystem(dir); err != nil {
		return err
	}
	err := private.CheckFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return mapError(err)
	}
	return f.Close()
}

// Close waits for queued writes, folds the log into the database and closes it.
// Calls after it return [ErrClosed].
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	db.closed = true
	close(db.jobs)
	db.mu.Unlock()
	<-db.done
	errs := []error{db.writer.close()}
	for range readers { // waits for views in flight
		select {
		case c := <-db.idle:
			errs = append(errs, c.close())
		case <-db.permit:
		}
	}
	return errors.Join(append(errs, db.sql.Close())...)
}

// ErrClosed: the database was closed before the call.
var ErrClosed = errors.New("database is closed")

// View runs fn in a read-only snapshot. fn must not keep tx.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	c, err := db.reader(ctx)
	if err != nil {
		return err
	}
	defer func() { db.idle <- c }()
	if err := c.exec("BEGIN"); err != nil {
		return err
	}
	defer c.rollback() // nothing to keep, and cheaper than a commit
	return fn(&Tx{c: c})
}

func (db *DB) reader(ctx context.Context) (*conn, error) {
	db.mu.RLock()
	closed := db.closed
	db.mu.RUnlock()
	if closed {
		return nil, ErrClosed
	}
	select {
	case c := <-db.idle:
		return c, nil
	default:
	}
	select {
	case c := <-db.idle:
		return c, nil
	case <-db.permit:
		c, err := db.connect(ctx)
		if err != nil {
			db.permit <- struct{}{}
		}
		return c, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// conn is one connection with its prepared statements; one goroutine at a time
// uses it.
type conn struct {
	sql   *sql.Conn
	stmts map[string]*sql.Stmt
}

func (db *DB) connect(ctx context.Context) (*conn, error) {
	c, err := db.sql.Conn(ctx)
	if err != nil {
		return nil, mapError(err)
	}
	return &conn{sql: c, stmts: map[string]*sql.Stmt{}}, nil
}

// prepare returns the statement, prepared once a connection. Statements run
// without a cancellable context: a transaction is short and ends whole.
func (c *conn) prepare(query string) (*sql.Stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	s, err := c.sql.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, mapError(err)
	}
	c.stmts[query] = s
	return s, nil
}

func (c *conn) exec(query string) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	_, err = s.ExecContext(context.Background())
	return mapError(err)
}

// rollback ends a transaction; it fails only where SQLite has ended it already.
func (c *conn) rollback() { _ = c.exec("ROLLBACK") }

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.sql.Close())...)
}

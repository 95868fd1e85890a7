package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"

	modernc "modernc.org/sqlite"
)

// conn is one connection with its prepared statements; one goroutine at a time
// uses it. It speaks to the driver itself: database/sql's pool, locks and
// conversions cost a third of a short query and give nothing here.
type conn struct {
	driver driver.Conn
	stmts  map[string]*stmt
	args   []driver.NamedValue // of the call in progress; the driver keeps none
	broken error               // SQLite may have ended the transaction by itself
	shared map[any]any         // see [Tx.Shared]
	kept   uint32              // version of the database that shared belongs to; 0: of none
}

// maxShared is how many things one commit leaves to the next in [Tx.Shared].
const maxShared = 256

type stmt struct {
	driver preparedStmt
	busy   bool // its rows are being read
	cached bool
}

type preparedStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

func connect(dsn string) (*conn, error) {
	c, err := new(modernc.Driver).Open(dsn)
	if err != nil {
		return nil, mapError(err)
	}
	return &conn{driver: c, stmts: map[string]*stmt{}, shared: map[any]any{}}, nil
}

// check maps a driver's error and remembers one after which SQLite may have
// rolled back everything (sqlite.org/lang_transaction.html, "Response To Errors
// Within A Transaction"): what came next would be no part of a transaction.
func (c *conn) check(err error) error {
	if err == nil {
		return nil
	}
	if c.broken == nil && endsTransaction(err) {
		c.broken = mapError(err)
	}
	return mapError(err)
}

// begin starts a transaction.
func (c *conn) begin(statement string) error {
	c.broken = nil
	_, err := c.exec(statement)
	if err != nil || c.kept == 0 || c.kept != c.version() || len(c.shared) > maxShared {
		clear(c.shared)
	}
	c.kept = 0
	return err
}

// commit ends a transaction that began IMMEDIATE. What it shares holds for the
// next one, if nobody else has written by then.
func (c *conn) commit() error {
	_, err := c.exec("COMMIT")
	if err == nil {
		c.kept = c.version()
	}
	return err
}

// version tells states of the database apart: it changes with each commit of this
// connection, and when a transaction of it finds that there was another's. SQLite
// drops its own cache of pages by the same sign. 0 is unknown.
func (c *conn) version() uint32 {
	v, err := c.driver.(modernc.FileControl).FileControlDataVersion("main")
	if err != nil {
		return 0
	}
	return v
}

// rollback ends a transaction; it fails only where SQLite has ended it already.
func (c *conn) rollback() { _, _ = c.exec("ROLLBACK") }

// acquire returns the statement, prepared once a connection; a second time
// when its rows are being read.
//
//nolint:contextcheck,nolintlint // a transaction is short and ends whole; tells contextcheck about the callers
func (c *conn) acquire(query string) (*stmt, error) {
	s, ok := c.stmts[query]
	if ok && !s.busy {
		s.busy = true
		return s, nil
	}
	prepared, err := c.driver.(driver.ConnPrepareContext).PrepareContext(context.Background(), query)
	if err != nil {
		return nil, c.check(err)
	}
	s = &stmt{driver: prepared.(preparedStmt), busy: true, cached: !ok}
	if s.cached {
		c.stmts[query] = s
	}
	return s, nil
}

func (s *stmt) release() error {
	s.busy = false
	if s.cached {
		return nil
	}
	return s.driver.Close()
}

// bind converts arguments as database/sql does.
func (c *conn) bind(args []any) ([]driver.NamedValue, error) {
	c.args = c.args[:0]
	for i, arg := range args {
		v := driver.NamedValue{Ordinal: i + 1}
		switch a := arg.(type) {
		case nil, int64, string, []byte, bool:
			v.Value = a
		case int:
			v.Value = int64(a)
		default:
			var err error
			if v.Value, err = driver.DefaultParameterConverter.ConvertValue(arg); err != nil {
				return nil, err
			}
		}
		c.args = append(c.args, v)
	}
	return c.args, nil
}

// exec runs a statement and returns how many rows it changed.
//
//nolint:contextcheck,nolintlint // a transaction is short and ends whole; tells contextcheck about the callers
func (c *conn) exec(query string, args ...any) (changed int64, err error) {
	s, err := c.acquire(query)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.release()) }()
	bound, err := c.bind(args)
	if err != nil {
		return 0, err
	}
	r, err := s.driver.ExecContext(context.Background(), bound)
	if err != nil {
		return 0, c.check(err)
	}
	changed, err = r.RowsAffected()
	return changed, c.check(err)
}

// query calls each for every row until it returns an error.
//
//nolint:contextcheck,nolintlint // a transaction is short and ends whole; tells contextcheck about the callers
func (c *conn) query(query string, args []any, each func(columns []driver.Value) error) (err error) {
	s, err := c.acquire(query)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.release()) }()
	bound, err := c.bind(args)
	if err != nil {
		return err
	}
	rows, err := s.driver.QueryContext(context.Background(), bound)
	if err != nil {
		return c.check(err)
	}
	// Also when each panics: rows left open would keep the connection in the
	// snapshot of this transaction for good.
	defer func() { err = errors.Join(err, c.check(rows.Close())) }()
	return c.eachRow(rows, each)
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts { // an open statement would keep the log from being folded
		errs = append(errs, s.driver.Close())
	}
	return errors.Join(append(errs, c.driver.Close())...)
}

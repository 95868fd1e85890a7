package sqldb

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"
)

// ErrNoRows is what [Row.Scan] returns when the query found nothing.
var ErrNoRows = sql.ErrNoRows

// Tx is one running transaction, valid until the function it was given to
// returns. It is not safe for concurrent use. Its methods block on I/O and
// return the errors of package vault.
//
// Arguments and scanned columns are integers, strings, byte slices, booleans,
// types of those kinds, or what implements [driver.Valuer] and [sql.Scanner].
type Tx struct {
	c     *conn
	erase bool
}

// Exec runs a statement and returns how many rows it changed.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	if tx.c.broken != nil {
		return 0, tx.c.broken
	}
	return tx.c.exec(query, args...)
}

// QueryRow prepares a query of which the first row counts; [Row.Scan] runs it.
func (tx *Tx) QueryRow(query string, args ...any) Row {
	return Row{tx: tx, query: query, args: args}
}

// Shared holds what writes know of the database's state, such as the last number
// given out, so that the next in the same commit, or in the next one, need not
// ask it again. Whoever changes what is known there says so there. It is empty
// when another connection has written since, after a write was undone, now and
// then, and in a view. A key is of a type of the package that uses it.
func (tx *Tx) Shared() map[any]any { return tx.c.shared }

// Row is a query to be run by its Scan.
type Row struct {
	tx    *Tx
	query string
	args  []any
}

// Scan runs the query and copies the columns of its first row, or returns
// [ErrNoRows].
func (r Row) Scan(dest ...any) error {
	err := r.tx.query(r.query, r.args, func(columns []driver.Value) error {
		if err := scan(columns, dest); err != nil {
			return err
		}
		return errFound
	})
	switch {
	case err == nil:
		return ErrNoRows
	case errors.Is(err, errFound):
		return nil
	default:
		return err
	}
}

var errFound = errors.New("found")

// Query runs a query and calls each for every row, with a function that copies
// the columns. It stops at the first error. Other statements may run meanwhile.
func (tx *Tx) Query(query string, args []any, each func(scan func(dest ...any) error) error) error {
	return tx.query(query, args, func(columns []driver.Value) error {
		return each(func(dest ...any) error { return scan(columns, dest) })
	})
}

func (tx *Tx) query(query string, args []any, each func([]driver.Value) error) error {
	if tx.c.broken != nil {
		return tx.c.broken
	}
	return tx.c.query(query, args, each)
}

// Erase asks that what this transaction deletes leaves the write-ahead log
// too, right after the commit. A reader at work can put it off to the next time
// the log is folded.
func (tx *Tx) Erase() { tx.erase = true }

// Micros is how a time is stored: microseconds since 1970 UTC, 0 for the zero time.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time reads back what [Micros] made.
func Time(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

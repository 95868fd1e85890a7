package sqldb

import (
	"context"
	"database/sql"
	"time"
)

// ErrNoRows is what [Row.Scan] returns when the query found nothing.
var ErrNoRows = sql.ErrNoRows

// Tx is one running transaction, valid until the function it was given to
// returns. It is not safe for concurrent use. Its methods block on I/O and
// return the errors of package vault.
type Tx struct{ c *conn }

// Exec runs a statement and returns how many rows it changed.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	s, err := tx.c.prepare(query)
	if err != nil {
		return 0, err
	}
	r, err := s.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, mapError(err)
	}
	n, err := r.RowsAffected()
	return n, mapError(err)
}

// QueryRow runs a query of at most one row.
func (tx *Tx) QueryRow(query string, args ...any) Row {
	s, err := tx.c.prepare(query)
	if err != nil {
		return Row{err: err}
	}
	return Row{row: s.QueryRowContext(context.Background(), args...)}
}

// Row is the answer of [Tx.QueryRow].
type Row struct {
	row *sql.Row
	err error
}

// Scan copies the columns, or returns [ErrNoRows].
func (r Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	return mapError(r.row.Scan(dest...))
}

// Query runs a query and calls each for every row, with a function that copies
// the columns. It stops at the first error.
func (tx *Tx) Query(query string, args []any, each func(scan func(dest ...any) error) error) (err error) {
	s, err := tx.c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(context.Background(), args...)
	if err != nil {
		return mapError(err)
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = mapError(e)
		}
	}()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return mapError(rows.Err())
}

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

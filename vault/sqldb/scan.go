package sqldb

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/coatcheck-dev/coatcheck/vault"
)

func (c *conn) eachRow(rows driver.Rows, each func([]driver.Value) error) error {
	columns := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(columns); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return c.check(err)
		}
		if err := each(columns); err != nil {
			return err
		}
	}
}

// scan copies columns to dest, pointers to integers, strings, bytes, booleans,
// floats, types of those kinds, or [sql.Scanner]s.
func scan(columns []driver.Value, dest []any) error {
	if len(columns) != len(dest) {
		return fmt.Errorf("query has %d columns, scan %d", len(columns), len(dest))
	}
	for i, d := range dest {
		if err := assign(d, columns[i]); err != nil {
			return fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	return nil
}

func assign(dest any, v driver.Value) error {
	switch d := dest.(type) {
	case *int64:
		if n, ok := v.(int64); ok {
			*d = n
			return nil
		}
	case *int:
		if n, ok := v.(int64); ok {
			*d = int(n)
			return nil
		}
	case *string:
		if s, ok := v.(string); ok {
			*d = s
			return nil
		}
	case *[]byte:
		switch b := v.(type) {
		case nil:
			*d = nil
			return nil
		case []byte: // a fresh copy that the driver made
			*d = b
			return nil
		case string: // TEXT
			*d = []byte(b)
			return nil
		}
	case *any:
		*d = v
		return nil
	case sql.Scanner:
		return d.Scan(v)
	}
	return assignKind(dest, v)
}

// assignKind serves the rarer types.
func assignKind(dest any, v driver.Value) error {
	p := reflect.ValueOf(dest)
	if p.Kind() == reflect.Pointer && !p.IsNil() {
		switch to := p.Elem(); n := v.(type) {
		case int64:
			switch {
			case to.Kind() == reflect.Bool:
				to.SetBool(n != 0)
				return nil
			case to.CanInt() && !to.OverflowInt(n):
				to.SetInt(n)
				return nil
			case to.CanUint() && n >= 0 && !to.OverflowUint(uint64(n)):
				to.SetUint(uint64(n))
				return nil
			case to.CanFloat():
				to.SetFloat(float64(n))
				return nil
			}
		case float64:
			if to.CanFloat() {
				to.SetFloat(n)
				return nil
			}
		case string:
			if to.Kind() == reflect.String {
				to.SetString(n)
				return nil
			}
		}
	}
	// A column of another type than its table says was edited from outside, as
	// SQLite lets everybody. Types only, never the value.
	return fmt.Errorf("%w: cannot store %T in %T", vault.ErrCorrupt, v, dest)
}

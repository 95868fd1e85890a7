package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// sweepBatch bounds how many rows one transaction seals anew: its updates take a
// few milliseconds, within the wait that writers are promised (DESIGN §11).
const sweepBatch = 200

// maxNamed is how many damaged records an error names.
const maxNamed = 5

// sweep seals every record and head anew that the newest key has not sealed.
// Batches are read and sealed outside of the write transaction, which then
// changes only rows that are still as they were read: who changed one meanwhile
// has used the newest key already, since [Keyring.BeginRekey] is committed.
type sweep struct {
	keys *Keyring
	db   *sqldb.DB
	to   *keys
	work Work

	done    int
	damaged []string
	bad     int
}

// sealedColumn is one kind of sealed thing, with the two columns of its key.
type sealedColumn struct {
	table, number, sealed string
	aad                   func(k *Keyring, path string, number int) []byte
	name                  string // of a damaged one; a format for path and number
}

func sealedColumns() []sealedColumn {
	return []sealedColumn{
		{"vault_secrets", "first", "record", func(k *Keyring, path string, n int) []byte { return k.recordAAD(vault.Path(path), n) }, "metadata of %q from version %d on"},
		{"vault_versions", "version", "head", func(k *Keyring, path string, n int) []byte {
			return k.versionAAD(headSchema, vault.Path(path), n)
		}, "%q version %d"},
	}
}

// run sweeps until a look at everything finds nothing left.
func (s *sweep) run(ctx context.Context) error {
	for before := -1; before < s.done; {
		before, s.damaged, s.bad = s.done, nil, 0
		for _, column := range sealedColumns() {
			if err := s.column(ctx, column); err != nil {
				return err
			}
		}
	}
	if s.bad > 0 {
		more := ""
		if s.bad > len(s.damaged) {
			more = fmt.Sprintf(" and %d more", s.bad-len(s.damaged))
		}
		return fmt.Errorf("%w: %s%s", vault.ErrCorrupt, strings.Join(s.damaged, ", "), more)
	}
	return nil
}

// sealedRow is one sealed thing and what takes its place.
type sealedRow struct {
	path        string
	number      int
	sealed, now []byte
}

func (s *sweep) column(ctx context.Context, c sealedColumn) error {
	var at sealedRow
	for {
		var rows []sealedRow
		err := s.db.View(ctx, func(tx *sqldb.Tx) (err error) {
			rows, err = s.read(tx, c, at)
			return err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		at = rows[len(rows)-1]
		batch := rows[:0]
		for _, r := range rows {
			r.now, err = s.keys.reseal(s.to, r.sealed, c.aad(s.keys, r.path, r.number))
			if errors.Is(err, vault.ErrCorrupt) {
				s.note(fmt.Sprintf(c.name, r.path, r.number))
				continue
			}
			if err != nil {
				return err
			}
			batch = append(batch, r)
		}
		if err := s.store(ctx, c, batch); err != nil {
			return err
		}
	}
}

func (s *sweep) note(damaged string) {
	if s.bad++; len(s.damaged) < maxNamed {
		s.damaged = append(s.damaged, damaged)
	}
}

// read returns the next rows that another key than the newest has sealed.
func (s *sweep) read(tx *sqldb.Tx, c sealedColumn, after sealedRow) (rows []sealedRow, err error) {
	query := fmt.Sprintf("SELECT path, %[2]s, %[3]s FROM %[1]s WHERE (path, %[2]s) > (?, ?) AND substr(%[3]s, 1, ?) <> ? ORDER BY path, %[2]s LIMIT ?",
		c.table, c.number, c.sealed)
	err = tx.Query(query, []any{after.path, after.number, prefixBytes, s.to.primary[:], sweepBatch}, func(scan func(...any) error) error {
		var r sealedRow
		err := scan(&r.path, &r.number, &r.sealed)
		rows = append(rows, r)
		return err
	})
	return rows, err
}

// store writes a batch in one transaction, as long as the keyset is the one it
// was sealed for.
func (s *sweep) store(ctx context.Context, c sealedColumn, batch []sealedRow) error {
	if len(batch) == 0 {
		return nil
	}
	update := fmt.Sprintf("UPDATE %s SET %s = ? WHERE path = ? AND %s = ? AND %s = ?", c.table, c.sealed, c.number, c.sealed)
	changed := 0
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		changed = 0
		now, err := s.keys.current(tx)
		if err == nil && !bytes.Equal(now.sealed, s.to.sealed) {
			err = fmt.Errorf("%w: another process is giving the vault a new key", vault.ErrBusy)
		}
		if err != nil {
			return err
		}
		for _, r := range batch {
			n, err := tx.Exec(update, r.now, r.path, r.number, r.sealed)
			if err != nil {
				return err
			}
			changed += int(n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.done += changed
	if s.work.Progress != nil {
		return s.work.Progress(s.done)
	}
	return nil
}

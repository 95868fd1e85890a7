package handle_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// BenchmarkHotPath measures what `get_secret` writes — a handle and a leaf in
// one durable transaction — beside a transaction that inserts one bare row, in
// the same run. "full" is the same with the ring of the principal full.
func BenchmarkHotPath(b *testing.B) {
	dir := b.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	db, err := sqldb.Open(b.Context(), filepath.Join(dir, "test.db"), slices.Concat(handle.Migrations(), audit.Migrations(),
		[]sqldb.Migration{{Name: "bare", SQL: []string{"CREATE TABLE bare (id BIGINT NOT NULL PRIMARY KEY, text TEXT NOT NULL)"}}}))
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	}()
	s, log := handle.New(rows), audit.New(nil, nil) // appending signs nothing
	sp := spec(me)
	entry := audit.Entry{
		Time: noon, Event: "handle.issued", Actor: me, Door: "mcp", Client: "claude-ai 0.1.0", Path: sp.Path,
		Outcome: audit.OK, Rule: sp.Rule, RuleHash: "0123456789ab",
	}
	issue := func(tx *sqldb.Tx) error {
		_, h, err := s.Mint(tx, sp, noon)
		if err != nil {
			return err
		}
		entry.Handle = h.ID
		_, err = log.Append(tx, entry)
		return err
	}
	measure := func(name string, fn func(tx *sqldb.Tx) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				update(b, db, fn)
			}
		})
	}
	n := 0
	measure("bare row", func(tx *sqldb.Tx) error {
		n++
		_, err := tx.Exec("INSERT INTO bare (id, text) VALUES (?, ?)", n, "one row")
		return err
	})
	measure("handle and leaf", func(tx *sqldb.Tx) error {
		if n++; n%500 == 0 { // keep the ring from filling up
			if _, err := tx.Exec("DELETE FROM handles"); err != nil {
				return err
			}
		}
		return issue(tx)
	})
	update(b, db, func(tx *sqldb.Tx) error { ring(b, tx, s, sp, handle.MaxLive, noon); return nil })
	measure("handle and leaf, full", issue)
	measure("leaf", func(tx *sqldb.Tx) error {
		_, err := log.Append(tx, entry)
		return err
	})
	var text string
	update(b, db, func(tx *sqldb.Tx) error { text, _ = mustMint(b, tx, s, sp, noon); return nil })
	measure("spend and leaf", func(tx *sqldb.Tx) error {
		if _, err := s.Spend(tx, me, text, noon); err != nil {
			return err
		}
		_, err := log.Append(tx, entry)
		return err
	})
}

// BenchmarkStatements measures the same without the commit: CPU alone.
func BenchmarkStatements(b *testing.B) {
	db, _ := open(b)
	s := handle.New(rows)
	inTx := func(name string, fn func(tx *sqldb.Tx) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			update(b, db, func(tx *sqldb.Tx) error {
				for b.Loop() {
					if err := fn(tx); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	now := noon
	inTx("mint", func(tx *sqldb.Tx) error {
		now = now.Add(time.Millisecond)
		_, _, err := s.Mint(tx, spec(me), now)
		return err
	})
	var text, oldest string
	update(b, db, func(tx *sqldb.Tx) error {
		oldest, _ = mustMint(b, tx, s, spec(other), noon)
		ring(b, tx, s, spec(other), handle.MaxLive-2, noon)
		text, _ = mustMint(b, tx, s, spec(other), noon)
		return nil
	})
	inTx("spend", func(tx *sqldb.Tx) error { _, err := s.Spend(tx, other, text, noon); return err })
	inTx("look up", func(tx *sqldb.Tx) error { _, err := s.Lookup(tx, other, text, noon); return err })
	inTx("look up the oldest of a full ring", func(tx *sqldb.Tx) error { _, err := s.Lookup(tx, other, oldest, noon); return err })
	inTx("mistyped", func(tx *sqldb.Tx) error {
		if _, err := s.Spend(tx, other, text+"0", noon); err == nil {
			b.Error("accepted")
		}
		return nil
	})
}

package audit_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// backup and restore keep one good log beside the one that a test spoils.
func (s *state) backup(tb testing.TB) {
	tb.Helper()
	s.update(tb, func(tx *sqldb.Tx) error {
		for _, table := range []string{"audit_leaves", "audit_tiles", "audit_checkpoints"} {
			if err := run(tx, "DROP TABLE IF EXISTS good_"+table, "CREATE TABLE good_"+table+" AS SELECT * FROM "+table); err != nil {
				return err
			}
		}
		return nil
	})
}

func restore(tx *sqldb.Tx) error {
	for _, table := range []string{"audit_leaves", "audit_tiles", "audit_checkpoints"} {
		if err := run(tx, "DELETE FROM "+table, "INSERT INTO "+table+" SELECT * FROM good_"+table); err != nil {
			return err
		}
	}
	return nil
}

// run changes tables as somebody else would, past what this desk knows of them.
func run(tx *sqldb.Tx, statements ...string) error {
	clear(tx.Shared())
	for _, s := range statements {
		if _, err := tx.Exec(s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// attack is what somebody with the database and without the key does to
// record k of a log with n records; it returns the first record that is wrong.
type attack func(tx *sqldb.Tx, k, n int64) (first int64, err error)

func exec(tx *sqldb.Tx, query string, args ...any) error {
	_, err := tx.Exec(query, args...)
	return err
}

// shift moves the records from k on by one place, up or down.
func shift(tx *sqldb.Tx, k, by int64) error {
	if err := exec(tx, "UPDATE audit_leaves SET seq = -(seq + ?) WHERE seq >= ?", by, k); err != nil {
		return err
	}
	return exec(tx, "UPDATE audit_leaves SET seq = -seq WHERE seq < 0")
}

var forged = `{"event":"secret.read","time":"2026-01-02T03:04:05.000006Z","v":1}`

var attacks = map[string]attack{
	"edit": func(tx *sqldb.Tx, k, _ int64) (int64, error) {
		return k, exec(tx, "UPDATE audit_leaves SET leaf = replace(leaf, 'mcp', 'cli') WHERE seq = ?", k)
	},
	"empty": func(tx *sqldb.Tx, k, _ int64) (int64, error) {
		return k, exec(tx, "UPDATE audit_leaves SET leaf = '' WHERE seq = ?", k)
	},
	"delete": func(tx *sqldb.Tx, k, _ int64) (int64, error) {
		return k, exec(tx, "DELETE FROM audit_leaves WHERE seq = ?", k)
	},
	"delete and close up": func(tx *sqldb.Tx, k, _ int64) (int64, error) {
		if err := exec(tx, "DELETE FROM audit_leaves WHERE seq = ?", k); err != nil {
			return 0, err
		}
		return k, shift(tx, k+1, -1)
	},
	"insert": func(tx *sqldb.Tx, k, _ int64) (int64, error) {
		if err := shift(tx, k, 1); err != nil {
			return 0, err
		}
		return k, exec(tx, "INSERT INTO audit_leaves (seq, leaf) VALUES (?, ?)", k, forged)
	},
	"insert before all": func(tx *sqldb.Tx, k, _ int64) (int64, error) {
		return 1, exec(tx, "INSERT INTO audit_leaves (seq, leaf) VALUES (?, ?)", 1-k, forged)
	},
	"duplicate": func(tx *sqldb.Tx, k, n int64) (int64, error) {
		if k == n {
			return n, exec(tx, "UPDATE audit_leaves SET leaf = ? WHERE seq = ?", forged, n)
		}
		return k + 1, exec(tx, "UPDATE audit_leaves SET leaf = (SELECT leaf FROM audit_leaves WHERE seq = ?) WHERE seq = ?", k, k+1)
	},
	"swap": func(tx *sqldb.Tx, k, n int64) (int64, error) {
		other := n - k + 1
		if other == k {
			other = k%n + 1
		}
		return min(k, other), swap(tx, k, other)
	},
	"swap neighbours": func(tx *sqldb.Tx, k, n int64) (int64, error) {
		other := k%n + 1
		return min(k, other), swap(tx, k, other)
	},
	"truncate": func(tx *sqldb.Tx, k, _ int64) (int64, error) {
		return k, exec(tx, "DELETE FROM audit_leaves WHERE seq >= ?", k)
	},
	"truncate with the checkpoints": func(tx *sqldb.Tx, k, _ int64) (int64, error) {
		if err := exec(tx, "DELETE FROM audit_checkpoints WHERE size >= ?", k); err != nil {
			return 0, err
		}
		return k, exec(tx, "DELETE FROM audit_leaves WHERE seq >= ?", k)
	},
}

func swap(tx *sqldb.Tx, a, b int64) error {
	return run(tx, fmt.Sprintf(`UPDATE audit_leaves SET leaf = (SELECT o.leaf FROM audit_leaves AS o WHERE o.seq = %d - audit_leaves.seq)
		WHERE seq IN (%d, %d)`, a+b, a, b))
}

// check spoils the log and expects that the named record is the first in doubt.
func (s *state) check(t *testing.T, name string, k, n int64, anchor []byte) {
	t.Helper()
	var first int64
	s.update(t, func(tx *sqldb.Tx) (err error) {
		if err = restore(tx); err == nil {
			first, err = attacks[name](tx, k, n)
		}
		return err
	})
	_, err := audit.Verify(t.Context(), s.DB, s.key, anchor)
	var tampered *audit.TamperError
	if !errors.As(err, &tampered) || tampered.Seq != first {
		t.Errorf("%s at %d of %d: want record %d, got %v", name, k, n, first, err)
	}
}

// TestEveryChangeIsNamed does everything to every record of all small logs.
func TestEveryChangeIsNamed(t *testing.T) {
	s := open(t)
	for n := int64(1); n <= 9-scale/2; n++ {
		s.add(t, 1)
		anchor := s.checkpoint(t)
		s.backup(t)
		for name := range attacks {
			for k := int64(1); k <= n; k++ {
				if strings.HasPrefix(name, "swap") && n == 1 {
					continue
				}
				s.check(t, name, k, n, anchor)
			}
		}
		s.update(t, restore)
	}
	if _, err := audit.Verify(t.Context(), s.DB, s.key, s.checkpoint(t)); err != nil {
		t.Errorf("the good log: %v", err)
	}
}

// TestChangesInALongLogAreNamed samples a log of more than one tile and more
// than one checkpoint.
func TestChangesInALongLogAreNamed(t *testing.T) {
	s := open(t)
	const n = 1000
	var anchor []byte
	for range n / 100 {
		s.add(t, 100)
		anchor = s.checkpoint(t)
	}
	s.backup(t)
	positions := map[int64]bool{1: true, 256: true, 257: true, 1000: true}
	random := rand.New(rand.NewPCG(1, 2))
	for len(positions) < 24/scale {
		positions[1+random.Int64N(n)] = true
	}
	for k := range positions {
		for name := range attacks {
			s.check(t, name, k, n, anchor)
		}
	}
}

package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// refuses asks for a checkpoint that must not be signed, and sees that nothing
// is stored either.
func (s *state) refuses(t *testing.T, anchor []byte, what string) {
	t.Helper()
	before := s.contents(t)
	signed, err := s.log.Checkpoint(t.Context(), s.DB, anchor)
	if _, tampered := errors.AsType[*audit.TamperError](err); !tampered || signed != nil || !strings.Contains(err.Error(), what) {
		t.Errorf("want %q; got %q, %v", what, signed, err)
	}
	if s.contents(t) != before {
		t.Error("the refused checkpoint changed the database")
	}
}

// contents is what the tables of the log hold.
func (s *state) contents(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	if err := s.View(t.Context(), func(tx *sqldb.Tx) error {
		for _, query := range []string{
			"SELECT 'tile', level || '/' || tile, hex(hashes) FROM audit_tiles ORDER BY level, tile",
			"SELECT 'checkpoint', cast(size AS TEXT), note FROM audit_checkpoints ORDER BY size",
			"SELECT 'key', origin, hex(sealed) FROM audit_keys",
			"SELECT 'leaves', cast(coalesce(max(seq), 0) AS TEXT), cast(count(*) AS TEXT) FROM audit_leaves",
		} {
			if err := tx.Query(query, nil, func(scan func(...any) error) error {
				var row [3]string
				err := scan(&row[0], &row[1], &row[2])
				fmt.Fprintln(&all, row)
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// TestEveryAnchorIsProven takes anchors of many sizes, around the borders of
// tiles, and proves each against logs of many sizes.
func TestEveryAnchorIsProven(t *testing.T) {
	skey, vkey, err := audit.NewKey("coatcheck.test/log")
	if err != nil {
		t.Fatal(err)
	}
	s, other := openWith(t, skey, vkey), openWith(t, skey, vkey)
	other.n = 1_000_000
	var anchors, foreign [][]byte
	for _, size := range []int{0, 1, 2, 255, 256, 257, 511, 512, 700, 1024, 65536, 65792, 65900} {
		if size > 1024 && scale > 1 {
			break // a third level of the tree
		}
		s.add(t, size-s.n)
		anchors = append(anchors, s.checkpoint(t))
		if size <= 1024 {
			other.add(t, size-(other.n-1_000_000))
			foreign = append(foreign, other.checkpoint(t))
		}
		for i, anchor := range anchors {
			signed, err := s.log.Checkpoint(t.Context(), s.DB, anchor)
			if err != nil || !bytes.Equal(signed, anchors[len(anchors)-1]) {
				t.Errorf("anchor %d against %d records: %q, %v", i, size, signed, err)
			}
			if i > 0 && i < len(foreign) {
				s.refuses(t, foreign[i], "forked")
			}
		}
	}
}

// TestAnAnchorAheadOfTheDatabase: the newest checkpoint in the database was
// lost, and the records are there.
func TestAnAnchorAheadOfTheDatabase(t *testing.T) {
	s := open(t)
	s.add(t, 300)
	s.checkpoint(t)
	s.backup(t)
	s.add(t, 300)
	anchor := s.checkpoint(t)
	s.update(t, restore)
	s.refuses(t, anchor, "the anchor covers 600 records and the log ends at 300: it was cut, or an older copy was put back")
	s.n = 300
	s.add(t, 299)
	s.refuses(t, anchor, "the anchor covers 600 records and the log ends at 599")
	s.add(t, 2)
	if signed, err := s.log.Checkpoint(t.Context(), s.DB, anchor); err != nil || !strings.Contains(string(signed), "\n601\n") {
		t.Errorf("the same history again: %q, %v", signed, err)
	}
	s.update(t, restore)
	s.n = 10_000
	s.add(t, 400)
	s.refuses(t, anchor, "forked")
}

// TestABorrowedTileProvesNothing puts a tile of the anchor's history into a
// forked log, where the tree above does not have it.
func TestABorrowedTileProvesNothing(t *testing.T) {
	skey, vkey, err := audit.NewKey("coatcheck.test/log")
	if err != nil {
		t.Fatal(err)
	}
	s, other := openWith(t, skey, vkey), openWith(t, skey, vkey)
	s.add(t, 100)
	anchor := s.checkpoint(t)
	s.add(t, 500)
	s.checkpoint(t)
	other.n = 10_000
	other.add(t, 600)
	other.checkpoint(t)
	other.refuses(t, anchor, "forked")
	var tile []byte
	if err := s.View(t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow("SELECT hashes FROM audit_tiles WHERE level = 0 AND tile = 0").Scan(&tile)
	}); err != nil {
		t.Fatal(err)
	}
	other.update(t, func(tx *sqldb.Tx) error {
		return exec(tx, "UPDATE audit_tiles SET hashes = ? WHERE level = 0 AND tile = 0", tile)
	})
	other.refuses(t, anchor, "forked")
}

func TestNothingIsSignedOverAnotherAnchor(t *testing.T) {
	s, other := open(t), open(t)
	s.add(t, 3)
	other.add(t, 3)
	good, foreign := s.checkpoint(t), other.checkpoint(t)
	s.add(t, 1)
	for name, anchor := range map[string][]byte{
		"another key's": foreign, "empty": {}, "text": []byte("hello"), "cut": good[:len(good)-3],
		"both": append(append([]byte(nil), good...), foreign...),
	} {
		t.Run(name, func(t *testing.T) { s.refuses(t, anchor, "not signed by this log's key") })
	}
}

func TestCheckLength(t *testing.T) {
	s, other := open(t), open(t)
	s.add(t, 3)
	anchor := s.checkpoint(t)
	check := func(anchor []byte) error {
		return s.View(t.Context(), func(tx *sqldb.Tx) error { return s.log.CheckLength(tx, anchor) })
	}
	for name, tc := range map[string]struct {
		anchor []byte
		what   string
	}{
		"none": {nil, ""}, "this log's": {anchor, ""}, "empty": {[]byte{}, "not signed"}, "text": {[]byte("hello\n"), "not signed"},
		"another origin": {bytes.Replace(anchor, []byte("coatcheck.test"), []byte("elsewhere.test"), 1), "not signed"},
		"longer":         {bytes.Replace(anchor, []byte("\n3\n"), []byte("\n4\n"), 1), "the anchor covers 4 records and the log ends at 3"},
	} {
		t.Run(name, func(t *testing.T) {
			err := check(tc.anchor)
			if _, tampered := errors.AsType[*audit.TamperError](err); tampered != (tc.what != "") || tampered && !strings.Contains(err.Error(), tc.what) {
				t.Errorf("got %v", err)
			}
		})
	}
	other.add(t, 1)
	s.update(t, func(tx *sqldb.Tx) error { return run(tx, "DELETE FROM audit_leaves") })
	if _, tampered := errors.AsType[*audit.TamperError](check(anchor)); !tampered {
		t.Error("an emptied log passes")
	}
}

package audit_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// expect verifies and compares what is said about the first record in doubt.
func (s *state) expect(t *testing.T, anchor []byte, seq, through int64, what string) {
	t.Helper()
	_, err := audit.Verify(t.Context(), s.DB, s.key, anchor)
	var tampered *audit.TamperError
	if !errors.As(err, &tampered) || tampered.Seq != seq || tampered.Through != through || !strings.Contains(err.Error(), what) {
		t.Errorf("want records %d to %d, %q; got %v", seq, through, what, err)
	}
}

func (s *state) fine(t *testing.T, anchor []byte, want audit.Report) {
	t.Helper()
	if report, err := audit.Verify(t.Context(), s.DB, s.key, anchor); err != nil || report != want {
		t.Errorf("got %+v, %v; want %+v", report, err, want)
	}
}

// TestARewrittenTreeIsFound edits a record and every stored hash, as good as
// it can be done without the key: the checkpoints still bound the place.
func TestARewrittenTreeIsFound(t *testing.T) {
	s := open(t)
	sizes := []int64{200, 600, 900}
	for i, size := range sizes {
		if i > 0 {
			size -= sizes[i-1]
		}
		s.add(t, int(size))
		s.checkpoint(t)
	}
	s.backup(t)
	other := open(t) // the forger's, with a key of his own
	other.add(t, 900)
	other.backup(t)
	for _, k := range []int64{1, 200, 201, 257, 600, 601, 900} {
		edit := func(tx *sqldb.Tx) error {
			if err := restore(tx); err != nil {
				return err
			}
			return exec(tx, "UPDATE audit_leaves SET leaf = ? WHERE seq = ?", forged, k)
		}
		other.update(t, edit)
		other.checkpoint(t)
		s.update(t, edit)
		s.copyFrom(t, other, "audit_tiles", "level", "tile", "hashes")
		i, _ := slices.BinarySearch(sizes, k)
		lo := int64(1)
		if i > 0 {
			lo = sizes[i-1] + 1
		}
		s.expect(t, nil, lo, sizes[i], "not all as their checkpoint sealed them")
	}
}

// copyFrom replaces a table by that of another log.
func (s *state) copyFrom(t *testing.T, from *state, table string, columns ...string) {
	t.Helper()
	var rows [][]any
	list := strings.Join(columns, ", ")
	if err := from.View(t.Context(), func(tx *sqldb.Tx) error {
		return tx.Query("SELECT "+list+" FROM "+table, nil, func(scan func(...any) error) error {
			row := make([]any, len(columns))
			into := make([]any, len(columns))
			for i := range row {
				into[i] = &row[i]
			}
			rows = append(rows, row)
			return scan(into...)
		})
	}); err != nil {
		t.Fatal(err)
	}
	s.update(t, func(tx *sqldb.Tx) error {
		if err := exec(tx, "DELETE FROM "+table); err != nil {
			return err
		}
		for _, row := range rows {
			if err := exec(tx, "INSERT INTO "+table+" ("+list+") VALUES (?"+strings.Repeat(", ?", len(columns)-1)+")", row...); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestAForkIsFound makes two histories under one key, as putting back an older
// copy of the database does, for every length of what they share.
func TestAForkIsFound(t *testing.T) {
	skey, vkey, err := audit.NewKey("coatcheck.test/log")
	if err != nil {
		t.Fatal(err)
	}
	const n = 5
	for shared := range n {
		s, other := openWith(t, skey, vkey), openWith(t, skey, vkey)
		var anchors []byte // all that were ever taken of the first history
		for i := range n {
			if i == shared {
				other.n += 100
			}
			s.add(t, 1)
			other.add(t, 1)
			anchors = append(anchors, s.checkpoint(t)...)
			other.checkpoint(t)
		}
		last := s.checkpoint(t)
		s.fine(t, anchors, audit.Report{Records: n, Sealed: n, Anchored: n})
		other.expect(t, last, 1, n, "forked, or rewritten")
		other.expect(t, anchors, int64(shared)+1, int64(shared)+1, "forked, or rewritten")
		other.add(t, 3) // it does not help to go on
		other.checkpoint(t)
		other.expect(t, last, 1, n, "forked, or rewritten")
	}
}

func TestAnOlderCopyIsFound(t *testing.T) {
	s := open(t)
	s.add(t, 4)
	s.checkpoint(t)
	s.backup(t)
	s.add(t, 3)
	anchor := s.checkpoint(t)
	s.fine(t, anchor, audit.Report{Records: 7, Sealed: 7, Anchored: 7})
	s.update(t, restore)
	s.expect(t, anchor, 5, 7, "older copy")
	s.fine(t, nil, audit.Report{Records: 4, Sealed: 4}) // nothing in it shows: that is what the anchor is for
	s.update(t, func(tx *sqldb.Tx) error {
		return run(tx, "DELETE FROM audit_leaves", "DELETE FROM audit_tiles", "DELETE FROM audit_checkpoints")
	})
	s.expect(t, anchor, 1, 7, "older copy")
}

// TestTheAnchorOutlivesItsCheckpoint edits what was sealed when the database
// has lost its checkpoints.
func TestTheAnchorOutlivesItsCheckpoint(t *testing.T) {
	s := open(t)
	s.add(t, 10)
	anchor := s.checkpoint(t)
	s.update(t, func(tx *sqldb.Tx) error { return run(tx, "DELETE FROM audit_checkpoints") })
	s.expect(t, nil, 1, 1, "checkpoint was removed")
	s.expect(t, anchor, 1, 1, "checkpoint was removed")
	s.backup(t)
	s.update(t, func(tx *sqldb.Tx) error {
		return exec(tx, "UPDATE audit_leaves SET leaf = ? WHERE seq = 6", forged)
	})
	s.expect(t, anchor, 6, 6, "not what was sealed")
	s.update(t, func(tx *sqldb.Tx) error { return run(tx, "DELETE FROM audit_tiles") })
	s.expect(t, anchor, 1, 10, "rewritten")
	s.fine(t, nil, audit.Report{Records: 10, Unsealed: 10})
}

func TestOtherTextIsNoAnchor(t *testing.T) {
	s, other := open(t), open(t)
	s.add(t, 1)
	other.add(t, 1)
	good, foreign := s.checkpoint(t), other.checkpoint(t)
	for name, anchor := range map[string]string{
		"text": "hello", "another key's": string(foreign), "cut": string(good[:len(good)-2]), "after it": string(good) + "x\n",
		"edited": strings.Replace(string(good), "\n1\n", "\n2\n", 1), "with a foreign one": string(good) + string(foreign),
		"unsigned": strings.SplitAfter(string(good), "\n\n")[0],
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := audit.Verify(t.Context(), s.DB, s.key, []byte(anchor)); !errors.Is(err, audit.ErrCheckpoint) {
				t.Errorf("got %v", err)
			}
		})
	}
	s.fine(t, []byte(string(good)+string(good)), audit.Report{Records: 1, Sealed: 1, Anchored: 1})
}

// TestOtherTextUnderTheKeyIsNoAnchor: a signature alone does not make a
// checkpoint.
func TestOtherTextUnderTheKeyIsNoAnchor(t *testing.T) {
	s := open(t)
	s.add(t, 1)
	opened, err := note.Open(s.checkpoint(t), note.VerifierList(s.key))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(opened.Text, "\n")
	origin, root := lines[0], lines[2]
	for name, text := range map[string]string{
		"other origin": "x\n1\n" + root + "\n", "size 01": origin + "\n01\n" + root + "\n", "size +1": origin + "\n+1\n" + root + "\n",
		"size -1": origin + "\n-1\n" + root + "\n", "no size": origin + "\n\n" + root + "\n", "short root": origin + "\n1\n" + root[:40] + "\n",
		"no root": origin + "\n1\n", "a line more": opened.Text + "x\n", "other text": "hello\n",
	} {
		signed, err := note.Sign(&note.Note{Text: text}, s.sign)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := audit.Verify(t.Context(), s.DB, s.key, signed); !errors.Is(err, audit.ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDamageToTheTreeIsToldApart(t *testing.T) {
	s, other := open(t), open(t)
	s.add(t, 600)
	s.checkpoint(t)
	other.add(t, 600)
	foreign := other.checkpoint(t)
	s.backup(t)
	for name, tc := range map[string]struct {
		sql          string
		seq, through int64
		what         string
		signs        bool // the damage is where Checkpoint does not look
	}{
		"flipped hash":       {"UPDATE audit_tiles SET hashes = zeroblob(32) || substr(hashes, 33) WHERE level = 0 AND tile = 1", 257, 257, "stored tree", true},
		"flipped upper hash": {"UPDATE audit_tiles SET hashes = zeroblob(32) || substr(hashes, 33) WHERE level = 1", 1, 256, "stored tree", false},
		"tile gone":          {"DELETE FROM audit_tiles WHERE level = 0 AND tile = 1", 257, 512, "stored tree", true},
		"edge gone":          {"DELETE FROM audit_tiles WHERE level = 0 AND tile = 2", 513, 600, "stored tree", false},
		"tile cut":           {"UPDATE audit_tiles SET hashes = substr(hashes, 1, 320) WHERE level = 0 AND tile = 2", 523, 600, "stored tree", false},
		"another's note":     {"UPDATE audit_checkpoints SET note = '" + string(foreign) + "'", 600, 600, "not signed", false},
		"moved note":         {"UPDATE audit_checkpoints SET size = 599", 599, 599, "not signed", false},
		"edited record":      {"UPDATE audit_leaves SET leaf = '' WHERE seq = 300", 300, 300, "not what was sealed", true},
	} {
		t.Run(name, func(t *testing.T) {
			s.update(t, func(tx *sqldb.Tx) error {
				if err := restore(tx); err != nil {
					return err
				}
				return run(tx, tc.sql)
			})
			s.expect(t, nil, tc.seq, tc.through, tc.what)
			s.add(t, 1)
			_, err := s.log.Checkpoint(t.Context(), s.DB, nil)
			if _, tampered := errors.AsType[*audit.TamperError](err); tampered == tc.signs {
				t.Errorf("checkpoint: %v", err)
			}
		})
	}
}

// TestAGapShowsBeforeTheSeal: what is not sealed can be edited unseen, not
// removed from the middle.
func TestAGapShowsBeforeTheSeal(t *testing.T) {
	s := open(t)
	s.add(t, 2)
	anchor := s.checkpoint(t)
	s.add(t, 3)
	s.fine(t, anchor, audit.Report{Records: 5, Sealed: 2, Unsealed: 3, Anchored: 2})
	s.update(t, func(tx *sqldb.Tx) error { return run(tx, "DELETE FROM audit_leaves WHERE seq = 4") })
	s.expect(t, anchor, 4, 4, "missing")
}

// TestACutTreeHidesNoCut shortens records and stored hashes alike.
func TestACutTreeHidesNoCut(t *testing.T) {
	s := open(t)
	s.add(t, 9)
	s.checkpoint(t)
	s.update(t, func(tx *sqldb.Tx) error {
		return run(tx, "DELETE FROM audit_leaves WHERE seq > 6", "UPDATE audit_tiles SET hashes = substr(hashes, 1, 192)")
	})
	s.expect(t, nil, 7, 9, "missing")
}

// TestTheTreeRemembersACut removes records with their checkpoint.
func TestTheTreeRemembersACut(t *testing.T) {
	s := open(t)
	s.add(t, 9)
	s.checkpoint(t)
	s.update(t, func(tx *sqldb.Tx) error {
		return run(tx, "DELETE FROM audit_leaves WHERE seq > 6", "DELETE FROM audit_checkpoints")
	})
	s.expect(t, nil, 7, 7, "missing")
}

func TestNothingIsSignedOverAShorterLog(t *testing.T) {
	s := open(t)
	s.add(t, 4)
	s.checkpoint(t)
	for _, sql := range []string{"DELETE FROM audit_leaves WHERE seq > 2", "INSERT INTO audit_leaves (seq, leaf) VALUES (4, ''), (6, '')"} {
		s.update(t, func(tx *sqldb.Tx) error { return run(tx, sql) })
		_, err := s.log.Checkpoint(t.Context(), s.DB, nil)
		if _, tampered := errors.AsType[*audit.TamperError](err); !tampered {
			t.Errorf("got %v", err)
		}
	}
}

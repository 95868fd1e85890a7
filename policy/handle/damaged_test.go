package handle_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func exec(t *testing.T, tx *sqldb.Tx, statement string, args ...any) {
	t.Helper()
	if n, err := tx.Exec(statement, args...); err != nil || n == 0 {
		t.Fatalf("%s: %d rows, %v", statement, n, err)
	}
}

// inRing reports whether who finds the handle among his own.
func inRing(t *testing.T, tx *sqldb.Tx, who, id string) (found bool) {
	t.Helper()
	want(t, "look into the ring", tx.QueryRow(`SELECT count(*) FROM handles WHERE principal = ? AND id = ?`, who, id).Scan(&found), nil)
	return found
}

// undone runs fn with a fresh store in one transaction that is not kept.
func undone(t *testing.T, db *sqldb.DB, fn func(tx *sqldb.Tx, s *handle.Store)) {
	t.Helper()
	undo := errors.New("undo")
	want(t, "transaction", db.Update(t.Context(), func(tx *sqldb.Tx) error { fn(tx, handle.New(rows)); return undo }), undo)
}

// TestEditedRows edits every column of a handle's row, to a value of the same
// kind, to that of another handle and to one of another kind: the handle is
// damaged and opens nothing, also for whom the edit favours, and nobody else
// finds it; the other works.
func TestEditedRows(t *testing.T) {
	db, _ := open(t)
	for _, column := range []string{
		"hash", "principal", "path", "version", "destinations", "shape", "rule", "parent", "created_at", "expires_at", "revoked_at",
		"max_uses", "used", "tier", "mac",
	} {
		edits := map[string]string{
			"other kind":  `CASE typeof(` + column + `) WHEN 'integer' THEN 'x' WHEN 'blob' THEN 7 ELSE x'00' END`,
			"same kind":   `CASE typeof(` + column + `) WHEN 'integer' THEN ` + column + ` + 1 WHEN 'blob' THEN zeroblob(32) ELSE ` + column + ` || 'x' END`,
			"of another":  `(SELECT ` + column + ` FROM handles WHERE principal = 'agent:other')`,
			"empty":       `CASE typeof(` + column + `) WHEN 'integer' THEN -1 WHEN 'blob' THEN x'' ELSE '' END`,
			"much larger": `CASE typeof(` + column + `) WHEN 'integer' THEN 9007199254740993 WHEN 'blob' THEN zeroblob(65536) ELSE ` + column + ` || hex(zeroblob(65536)) END`,
		}
		for name, edit := range edits {
			t.Run(column+" "+name, func(t *testing.T) {
				undone(t, db, func(tx *sqldb.Tx, s *handle.Store) {
					sp := spec(me)
					sp.Uses, sp.Shape, sp.Parent, sp.Version, sp.Tier = 2, "sk-{handle}", "h_q", 1, vault.Sensitive
					text, h := mustMint(t, tx, s, sp, noon)
					theirs := spec(other)
					theirs.Path, theirs.Shape, theirs.Rule, theirs.Parent, theirs.Version, theirs.Uses = "a/b", "x-{handle}", "r", "h_p", 3, 5
					theirs.Destinations, theirs.TTL = nil, handle.MaxTTL
					good, o := mustMint(t, tx, s, theirs, noon.Add(-1))
					_, err := s.Spend(tx, other, good, noon)
					want(t, "spend another", err, nil)
					want(t, "revoke another", s.Revoke(tx, o.ID, noon), nil)
					exec(t, tx, `UPDATE handles SET seq = 9, `+column+` = `+edit+` WHERE id = ?`, h.ID) // a number that is free
					for _, who := range []string{me, other} {
						got, err := s.Spend(tx, who, text, noon)
						if !inRing(t, tx, who, h.ID) {
							want(t, "spend by "+who, err, handle.ErrUnknown)
							continue
						}
						want(t, "spend by "+who, err, vault.ErrCorrupt)
						if got.ID != h.ID || got.Path != "" || !strings.Contains(err.Error(), h.ID) && !strings.Contains(err.Error(), "column") {
							t.Errorf("%+v, %v", got, err)
						}
						_, err = s.Lookup(tx, who, text, noon)
						want(t, "look up", err, vault.ErrCorrupt)
					}
					_, err = s.Lookup(tx, other, good, noon)
					want(t, "another", err, handle.ErrRevoked)
					all, err := s.List(tx, "", noon)
					want(t, "list", err, nil)
					for _, one := range all {
						if !one.Damaged || one.ID != h.ID || one.Path != "" {
							t.Errorf("listed: %+v", one)
						}
					}
					want(t, "revoke", s.Revoke(tx, h.ID, noon), nil)
					_, err = s.Spend(tx, me, text, noon)
					want(t, "spend after", err, handle.ErrUnknown)
				})
			})
		}
	}
}

// TestSwappedRows exchanges the places of two handles as a whole.
func TestSwappedRows(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		a, ha := mustMint(t, tx, s, spec(me), noon)
		b, hb := mustMint(t, tx, s, spec(other), noon)
		exec(t, tx, `UPDATE handles SET id = 'x' WHERE id = ?`, ha.ID)
		exec(t, tx, `UPDATE handles SET id = ? WHERE id = ?`, ha.ID, hb.ID)
		exec(t, tx, `UPDATE handles SET id = ? WHERE id = 'x'`, hb.ID)
		for _, test := range []struct {
			who, text string
			want      error
		}{{me, a, handle.ErrUnknown}, {me, b, vault.ErrCorrupt}, {other, a, vault.ErrCorrupt}, {other, b, handle.ErrUnknown}} {
			_, err := s.Spend(tx, test.who, test.text, noon)
			want(t, "spend by "+test.who, err, test.want)
		}
		n, err := s.RevokeAll(tx, me, noon)
		if n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// TestTheCountIsAuthenticated: each use is written with a MAC of its own, and
// an earlier row that is put back is believed, as the package comment says.
func TestTheCountIsAuthenticated(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		sp := spec(me)
		sp.Uses = 2
		text, h := mustMint(t, tx, s, sp, noon)
		exec(t, tx, `CREATE TABLE keep AS SELECT * FROM handles`)
		for range 2 {
			_, err := s.Spend(tx, me, text, noon)
			want(t, "spend", err, nil)
		}
		_, err := s.Spend(tx, me, text, noon)
		want(t, "spend at the end", err, handle.ErrExhausted)
		exec(t, tx, `UPDATE handles SET used = 0 WHERE id = ?`, h.ID)
		_, err = s.Spend(tx, me, text, noon)
		want(t, "count set back", err, vault.ErrCorrupt)
		exec(t, tx, `DELETE FROM handles`)
		exec(t, tx, `INSERT INTO handles SELECT * FROM keep`)
		_, err = s.Spend(tx, me, text, noon)
		want(t, "row put back", err, nil)
	})
}

// TestRenumberingKeepsRowsWhole: the place in the ring is not authenticated.
func TestRenumberingKeepsRowsWhole(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		text, _ := mustMint(t, tx, s, spec(me), noon)
		exec(t, tx, `UPDATE handles SET seq = seq + 7`)
		_, err := s.Spend(tx, me, text, noon)
		want(t, "spend", err, nil)
	})
}

func TestAdopt(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		text, h := mustMint(t, tx, s, spec(me), noon)
		bad, hb := mustMint(t, tx, s, spec(me), noon)
		exec(t, tx, `UPDATE handles SET mac = x''`)
		exec(t, tx, `UPDATE handles SET version = 'x' WHERE id = ?`, hb.ID)
		if n, err := s.Adopt(tx); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		got, err := s.Spend(tx, me, text, noon)
		want(t, "spend", err, nil)
		if got.ID != h.ID || got.Used != 1 {
			t.Errorf("%+v", got)
		}
		_, err = s.Spend(tx, me, bad, noon)
		want(t, "spend what does not read", err, vault.ErrCorrupt)
	})
}

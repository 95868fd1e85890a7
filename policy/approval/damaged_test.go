package approval_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func run(t *testing.T, tx *sqldb.Tx, statement string, args ...any) {
	t.Helper()
	if n, err := tx.Exec(statement, args...); err != nil || n == 0 {
		t.Fatalf("%s: %d rows, %v", statement, n, err)
	}
}

// columns lists the table's, so that a new one is not forgotten.
func columns(t *testing.T, tx *sqldb.Tx) (names []string) {
	t.Helper()
	err := tx.Query(`SELECT name FROM pragma_table_info('approvals')`, nil, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		names = append(names, name)
		return err
	})
	if err != nil || len(names) < 20 {
		t.Fatal(names, err)
	}
	return names
}

// edits are what somebody may write into a column.
var edits = map[string]func(column string) string{
	"other kind": func(c string) string {
		return `CASE typeof(` + c + `) WHEN 'integer' THEN 'x' WHEN 'blob' THEN 7 ELSE x'00' END`
	},
	"same kind": func(c string) string {
		return `CASE typeof(` + c + `) WHEN 'integer' THEN ` + c + ` + 1 WHEN 'blob' THEN zeroblob(32) ELSE ` + c + ` || ' ' END`
	},
	"of another": func(c string) string { return `(SELECT ` + c + ` FROM keep WHERE requester = 'agent:other')` },
	"empty": func(c string) string {
		return `CASE typeof(` + c + `) WHEN 'integer' THEN -1 WHEN 'blob' THEN x'' ELSE '' END`
	},
	"much larger": func(c string) string {
		return `CASE typeof(` + c + `) WHEN 'integer' THEN 9007199254740993 WHEN 'blob' THEN zeroblob(65536) ELSE ` + c + ` || hex(zeroblob(65536)) END`
	},
}

// TestEditedRows edits every column: the request is damaged in every answer, opens
// nothing for anybody and can be removed; another one works.
func TestEditedRows(t *testing.T) {
	db, _ := open(t)
	var names []string
	update(t, db, func(tx *sqldb.Tx) { names = columns(t, tx) })
	at := noon.Add(delay)
	for _, column := range names {
		for name, edit := range edits {
			t.Run(column+" "+name, func(t *testing.T) {
				undone(t, db, func(tx *sqldb.Tx, s *approval.Store) {
					good := token(other, 2, "secrets:read:*")
					good.Description, good.Client, good.Addr, good.Rule, good.Agent = "d", "c", "a", "r", "agent:y"
					good.Tier, good.Details, good.Approval = vault.Sensitive, nil, policy.Approval{Quorum: 1, Delay: 1e9, Expires: 1e10}
					theirs := ask(t, tx, s, good, at)
					agree(t, tx, s, theirs.ID, at, cyd)
					_, err := s.Spend(tx, other, good.Digest, at.Add(1e9))
					want(t, "spend another", err, nil)
					run(t, tx, `CREATE TABLE keep AS SELECT * FROM approvals`)
					run(t, tx, `UPDATE keep SET seq = 77`) // a place that is free
					run(t, tx, `DELETE FROM approvals`)
					sp := spec(me, 1)
					sp.Description, sp.Client, sp.Addr, sp.Rule = "why", "cursor", "::1", "one"
					r := ask(t, tx, s, sp, noon)
					agree(t, tx, s, r.ID, noon, ada, bob)
					second := ask(t, tx, s, spec(other, 3), noon)
					agree(t, tx, s, second.ID, noon, ada, bob)
					if _, err := tx.Exec(`UPDATE approvals SET ` + column + ` = ` + edit(column) + ` WHERE requester = 'agent:me'`); err != nil {
						if column != "seq" { // a key must be a number
							t.Error(err)
						}
						return
					}
					for _, who := range []string{me, other} {
						for _, digest := range [][32]byte{sp.Digest, good.Digest, {}} {
							if got, err := s.Spend(tx, who, digest, at); !errors.Is(err, vault.ErrCorrupt) && !errors.Is(err, approval.ErrNone) || got.Path != "" {
								t.Errorf("spend by %s: %+v, %v", who, got, err)
							}
						}
					}
					id := r.ID
					if column == "id" {
						if tx.QueryRow(`SELECT id FROM approvals WHERE requester = 'agent:me'`).Scan(&id) != nil {
							id = "" // it cannot be named
						}
						_, err := s.Get(tx, r.ID, at)
						want(t, "get the old id", err, approval.ErrUnknown)
					}
					if id != "" {
						for what, do := range map[string]func() (approval.Request, error){
							"get":      func() (approval.Request, error) { return s.Get(tx, id, at) },
							"spend id": func() (approval.Request, error) { return s.SpendID(tx, id, me, at) },
							"approve":  func() (approval.Request, error) { return s.Approve(tx, id, cyd, "", noon) },
							"cancel":   func() (approval.Request, error) { return s.Cancel(tx, id, me, at) },
						} {
							got, err := do()
							if want(t, what, err, vault.ErrCorrupt); got.ID != id || !got.Damaged || got.Requester != "" || len(got.Votes) != 0 {
								t.Errorf("%s: %+v", what, got)
							}
						}
					}
					ready, err := s.Ready(tx, me, policy.Use, at)
					if err != nil && !errors.Is(err, vault.ErrCorrupt) || len(ready) != 0 {
						t.Errorf("ready: %+v, %v", ready, err)
					}
					page, err := s.List(tx, approval.Query{}, at)
					want(t, "list", err, nil)
					damaged := 0
					for _, one := range page.Items {
						if one.ID == second.ID {
							continue
						}
						if damaged++; !one.Damaged || one.Requester != "" || one.Status != "" {
							t.Errorf("listed: %+v", one)
						}
					}
					if damaged != 1 && column != "seq" { // a place below 1 is not listed
						t.Errorf("listed: %+v", page.Items)
					}
					_, err = s.Withdraw(tx, cyd)
					want(t, "withdraw", err, nil)
					_, err = s.Spend(tx, other, second.Digest, at)
					want(t, "the other", err, nil)
					if id != "" {
						got, err := s.Deny(tx, id, cyd, "", at)
						if want(t, "deny", err, nil); !got.Damaged {
							t.Errorf("%+v", got)
						}
						_, err = s.Get(tx, id, at)
						want(t, "get after", err, approval.ErrUnknown)
					}
				})
			})
		}
	}
}

// TestEditedVotes: nobody adds, drops, moves or turns a vote.
func TestEditedVotes(t *testing.T) {
	for name, edit := range map[string]string{
		"added":         `UPDATE approvals SET votes = replace(votes, ']', ',{"admin":"admin:eve","at":"2026-01-02T12:00:00Z"}]')`,
		"dropped":       `UPDATE approvals SET votes = '[]'`,
		"none":          `UPDATE approvals SET votes = 'null'`,
		"another's":     `UPDATE approvals SET votes = replace(votes, 'admin:ada', 'admin:eve')`,
		"at another":    `UPDATE approvals SET votes = replace(votes, '12:00', '11:00')`,
		"turned":        `UPDATE approvals SET votes = replace(votes, '"at"', '"deny":true,"at"')`,
		"spaced":        `UPDATE approvals SET votes = votes || ' '`,
		"of another":    `UPDATE approvals SET votes = (SELECT votes FROM approvals AS o WHERE o.requester = 'agent:other') WHERE requester = 'agent:me'`,
		"with its MAC":  `UPDATE approvals SET (votes, mac) = (SELECT votes, mac FROM approvals AS o WHERE o.requester = 'agent:other') WHERE requester = 'agent:me'`,
		"ready at once": `UPDATE approvals SET ready_at = 1`,
		"quorum of one": `UPDATE approvals SET quorum = 1`,
	} {
		t.Run(name, func(t *testing.T) {
			with(t, func(tx *sqldb.Tx, s *approval.Store) {
				r, o := ask(t, tx, s, spec(me, 1), noon), ask(t, tx, s, spec(other, 1), noon)
				agree(t, tx, s, r.ID, noon, ada)
				agree(t, tx, s, o.ID, noon, bob, cyd)
				run(t, tx, edit)
				_, err := s.Spend(tx, me, r.Digest, noon.Add(delay))
				want(t, "spend", err, vault.ErrCorrupt)
				got, err := s.Approve(tx, r.ID, cyd, "", noon)
				if want(t, "approve", err, vault.ErrCorrupt); got.ID != r.ID || !strings.Contains(err.Error(), r.ID) {
					t.Errorf("%+v, %v", got, err)
				}
				_, _, err = s.Ask(tx, spec(me, 1), noon)
				want(t, "ask", err, vault.ErrCorrupt)
				if _, err = tx.Exec(`UPDATE approvals SET ready_at = 1`); err != nil {
					t.Fatal(err)
				}
				ready, err := s.Ready(tx, me, policy.Use, noon.Add(delay))
				if want(t, "ready", err, vault.ErrCorrupt); len(ready) != 0 {
					t.Errorf("%+v", ready)
				}
			})
		})
	}
}

// TestSwappedRows exchanges the names of two requests, and makes a copy of one.
func TestSwappedRows(t *testing.T) {
	db, _ := open(t)
	at := noon.Add(delay)
	for name, edit := range map[string][]string{
		"ids":     {`UPDATE approvals SET id = 'x' WHERE requester = 'agent:me'`, `UPDATE approvals SET id = (SELECT id FROM keep WHERE requester = 'agent:me') WHERE requester = 'agent:other'`, `UPDATE approvals SET id = (SELECT id FROM keep WHERE requester = 'agent:other') WHERE requester = 'agent:me'`},
		"digests": {`UPDATE approvals SET digest = (SELECT digest FROM keep WHERE keep.requester <> approvals.requester)`},
		"all but ids and MACs": {`UPDATE approvals SET (digest, requester, agent, votes, state, created_at, expires_at, decided_at, ready_at, used_at) =
			(SELECT digest, requester, agent, votes, state, created_at, expires_at, decided_at, ready_at, used_at FROM keep WHERE keep.id <> approvals.id)`},
		"a copy": {`UPDATE keep SET seq = seq + 100, id = id || 'x'`, `INSERT INTO approvals SELECT * FROM keep`},
	} {
		t.Run(name, func(t *testing.T) {
			undone(t, db, func(tx *sqldb.Tx, s *approval.Store) {
				mine, theirs := ask(t, tx, s, spec(me, 1), noon), ask(t, tx, s, spec(other, 2), noon)
				agree(t, tx, s, mine.ID, noon, ada, bob)
				run(t, tx, `CREATE TABLE keep AS SELECT * FROM approvals`)
				for _, statement := range edit {
					run(t, tx, statement)
				}
				for _, who := range []string{me, other} {
					for _, digest := range [][32]byte{mine.Digest, theirs.Digest} {
						if _, err := s.Spend(tx, who, digest, at); !errors.Is(err, vault.ErrCorrupt) && !errors.Is(err, approval.ErrNone) {
							t.Errorf("%s: %v", who, err)
						}
					}
				}
				if n, err := s.CancelAll(tx, me, at); n == 0 || err != nil {
					t.Error(n, err)
				}
			})
		})
	}
}

// TestDamagedOnesGo: what tells or ends damaged requests removes them.
func TestDamagedOnesGo(t *testing.T) {
	for name, end := range map[string]func(tx *sqldb.Tx, s *approval.Store) (int, error){
		"due": func(tx *sqldb.Tx, s *approval.Store) (int, error) {
			due, err := s.Due(tx, noon.Add(period), 10)
			if len(due) == 1 && (!due[0].Damaged || due[0].ID == "" || due[0].Requester != "") {
				return 0, errors.New("told as whole")
			}
			return len(due), err
		},
		"cancel all":   func(tx *sqldb.Tx, s *approval.Store) (int, error) { return s.CancelAll(tx, me, noon) },
		"cancel after": func(tx *sqldb.Tx, s *approval.Store) (int, error) { return s.CancelAfter(tx, noon, noon) },
	} {
		with(t, func(tx *sqldb.Tx, s *approval.Store) {
			r := ask(t, tx, s, spec(me, 1), noon)
			run(t, tx, `UPDATE approvals SET quorum = 1`)
			if n, err := end(tx, s); n != 1 || err != nil {
				t.Errorf("%s: %d, %v", name, n, err)
			}
			_, err := s.Get(tx, r.ID, noon)
			want(t, name, err, approval.ErrUnknown)
		})
	}
}

// TestAnEarlierRowIsBelieved says what authentication does not do, and that the
// votes of a withdrawn admin show in it.
func TestAnEarlierRowIsBelieved(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *approval.Store) {
		r := ask(t, tx, s, spec(me, 1), noon)
		agree(t, tx, s, r.ID, noon, ada, bob)
		run(t, tx, `CREATE TABLE keep AS SELECT * FROM approvals`)
		_, err := s.Withdraw(tx, ada)
		want(t, "withdraw", err, nil)
		run(t, tx, `DELETE FROM approvals`)
		run(t, tx, `INSERT INTO approvals SELECT * FROM keep`)
		got, err := s.Spend(tx, me, r.Digest, noon.Add(delay))
		if want(t, "spend", err, nil); len(got.Votes) != 2 || got.Votes[0].Admin != ada {
			t.Errorf("%+v", got)
		}
	})
}

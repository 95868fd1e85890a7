package approval_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// machine is every state against every operation: what it says, and where the
// request is then. "." is where it was; "none" as an answer of ask is a new
// request.
const machine = `
state     ask   approve          again            deny           cancel            spend         spend-id        withdraw  cancel-all  due        purge
pending   same  ok:.             unknown:.        ok:denied      ok:cancelled      pending:.     pending:.       0:.       1:cancelled 0:.        0:.
voted     same  ok:.             voted:.          ok:denied      ok:cancelled      pending:.     pending:.       1:.       1:cancelled 0:.        0:.
delayed   same  settled:.        settled:.        ok:denied      ok:cancelled      pending:.     pending:.       1:.       1:cancelled 0:.        0:.
approved  same  settled:.        settled:.        ok:denied      ok:cancelled      ok:used       ok:used         1:pending 1:cancelled 0:.        0:.
denied    same  settled:.        settled:.        settled:.      settled:.         denied:.      denied:.        0:.       0:.         0:.        0:.
cancelled new   settled:.        settled:.        settled:.      settled:.         none:.        settled:.       0:.       0:.         0:.        0:.
expired   new   settled:.        settled:.        settled:.      settled:.         none:.        settled:.       1:.       0:.         1:.        0:.
told      new   settled:.        settled:.        settled:.      settled:.         none:.        settled:.       0:.       0:.         0:.        0:.
used      new   settled:.        settled:.        settled:.      settled:.         none:.        settled:.       0:.       0:.         0:.        0:.
`

// arrive brings a request into a state, and says when it is.
func arrive(t *testing.T, tx *sqldb.Tx, s *approval.Store, state string) (r approval.Request, now time.Time) {
	t.Helper()
	r = ask(t, tx, s, spec(me, 1), noon)
	must := func(_ approval.Request, err error) { t.Helper(); want(t, state, err, nil) }
	switch now = noon; state {
	case "pending":
	case "voted":
		agree(t, tx, s, r.ID, noon, ada)
	case "delayed":
		agree(t, tx, s, r.ID, noon, ada, bob)
		now = noon.Add(delay - time.Microsecond)
	case "approved":
		agree(t, tx, s, r.ID, noon, ada, bob)
		now = noon.Add(delay)
	case "denied":
		agree(t, tx, s, r.ID, noon, ada)
		must(s.Deny(tx, r.ID, bob, "", noon))
	case "cancelled":
		agree(t, tx, s, r.ID, noon, ada)
		must(s.Cancel(tx, r.ID, me, noon))
	case "expired", "told":
		agree(t, tx, s, r.ID, noon, ada, bob)
		now = noon.Add(delay + period)
		if state == "told" {
			if due, err := s.Due(tx, now, 10); err != nil || len(due) != 1 {
				t.Fatal(due, err)
			}
		}
	case "used":
		agree(t, tx, s, r.ID, noon, ada, bob)
		now = noon.Add(delay)
		must(s.Spend(tx, me, r.Digest, now))
	default:
		t.Fatalf("no state %q", state)
	}
	return r, now
}

// said names an answer.
func said(err error) string {
	for name, of := range map[string]error{
		"settled": approval.ErrSettled, "voted": approval.ErrVoted, "pending": approval.ErrPending,
		"denied": approval.ErrDenied, "none": approval.ErrNone, "unknown": approval.ErrUnknown,
	} {
		if errors.Is(err, of) {
			return name
		}
	}
	if err != nil {
		return err.Error()
	}
	return "ok"
}

func count(n int, err error) string {
	if err != nil {
		return err.Error()
	}
	return string(rune('0' + n))
}

// operations are the columns of [machine].
var operations = map[string]func(tx *sqldb.Tx, s *approval.Store, r approval.Request, now time.Time) string{
	"ask": func(tx *sqldb.Tx, s *approval.Store, r approval.Request, now time.Time) string {
		again, created, err := s.Ask(tx, spec(me, 1), now)
		switch {
		case err != nil:
			return said(err)
		case created && again.ID != r.ID && again.Status == approval.Pending:
			return "new:."
		case !created && again.ID == r.ID:
			return "same:."
		}
		return "neither"
	},
	"approve": func(tx *sqldb.Tx, s *approval.Store, r approval.Request, now time.Time) string {
		_, err := s.Approve(tx, r.ID, cyd, "", now)
		return said(err)
	},
	"again": func(tx *sqldb.Tx, s *approval.Store, r approval.Request, now time.Time) string {
		before, err := s.Get(tx, r.ID, now)
		if err != nil || len(before.Votes) == 0 {
			_, err = s.Approve(tx, "apr_0123456789", ada, "", now)
			return said(err)
		}
		_, err = s.Approve(tx, r.ID, ada, "", now)
		return said(err)
	},
	"deny": func(tx *sqldb.Tx, s *approval.Store, r approval.Request, now time.Time) string {
		_, err := s.Deny(tx, r.ID, ada, "", now)
		return said(err)
	},
	"cancel": func(tx *sqldb.Tx, s *approval.Store, r approval.Request, now time.Time) string {
		_, err := s.Cancel(tx, r.ID, me, now)
		return said(err)
	},
	"spend": func(tx *sqldb.Tx, s *approval.Store, r approval.Request, now time.Time) string {
		ready, err := s.Ready(tx, me, policy.Use, now)
		got, spent := s.Spend(tx, me, r.Digest, now)
		if err != nil || (len(ready) == 1) != (spent == nil) {
			return "ready disagrees"
		}
		if !errors.Is(spent, approval.ErrNone) && got.ID != r.ID {
			return "without the request"
		}
		return said(spent)
	},
	"spend-id": func(tx *sqldb.Tx, s *approval.Store, r approval.Request, now time.Time) string {
		got, err := s.SpendID(tx, r.ID, me, now)
		if got.ID != r.ID {
			return "without the request"
		}
		return said(err)
	},
	"withdraw": func(tx *sqldb.Tx, s *approval.Store, _ approval.Request, _ time.Time) string {
		return count(s.Withdraw(tx, ada))
	},
	"cancel-all": func(tx *sqldb.Tx, s *approval.Store, _ approval.Request, now time.Time) string {
		return count(s.CancelAll(tx, me, now))
	},
	"due": func(tx *sqldb.Tx, s *approval.Store, _ approval.Request, now time.Time) string {
		due, err := s.Due(tx, now, 10)
		return count(len(due), err)
	},
	"purge": func(tx *sqldb.Tx, s *approval.Store, _ approval.Request, now time.Time) string {
		return count(s.Purge(tx, now))
	},
}

func TestEveryStateAndOperation(t *testing.T) {
	db, _ := open(t)
	lines := strings.Split(strings.TrimSpace(machine), "\n")
	names := strings.Fields(lines[0])[1:]
	if len(names) != len(operations) {
		t.Fatalf("%d operations in the table, %d here", len(names), len(operations))
	}
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		state, answers := cells[0], cells[1:]
		if len(answers) != len(names) {
			t.Fatalf("%s has %d answers", state, len(answers))
		}
		for i, name := range names {
			t.Run(state+" "+name, func(t *testing.T) {
				undone(t, db, func(tx *sqldb.Tx, s *approval.Store) {
					r, now := arrive(t, tx, s, state)
					before, err := s.Get(tx, r.ID, now)
					want(t, "get before", err, nil)
					answer, after, _ := strings.Cut(answers[i], ":")
					got, _, _ := strings.Cut(operations[name](tx, s, r, now), ":")
					if got != answer {
						t.Errorf("says %q, want %q", got, answer)
					}
					if after == "" || after == "." {
						after = string(before.Status)
					}
					status(t, tx, s, r.ID, now, approval.Status(after))
				})
			})
		}
	}
}

// TestNoWayBack: from every end, no sequence of two operations makes a request
// that can be spent.
func TestNoWayBack(t *testing.T) {
	db, _ := open(t)
	for _, state := range []string{"denied", "cancelled", "told", "used"} {
		for first, one := range operations {
			for second, two := range operations {
				undone(t, db, func(tx *sqldb.Tx, s *approval.Store) {
					r, now := arrive(t, tx, s, state)
					before, err := s.Get(tx, r.ID, now)
					want(t, "get", err, nil)
					one(tx, s, r, now)
					two(tx, s, r, now)
					for _, at := range []time.Time{now, noon, noon.Add(-delay), now.Add(delay), now.Add(time.Hour)} {
						if _, err := s.SpendID(tx, r.ID, me, at); err == nil {
							t.Errorf("%s, %s, %s: spent", state, first, second)
						}
						status(t, tx, s, r.ID, at, before.Status)
					}
				})
			}
		}
	}
}

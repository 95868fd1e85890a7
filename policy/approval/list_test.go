package approval_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func TestBadSpecs(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *approval.Store) {
		for name, change := range map[string]func(*approval.Spec){
			"digest":              func(s *approval.Spec) { s.Digest = [32]byte{} },
			"requester":           func(s *approval.Spec) { s.Requester = "" },
			"requester: too long": func(s *approval.Spec) { s.Requester = "agent:" + strings.Repeat("a", 251) },
			"agent":               func(s *approval.Spec) { s.Agent = "" },
			"agent: two lines":    func(s *approval.Spec) { s.Agent = "agent:a\nb" },
			"action":              func(s *approval.Spec) { s.Action = "" },
			"action: list":        func(s *approval.Spec) { s.Action = policy.List },
			"action: unknown":     func(s *approval.Spec) { s.Action = "buy" },
			"path":                func(s *approval.Spec) { s.Path = "" },
			"path: wrong":         func(s *approval.Spec) { s.Path = "a//b" },
			"path: of a token":    func(s *approval.Spec) { s.Action, s.Scopes = policy.Token, []string{"*"} },
			"scopes":              func(s *approval.Spec) { s.Scopes = []string{"secrets:read:*"} },
			"scopes: none":        func(s *approval.Spec) { s.Action, s.Path = policy.Token, "" },
			"scopes: many":        func(s *approval.Spec) { *s = token(me, 1, slices.Repeat([]string{"*"}, approval.MaxScopes+1)...) },
			"scopes: long":        func(s *approval.Spec) { *s = token(me, 1, "a", strings.Repeat("b", approval.MaxScopeBytes)) },
			"scopes: invisible":   func(s *approval.Spec) { *s = token(me, 1, "secrets:read:a\u200bb") },
			"tier":                func(s *approval.Spec) { s.Tier = "" },
			"tier: unknown":       func(s *approval.Spec) { s.Tier = "secret" },
			"details: many":       func(s *approval.Spec) { s.Details = make([]approval.Detail, approval.MaxDetails+1) },
			"details: long":       func(s *approval.Spec) { s.Details[0].Text = strings.Repeat("a", approval.MaxDetailBytes-1) },
			"details: long in sum": func(s *approval.Spec) {
				s.Details = slices.Repeat([]approval.Detail{{Name: "n", Text: strings.Repeat("a", approval.MaxDetailBytes/3)}}, 3)
			},
			"details: two lines":            func(s *approval.Spec) { s.Details[0].Text = "a\nb" },
			"details: name in two lines":    func(s *approval.Spec) { s.Details[0].Name = "a\rb" },
			"details: bidi":                 func(s *approval.Spec) { s.Details[0].Text = "moc.\u202eelpmaxe" },
			"description: too long":         func(s *approval.Spec) { s.Description = strings.Repeat("a", approval.MaxDescriptionBytes+1) },
			"description: terminal":         func(s *approval.Spec) { s.Description = "\x1b[2Japproved" },
			"description: not UTF-8":        func(s *approval.Spec) { s.Description = "\xff" },
			"description: line separator":   func(s *approval.Spec) { s.Description = "a\u2028b" },
			"client: NUL":                   func(s *approval.Spec) { s.Client = "\x00" },
			"addr: tab":                     func(s *approval.Spec) { s.Addr = "\t" },
			"rule: too long":                func(s *approval.Spec) { s.Rule = strings.Repeat("a", 257) },
			"quorum":                        func(s *approval.Spec) { s.Approval = policy.Approval{} },
			"quorum: negative":              func(s *approval.Spec) { s.Quorum = -1 },
			"quorum: more than there are":   func(s *approval.Spec) { s.Quorum = 11 },
			"delay: negative":               func(s *approval.Spec) { s.Delay = -1 },
			"expires":                       func(s *approval.Spec) { s.Expires = 0 },
			"expires: shorter than is kept": func(s *approval.Spec) { s.Expires = 999 },
		} {
			sp := spec(me, 1)
			change(&sp)
			r, created, err := s.Ask(tx, sp, noon)
			field, _, _ := strings.Cut(name, ":")
			bad, ok := errors.AsType[*vault.InvalidError](err)
			if !ok || bad.Field != field || created || r.ID != "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		// What is just within the bounds.
		most := token(strings.Repeat("a", 256), 1, strings.Repeat("b", approval.MaxScopeBytes))
		most.Agent, most.Description, most.Quorum = strings.Repeat("b", 256), strings.Repeat("é", approval.MaxDescriptionBytes/2), 10
		most.Details = []approval.Detail{{Name: "n", Text: strings.Repeat("c", approval.MaxDetailBytes-1)}}
		ask(t, tx, s, most, noon)
	})
}

// TestFlood: an agent asks for so many things at once and no more, whatever it does
// to make room; its tokens are it. Others do not feel it, and people who decide make
// room, as time does.
func TestFlood(t *testing.T) {
	db, _ := open(t)
	for name, tc := range map[string]struct {
		do   func(tx *sqldb.Tx, s *approval.Store, ids []string) error
		now  time.Time
		want error
	}{
		"nothing": {nil, noon, approval.ErrTooMany},
		"cancel": {func(tx *sqldb.Tx, s *approval.Store, ids []string) error {
			_, err := s.Cancel(tx, ids[3], me, noon)
			return err
		}, noon, approval.ErrTooMany},
		"one vote": {func(tx *sqldb.Tx, s *approval.Store, ids []string) error {
			_, err := s.Approve(tx, ids[3], ada, "", noon)
			return err
		}, noon, approval.ErrTooMany},
		"in a delay": {both, noon, approval.ErrTooMany},
		"approved":   {both, noon.Add(delay), nil},
		"denied": {func(tx *sqldb.Tx, s *approval.Store, ids []string) error {
			_, err := s.Deny(tx, ids[3], ada, "", noon)
			return err
		}, noon, nil},
		"in time":      {nil, noon.Add(period - time.Microsecond), approval.ErrTooMany},
		"time is over": {nil, noon.Add(period), nil},
		"cancelled and over": {func(tx *sqldb.Tx, s *approval.Store, _ []string) error {
			_, err := s.CancelAll(tx, me, noon)
			return err
		}, noon.Add(period), nil},
		"damaged": {func(tx *sqldb.Tx, _ *approval.Store, _ []string) error {
			_, err := tx.Exec(`UPDATE approvals SET rule = 'x'`)
			return err
		}, noon, approval.ErrTooMany},
	} {
		t.Run(name, func(t *testing.T) {
			undone(t, db, func(tx *sqldb.Tx, s *approval.Store) {
				var ids []string
				for i := range approval.MaxPending {
					sp := spec(me, byte(i))
					if i%2 == 0 {
						sp.Requester = "token:me/tok_" + string(rune('a'+i))
					}
					ids = append(ids, ask(t, tx, s, sp, noon).ID)
				}
				if tc.do != nil {
					want(t, "before", tc.do(tx, s, ids), nil)
				}
				for _, requester := range []string{me, "token:me/tok_z"} {
					sp := spec(requester, 100)
					sp.Agent = me
					r, created, err := s.Ask(tx, sp, tc.now)
					if want(t, requester, err, tc.want); created != (err == nil) || created != (r.ID != "") {
						t.Errorf("%+v", r)
					}
					if created {
						break // the room that was made
					}
				}
				ask(t, tx, s, spec(other, 100), tc.now)
			})
		})
	}
	undone(t, db, func(tx *sqldb.Tx, s *approval.Store) {
		for i := range approval.MaxPending {
			ask(t, tx, s, spec(me, byte(i)), noon)
		}
		if _, created, err := s.Ask(tx, spec(me, 3), noon); created || err != nil {
			t.Errorf("the same again: %t, %v", created, err)
		}
	})
}

func both(tx *sqldb.Tx, s *approval.Store, ids []string) error {
	_, first := s.Approve(tx, ids[3], ada, "", noon)
	_, second := s.Approve(tx, ids[3], bob, "", noon)
	return errors.Join(first, second)
}

// TestList has one request in every status and looks for each.
func TestList(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *approval.Store) {
		now := noon.Add(delay)
		id := map[approval.Status]string{}
		for i, status := range approval.Statuses() {
			sp := spec(me, byte(i))
			if status == approval.Expired {
				sp.Expires = time.Minute
			}
			r := ask(t, tx, s, sp, noon)
			id[status] = r.ID
			switch status {
			case approval.Pending, approval.Expired:
			case approval.Approved, approval.Used:
				agree(t, tx, s, r.ID, noon, ada, bob)
			case approval.Denied:
				_, err := s.Deny(tx, r.ID, ada, "", noon)
				want(t, "deny", err, nil)
			case approval.Cancelled:
				_, err := s.Cancel(tx, r.ID, me, noon)
				want(t, "cancel", err, nil)
			}
			if status == approval.Used {
				_, err := s.Spend(tx, me, sp.Digest, now)
				want(t, "spend", err, nil)
			}
		}
		tok := spec("token:other/tok_1", 1)
		tok.Agent = other
		theirs := ask(t, tx, s, tok, now).ID
		listed := func(q approval.Query) (ids []string) {
			t.Helper()
			page, err := s.List(tx, q, now)
			if err != nil || page.Next != 0 {
				t.Error(page, err)
			}
			for _, r := range page.Items {
				ids = append(ids, r.ID)
			}
			return ids
		}
		for round := range 2 {
			for _, status := range approval.Statuses() {
				wanted := []string{id[status]}
				if status == approval.Pending {
					wanted = []string{theirs, id[status]}
				}
				if got := listed(approval.Query{Status: status}); !slices.Equal(got, wanted) {
					t.Errorf("round %d, %s: %v, want %v", round, status, got, wanted)
				}
				if got := listed(approval.Query{Status: status, Requester: me}); !slices.Equal(got, []string{id[status]}) {
					t.Errorf("round %d, %s: %v", round, status, got)
				}
			}
			if due, err := s.Due(tx, now, 10); err != nil || len(due) != 1-round || round == 0 && due[0].ID != id[approval.Expired] {
				t.Errorf("%+v %v", due, err)
			}
		}
		all := listed(approval.Query{})
		if len(all) != 7 || all[0] != theirs || all[6] != id[approval.Pending] {
			t.Error(all)
		}
		for _, who := range []string{other, tok.Requester} {
			if got := listed(approval.Query{Requester: who}); !slices.Equal(got, []string{theirs}) {
				t.Error(who, got)
			}
		}
		for limit := 1; limit < 9; limit++ {
			var got []string
			for q := (approval.Query{Limit: limit}); ; {
				page, err := s.List(tx, q, now)
				if err != nil || len(page.Items) > limit || len(page.Items) == 0 {
					t.Fatal(limit, page, err)
				}
				for _, r := range page.Items {
					got = append(got, r.ID)
				}
				if q.After = page.Next; q.After == 0 {
					break
				}
			}
			if !slices.Equal(got, all) {
				t.Errorf("by %d: %v", limit, got)
			}
		}
		for field, q := range map[string]approval.Query{"status": {Status: "open"}, "limit": {Limit: -1}, "cursor": {After: -1}} {
			_, err := s.List(tx, q, now)
			if bad, ok := errors.AsType[*vault.InvalidError](err); !ok || bad.Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
	})
}

// TestLongLists: a page has 50, and at most [approval.MaxPage].
func TestLongLists(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *approval.Store) {
		for i := range approval.MaxPage + 1 {
			ask(t, tx, s, spec("agent:"+strconv.Itoa(i), 1), noon)
		}
		for limit, want := range map[int]int{0: 50, 1000: approval.MaxPage} {
			if page, err := s.List(tx, approval.Query{Limit: limit}, noon); err != nil || len(page.Items) != want || page.Next == 0 {
				t.Errorf("%d: %d, %v", limit, len(page.Items), err)
			}
		}
		told := map[string]bool{}
		for _, n := range []int{150, 51, 0} {
			due, err := s.Due(tx, noon.Add(period), 150)
			if err != nil || len(due) != n {
				t.Errorf("%d due, %v", len(due), err)
			}
			for _, r := range due {
				told[r.ID] = true
			}
		}
		if len(told) != approval.MaxPage+1 {
			t.Errorf("%d told", len(told))
		}
	})
}

// TestPurge removes what is settled and long over, and nothing that is to be told.
func TestPurge(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *approval.Store) {
		open, denied := ask(t, tx, s, spec(me, 1), noon), ask(t, tx, s, spec(me, 2), noon)
		_, err := s.Deny(tx, denied.ID, ada, "", noon)
		want(t, "deny", err, nil)
		at := denied.ExpiresAt.Add(approval.Keep)
		purge := func(now time.Time, wanted int) {
			t.Helper()
			if n, err := s.Purge(tx, now); n != wanted || err != nil {
				t.Errorf("%d, %v, want %d", n, err, wanted)
			}
		}
		purge(at.Add(-time.Microsecond), 0)
		purge(at, 1)
		purge(at, 0)
		_, err = s.Get(tx, denied.ID, at)
		want(t, "get", err, approval.ErrUnknown)
		if due, err := s.Due(tx, at, 10); err != nil || len(due) != 1 || due[0].ID != open.ID {
			t.Errorf("%+v %v", due, err)
		}
		purge(at, 1)
	})
}

// TestListsReadNobodyElses: by the plans of the database, a list of one's own and a
// purge look at the rows they are about, at any number of others, and the list stops
// where its page is full.
func TestListsReadNobodyElses(t *testing.T) {
	with(t, func(tx *sqldb.Tx, _ *approval.Store) {
		one, args := approval.ListSQL(approval.Query{Requester: "agent:claude", After: 9, Status: approval.Used})
		all, allArgs := approval.ListSQL(approval.Query{Requester: "agent:claude"})
		for query, args := range map[string][]any{one: args, all: allArgs, approval.PurgeSQL: {0}} {
			err := tx.Query(`EXPLAIN QUERY PLAN `+query, args, func(scan func(...any) error) error {
				var id, parent, unused int
				var step string
				err := scan(&id, &parent, &unused, &step)
				if strings.HasPrefix(step, "SCAN") || strings.Contains(step, "TEMP B-TREE") {
					t.Errorf("%s\n%s", step, query)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
}

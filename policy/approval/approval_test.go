package approval_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

var rows = rowmac.New([rowmac.KeySize]byte{1, 2, 3})

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

const (
	me, other     = "agent:me", "agent:other"
	ada, bob, cyd = "admin:ada", "admin:bob", "admin:cyd"
)

// The terms that tests ask on.
const (
	delay  = 5 * time.Minute
	period = 30 * time.Minute
)

// open opens a database; more names the file of one that is open already, as
// another process would have it.
func open(tb testing.TB, more ...string) (*sqldb.DB, string) {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(dir, "test.db")
	if len(more) > 0 {
		path = more[0]
	}
	db, err := sqldb.Open(tb.Context(), path, approval.Migrations())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db, path
}

func update(tb testing.TB, db *sqldb.DB, fn func(tx *sqldb.Tx)) {
	tb.Helper()
	if err := db.Update(tb.Context(), func(tx *sqldb.Tx) error { fn(tx); return nil }); err != nil {
		tb.Fatal(err)
	}
}

// with runs fn with a fresh store in one transaction.
func with(tb testing.TB, fn func(tx *sqldb.Tx, s *approval.Store)) {
	tb.Helper()
	db, _ := open(tb)
	update(tb, db, func(tx *sqldb.Tx) { fn(tx, approval.New(rows)) })
}

// undone runs fn with a fresh store in one transaction that is not kept.
func undone(t *testing.T, db *sqldb.DB, fn func(tx *sqldb.Tx, s *approval.Store)) {
	t.Helper()
	undo := errors.New("undo")
	want(t, "transaction", db.Update(t.Context(), func(tx *sqldb.Tx) error { fn(tx, approval.New(rows)); return undo }), undo)
}

// spec is a request for something critical; what tells its digest.
func spec(requester string, what byte) approval.Spec {
	return approval.Spec{
		Digest: [32]byte{what, 1}, Requester: requester, Agent: requester, Action: policy.Use, Path: "production/stripe/key", Tier: vault.Critical,
		Details: []approval.Detail{{Name: "to", Text: "https://api.stripe.com/*"}}, Approval: policy.Approval{Quorum: 2, Delay: delay, Expires: period},
	}
}

func token(requester string, what byte, scopes ...string) approval.Spec {
	sp := spec(requester, what)
	sp.Action, sp.Path, sp.Scopes = policy.Token, "", scopes
	return sp
}

func ask(tb testing.TB, tx *sqldb.Tx, s *approval.Store, sp approval.Spec, now time.Time) approval.Request {
	tb.Helper()
	r, created, err := s.Ask(tx, sp, now)
	if err != nil || !created {
		tb.Fatalf("ask: %+v, created %t, %v", r, created, err)
	}
	return r
}

// agree has each admin agree.
func agree(tb testing.TB, tx *sqldb.Tx, s *approval.Store, id string, now time.Time, admins ...string) (r approval.Request) {
	tb.Helper()
	for _, admin := range admins {
		var err error
		if r, err = s.Approve(tx, id, admin, "", now); err != nil {
			tb.Fatalf("approve by %s: %v", admin, err)
		}
	}
	return r
}

func want(tb testing.TB, what string, got, sentinel error) {
	tb.Helper()
	if !errors.Is(got, sentinel) || (got == nil) != (sentinel == nil) {
		tb.Errorf("%s: got %v, want %v", what, got, sentinel)
	}
}

func status(tb testing.TB, tx *sqldb.Tx, s *approval.Store, id string, now time.Time, want approval.Status) {
	tb.Helper()
	if r, err := s.Get(tx, id, now); err != nil || r.Status != want {
		tb.Errorf("at %s: %s, %v, want %s", now.Format(time.TimeOnly), r.Status, err, want)
	}
}

// TestFromAskingToUse follows one request that says all there is to say.
func TestFromAskingToUse(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *approval.Store) {
		sp := token("token:me/tok_1", 1, "secrets:read:production/*", "namespaces:read")
		sp.Agent, sp.Description, sp.Client, sp.Addr, sp.Rule = me, "deploy № 7, ₂", "cursor/1.2", "2001:db8::1", "deploys"
		asked := ask(t, tx, s, sp, noon)
		wanted := approval.Request{
			Seq: 1, ID: asked.ID, Spec: sp, Status: approval.Pending, CreatedAt: noon, ExpiresAt: noon.Add(period),
		}
		same := func(what string, got approval.Request, err error) {
			t.Helper()
			if err != nil || !reflect.DeepEqual(got, wanted) {
				t.Errorf("%s: %v\n got %+v\nwant %+v", what, err, got, wanted)
			}
		}
		same("asked", asked, nil)
		if len(asked.ID) != len(approval.Prefix)+10 || !strings.HasPrefix(asked.ID, approval.Prefix) {
			t.Error(asked.ID)
		}
		got, created, err := s.Ask(tx, sp, noon)
		same("asked again", got, err)
		if created {
			t.Error("a second one")
		}
		at := noon.Add(time.Minute)
		got, err = s.Approve(tx, asked.ID, ada, "I know of it", at)
		wanted.Votes = []approval.Vote{{Admin: ada, At: at, Reason: "I know of it"}}
		same("first vote", got, err)
		at = noon.Add(2 * time.Minute)
		got, err = s.Approve(tx, asked.ID, bob, "", at)
		wanted.Votes = append(wanted.Votes, approval.Vote{Admin: bob, At: at})
		wanted.DecidedAt, wanted.ReadyAt, wanted.ExpiresAt = at, at.Add(delay), at.Add(delay+period)
		same("second vote", got, err)
		got, err = s.Get(tx, asked.ID, wanted.ReadyAt.Add(-time.Microsecond))
		same("just before the delay ends", got, err)
		at = wanted.ReadyAt
		wanted.Status = approval.Approved
		got, err = s.Get(tx, asked.ID, at)
		same("ready", got, err)
		ready, err := s.Ready(tx, sp.Requester, policy.Token, at)
		if want(t, "ready", err, nil); len(ready) != 1 || !reflect.DeepEqual(ready[0], wanted) {
			t.Errorf("%+v", ready)
		}
		wanted.Status, wanted.UsedAt = approval.Used, at
		got, err = s.Spend(tx, sp.Requester, sp.Digest, at)
		same("spent", got, err)
		got, err = s.Get(tx, asked.ID, at.Add(100*time.Hour))
		same("later", got, err)
		again := ask(t, tx, s, sp, at)
		if again.ID == asked.ID || again.Seq != 2 || again.Status != approval.Pending {
			t.Errorf("asked after it was used: %+v", again)
		}
	})
}

// TestOnlyTheSameIsTheSame: requester and digest, and nothing else.
func TestOnlyTheSameIsTheSame(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *approval.Store) {
		mine := ask(t, tx, s, spec(me, 1), noon)
		agree(t, tx, s, mine.ID, noon, ada, bob)
		at := noon.Add(delay)
		theirs := ask(t, tx, s, spec(other, 1), at)
		last := spec(me, 1)
		last.Digest[31]++
		_, err := s.Spend(tx, me, last.Digest, at)
		want(t, "another digest", err, approval.ErrNone)
		_, err = s.Spend(tx, other, spec(me, 1).Digest, at)
		want(t, "another requester", err, approval.ErrPending)
		for _, who := range []string{other, "", "owner", ada, "agent:ME", me + "x"} {
			got, err := s.SpendID(tx, mine.ID, who, at)
			if want(t, "spend by id", err, approval.ErrUnknown); !reflect.DeepEqual(got, approval.Request{}) {
				t.Errorf("%q is told %+v", who, got)
			}
			got, err = s.Cancel(tx, mine.ID, who, at)
			if want(t, "cancel", err, approval.ErrUnknown); !reflect.DeepEqual(got, approval.Request{}) {
				t.Errorf("%q is told %+v", who, got)
			}
			if ready, err := s.Ready(tx, who, policy.Use, at); err != nil || len(ready) != 0 {
				t.Errorf("%q: %+v %v", who, ready, err)
			}
		}
		if ready, err := s.Ready(tx, me, policy.Reveal, at); err != nil || len(ready) != 0 {
			t.Errorf("another action: %+v %v", ready, err)
		}
		status(t, tx, s, mine.ID, at, approval.Approved)
		status(t, tx, s, theirs.ID, at, approval.Pending)
	})
}

// TestWhoMayAgree: admins who did not ask, each once.
func TestWhoMayAgree(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *approval.Store) {
		for name, tc := range map[string]struct {
			requester, agent string
			votes            []string
			want             error // of the last vote
			agreed           int
		}{
			"two admins":            {me, me, []string{ada, bob}, nil, 2},
			"the same twice":        {me, me, []string{ada, ada}, approval.ErrVoted, 1},
			"one too many":          {me, me, []string{ada, bob, cyd}, approval.ErrSettled, 2},
			"the requester":         {ada, ada, []string{ada}, approval.ErrOwnRequest, 0},
			"the requester, second": {ada, ada, []string{bob, ada}, approval.ErrOwnRequest, 1},
			"of an admin":           {ada, ada, []string{bob, cyd}, nil, 2},
			"the one behind it":     {"token:x/tok_1", ada, []string{ada}, approval.ErrOwnRequest, 0},
			"not the one behind it": {ada, me, []string{ada}, approval.ErrOwnRequest, 0},
			"named like the agent":  {"agent:ada", "agent:ada", []string{ada, bob}, nil, 2},
		} {
			sp := spec(tc.requester, 1)
			sp.Agent, sp.Digest = tc.agent, [32]byte{9}
			r := ask(t, tx, s, sp, noon)
			var err error
			for i, admin := range tc.votes {
				if r, err = s.Approve(tx, r.ID, admin, "", noon); err != nil && i < len(tc.votes)-1 {
					t.Errorf("%s: %v", name, err)
				}
			}
			want(t, name, err, tc.want)
			if r.Agreed() != tc.agreed || r.ReadyAt.IsZero() != (tc.agreed < 2) {
				t.Errorf("%s: %+v", name, r)
			}
			if tc.want != nil && r.ID == "" {
				t.Errorf("%s: the error comes without the request", name)
			}
			_, err = s.Cancel(tx, r.ID, tc.requester, noon)
			want(t, name, err, nil)
		}
		r := ask(t, tx, s, spec(me, 1), noon)
		for _, nobody := range []string{"", "ada", "admin", "admin:", "agent:ada", "owner", "token:ada/tok_1", "Admin:ada", me, " admin:ada", "admin:a\nb", "admin:" + strings.Repeat("a", 300)} {
			for what, vote := range map[string]func(*sqldb.Tx, string, string, string, time.Time) (approval.Request, error){"approve": s.Approve, "deny": s.Deny} {
				_, err := vote(tx, r.ID, nobody, "", noon)
				if bad, ok := errors.AsType[*vault.InvalidError](err); !ok || bad.Field != "admin" {
					t.Errorf("%s by %q: %v", what, nobody, err)
				}
				_, err = vote(tx, r.ID, ada, "a\x1bb", noon)
				if bad, ok := errors.AsType[*vault.InvalidError](err); !ok || bad.Field != "reason" {
					t.Errorf("%s: %v", what, err)
				}
				_, err = vote(tx, "apr_0000000000", ada, "", noon)
				want(t, what, err, approval.ErrUnknown)
			}
		}
		_, err := s.Deny(tx, ask(t, tx, s, spec(ada, 1), noon).ID, ada, "", noon)
		want(t, "deny one's own", err, approval.ErrOwnRequest)
		if r, err := s.Get(tx, r.ID, noon); err != nil || len(r.Votes) != 0 {
			t.Errorf("%+v %v", r, err)
		}
	})
}

// TestQuorums: exactly as many as it takes, at once without a delay.
func TestQuorums(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *approval.Store) {
		for quorum := 1; quorum <= 10; quorum++ {
			sp := spec(me, byte(quorum))
			sp.Quorum, sp.Delay = quorum, 0
			r := ask(t, tx, s, sp, noon)
			for i := range quorum {
				status(t, tx, s, r.ID, noon, approval.Pending)
				agree(t, tx, s, r.ID, noon, "admin:"+string(rune('a'+i)))
			}
			status(t, tx, s, r.ID, noon, approval.Approved)
		}
	})
}

// TestWithdraw takes back the votes of an admin who is one no more: before the
// quorum, in the delay and after it, and when the first time is over.
func TestWithdraw(t *testing.T) {
	late := noon.Add(period - time.Minute)
	for name, tc := range map[string]struct {
		votes  []string
		voted  time.Time
		now    time.Time // of the withdrawal
		status approval.Status
		agreed int
	}{
		"before the quorum":      {[]string{ada}, noon, noon, approval.Pending, 0},
		"of another":             {[]string{bob}, noon, noon, approval.Pending, 1},
		"in the delay":           {[]string{ada, bob}, noon, noon.Add(time.Minute), approval.Pending, 1},
		"in the delay, the last": {[]string{bob, ada}, noon, noon.Add(time.Minute), approval.Pending, 1},
		"after the delay":        {[]string{ada, bob}, noon, noon.Add(delay), approval.Pending, 1},
		"after the first time":   {[]string{ada, bob}, late, noon.Add(period), approval.Expired, 1},
		"of others":              {[]string{cyd, bob}, noon, noon.Add(delay), approval.Approved, 2},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, func(tx *sqldb.Tx, s *approval.Store) {
				sp := spec(me, 1)
				r := ask(t, tx, s, sp, noon)
				agree(t, tx, s, r.ID, tc.voted, tc.votes...)
				n, err := s.Withdraw(tx, ada)
				if want(t, "withdraw", err, nil); n != len(tc.votes)-tc.agreed {
					t.Errorf("from %d", n)
				}
				got, err := s.Get(tx, r.ID, tc.now)
				if want(t, "get", err, nil); got.Status != tc.status || got.Agreed() != tc.agreed {
					t.Errorf("%+v", got)
				}
				if tc.agreed < 2 && (!got.ReadyAt.IsZero() || !got.DecidedAt.IsZero() || !got.ExpiresAt.Equal(noon.Add(period))) {
					t.Errorf("%+v", got)
				}
				if tc.status != approval.Pending {
					return
				}
				_, err = s.Spend(tx, me, sp.Digest, tc.now)
				want(t, "spend", err, approval.ErrPending)
				// Whoever is registered under that name later is somebody else and may agree.
				got = agree(t, tx, s, r.ID, tc.now, ada)
				if got.Agreed() == 2 && !got.ReadyAt.Equal(tc.now.Add(delay)) {
					t.Errorf("the delay does not start anew: %+v", got)
				}
			})
		})
	}
}

// TestWithdrawEndsNothing: what was denied or used stays so.
func TestWithdrawEndsNothing(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *approval.Store) {
		denied, used := ask(t, tx, s, spec(me, 1), noon), ask(t, tx, s, spec(me, 2), noon)
		_, err := s.Deny(tx, denied.ID, ada, "no", noon)
		want(t, "deny", err, nil)
		agree(t, tx, s, used.ID, noon, ada, bob)
		at := noon.Add(delay)
		_, err = s.Spend(tx, me, used.Digest, at)
		want(t, "spend", err, nil)
		if n, err := s.Withdraw(tx, ada); n != 0 || err != nil {
			t.Error(n, err)
		}
		status(t, tx, s, denied.ID, at, approval.Denied)
		status(t, tx, s, used.ID, at, approval.Used)
		_, err = s.SpendID(tx, used.ID, me, at)
		want(t, "spend again", err, approval.ErrSettled)
	})
}

// TestDeniedStaysDenied: the same request hears the same until its time is over,
// and a new one starts after that.
func TestDeniedStaysDenied(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *approval.Store) {
		sp := spec(me, 1)
		first := ask(t, tx, s, sp, noon)
		agree(t, tx, s, first.ID, noon, ada, bob)
		got, err := s.Deny(tx, first.ID, ada, "a mistake of mine", noon.Add(time.Minute))
		want(t, "deny in the delay, by who agreed", err, nil)
		wanted := approval.Vote{Admin: ada, Deny: true, At: noon.Add(time.Minute), Reason: "a mistake of mine"}
		if got.Status != approval.Denied || len(got.Votes) != 3 || got.Votes[2] != wanted || !got.DecidedAt.Equal(wanted.At) {
			t.Errorf("%+v", got)
		}
		last := got.ExpiresAt.Add(-time.Microsecond)
		for _, now := range []time.Time{noon.Add(time.Minute), noon.Add(delay), last} {
			again, created, err := s.Ask(tx, sp, now)
			if err != nil || created || again.ID != first.ID || again.Status != approval.Denied {
				t.Errorf("asked at %s: %+v, %t, %v", now, again, created, err)
			}
			again, err = s.Spend(tx, me, sp.Digest, now)
			if want(t, "spend", err, approval.ErrDenied); again.ID != first.ID {
				t.Errorf("%+v", again)
			}
		}
		if second := ask(t, tx, s, sp, got.ExpiresAt); second.ID == first.ID || second.Status != approval.Pending {
			t.Errorf("%+v", second)
		}
		status(t, tx, s, first.ID, got.ExpiresAt, approval.Denied)
	})
}

// TestCancelAll ends what a revoked agent asked for, also by its tokens, and what
// a revoked token asked for.
func TestCancelAll(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *approval.Store) {
		tok := spec("token:me/tok_1", 2)
		tok.Agent = me
		second := tok
		second.Requester = "token:me/tok_2"
		at := noon.Add(delay)
		pending, byToken, byOther := ask(t, tx, s, spec(me, 1), noon), ask(t, tx, s, tok, noon), ask(t, tx, s, second, noon)
		ready, theirs, denied := ask(t, tx, s, spec(me, 3), noon), ask(t, tx, s, spec(other, 1), noon), ask(t, tx, s, spec(me, 4), noon)
		short := spec(me, 5)
		short.Expires = time.Minute
		expired := ask(t, tx, s, short, noon)
		agree(t, tx, s, ready.ID, noon, ada, bob)
		_, err := s.Deny(tx, denied.ID, ada, "", noon)
		want(t, "deny", err, nil)
		for _, step := range []struct {
			who  string
			want int
		}{{tok.Requester, 1}, {tok.Requester, 0}, {"agent:m", 0}, {me, 3}, {me, 0}} {
			if n, err := s.CancelAll(tx, step.who, at); n != step.want || err != nil {
				t.Errorf("%s: %d, %v", step.who, n, err)
			}
		}
		for _, r := range []approval.Request{pending, byToken, byOther, ready} {
			status(t, tx, s, r.ID, at, approval.Cancelled)
		}
		status(t, tx, s, theirs.ID, at, approval.Pending)
		status(t, tx, s, denied.ID, at, approval.Denied)
		status(t, tx, s, expired.ID, at, approval.Expired)
		_, err = s.Spend(tx, me, ready.Digest, at)
		want(t, "spend", err, approval.ErrNone)
	})
}

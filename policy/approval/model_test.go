package approval_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// asked is one request as the model sees it: who said yes and when, and an end.
type asked struct {
	id        string
	requester string
	what      byte
	at        time.Time
	yes       map[string]time.Time
	no        time.Time // when it was denied
	quorum    time.Time // when the quorum was there; zero: it is not
	end       approval.Status
}

// seen is the latest time of what people did to it.
func (a *asked) seen() time.Time {
	t := later(a.at, a.no)
	for _, at := range a.yes {
		if at.After(t) {
			t = at
		}
	}
	return t
}

// until is when its time is over.
func (a *asked) until() time.Time {
	if a.quorum.IsZero() {
		return a.at.Add(period)
	}
	return a.quorum.Add(delay + period)
}

func (a *asked) now(now time.Time) approval.Status {
	switch {
	case a.end != "":
		return a.end
	case !now.Before(a.until()), a.seen().Sub(now) > skew:
		return approval.Expired
	case !a.quorum.IsZero() && !now.Before(a.quorum.Add(delay)):
		return approval.Approved
	}
	return approval.Pending
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// machineUnderTest walks the store and the model side by side.
type machineUnderTest struct {
	t     *testing.T
	db    *sqldb.DB
	s     *approval.Store
	clock time.Time
	all   []*asked
}

var (
	requesters = []string{me, other, ada} // one of them an admin
	admins     = []string{ada, bob, cyd}
)

// do runs one call in a transaction of its own, kept when it does not fail.
func (m *machineUnderTest) do(call func(tx *sqldb.Tx) error) error {
	return m.db.Update(m.t.Context(), call)
}

func (m *machineUnderTest) pick(t *rapid.T) *asked {
	if len(m.all) == 0 {
		m.ask(t)
	}
	// The newest few, so that steps meet.
	i := len(m.all) - 1 - rapid.IntRange(0, min(3, len(m.all)-1)).Draw(t, "back")
	return m.all[i]
}

func answers(t *rapid.T, what string, got, want error) {
	if !errors.Is(got, want) || (got == nil) != (want == nil) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// same is the model's answer to a request: of those whose time it is the approved
// one, else the denied one, else the pending one.
func (m *machineUnderTest) same(requester string, what byte) *asked {
	for _, status := range []approval.Status{approval.Approved, approval.Denied, approval.Pending} {
		for _, a := range slices.Backward(m.all) {
			if a.requester == requester && a.what == what && m.current(a) && a.now(m.clock) == status {
				return a
			}
		}
	}
	return nil
}

// current reports whether it is the time of a.
func (m *machineUnderTest) current(a *asked) bool {
	return m.clock.Before(a.until()) && a.seen().Sub(m.clock) <= skew
}

func (m *machineUnderTest) waiting(requester string) (n int) {
	for _, a := range m.all {
		if status := a.now(m.clock); a.requester == requester && m.current(a) && (status == approval.Pending || status == approval.Cancelled) {
			n++
		}
	}
	return n
}

func (m *machineUnderTest) pass(t *rapid.T) {
	d := rapid.SampledFrom([]time.Duration{
		time.Microsecond, time.Minute, delay - time.Microsecond, delay, period, 3 * period, // forward
		-time.Microsecond, -time.Minute, -skew, -skew - time.Microsecond, -period, // and back
	}).Draw(t, "d")
	m.clock = m.clock.Add(d)
}

func (m *machineUnderTest) ask(t *rapid.T) {
	requester, what := rapid.SampledFrom(requesters).Draw(t, "who"), rapid.ByteRange(1, 2).Draw(t, "what")
	var got approval.Request
	var created bool
	err := m.do(func(tx *sqldb.Tx) (err error) {
		got, created, err = m.s.Ask(tx, spec(requester, what), m.clock)
		return err
	})
	a := m.same(requester, what)
	if a == nil && m.waiting(requester) >= approval.MaxPending {
		answers(t, "ask", err, approval.ErrTooMany)
		return
	}
	answers(t, "ask", err, nil)
	if a != nil {
		if created || got.ID != a.id || got.Status != a.now(m.clock) {
			t.Fatalf("asked for what was asked: %t %+v", created, got)
		}
		return
	}
	if !created {
		t.Fatalf("an old one: %+v", got)
	}
	m.all = append(m.all, &asked{id: got.ID, requester: requester, what: what, at: m.clock, yes: map[string]time.Time{}})
}

func (m *machineUnderTest) approve(t *rapid.T) {
	a, admin := m.pick(t), rapid.SampledFrom(admins).Draw(t, "admin")
	err := m.do(func(tx *sqldb.Tx) error { _, err := m.s.Approve(tx, a.id, admin, "", m.clock); return err })
	_, voted := a.yes[admin]
	switch {
	case admin == a.requester:
		answers(t, "approve", err, approval.ErrOwnRequest)
	case a.now(m.clock) != approval.Pending || !a.quorum.IsZero():
		answers(t, "approve", err, approval.ErrSettled)
	case voted:
		answers(t, "approve", err, approval.ErrVoted)
	default:
		answers(t, "approve", err, nil)
		at := later(m.clock, a.seen())
		if a.yes[admin] = at; len(a.yes) == 2 {
			a.quorum = at
		}
	}
}

func (m *machineUnderTest) close(t *rapid.T) {
	a, deny := m.pick(t), rapid.Bool().Draw(t, "deny")
	err := m.do(func(tx *sqldb.Tx) (err error) {
		if deny {
			_, err = m.s.Deny(tx, a.id, bob, "", m.clock)
		} else {
			_, err = m.s.Cancel(tx, a.id, a.requester, m.clock)
		}
		return err
	})
	if status := a.now(m.clock); status != approval.Pending && status != approval.Approved {
		answers(t, "end", err, approval.ErrSettled)
		return
	}
	answers(t, "end", err, nil)
	if a.end = approval.Cancelled; deny {
		a.end, a.no = approval.Denied, later(m.clock, a.seen())
	}
}

func (m *machineUnderTest) spend(t *rapid.T) {
	requester, what := rapid.SampledFrom(requesters).Draw(t, "who"), rapid.ByteRange(1, 2).Draw(t, "what")
	var got approval.Request
	err := m.do(func(tx *sqldb.Tx) (err error) {
		got, err = m.s.Spend(tx, requester, spec(requester, what).Digest, m.clock)
		return err
	})
	a := m.same(requester, what)
	if a == nil {
		answers(t, "spend", err, approval.ErrNone)
		return
	}
	m.spent(t, a, got, err)
}

func (m *machineUnderTest) spendID(t *rapid.T) {
	a, who := m.pick(t), rapid.SampledFrom(requesters).Draw(t, "who")
	var got approval.Request
	err := m.do(func(tx *sqldb.Tx) (err error) { got, err = m.s.SpendID(tx, a.id, who, m.clock); return err })
	if who != a.requester {
		answers(t, "spend another's", err, approval.ErrUnknown)
		return
	}
	m.spent(t, a, got, err)
}

// spent holds the one rule when something was spent, and the model else.
func (m *machineUnderTest) spent(t *rapid.T, a *asked, got approval.Request, err error) {
	status := a.now(m.clock)
	switch status {
	case approval.Pending:
		answers(t, "spend", err, approval.ErrPending)
	case approval.Denied:
		answers(t, "spend", err, approval.ErrDenied)
	case approval.Cancelled, approval.Expired, approval.Used:
		answers(t, "spend", err, approval.ErrSettled)
	case approval.Approved:
		answers(t, "spend", err, nil)
		voters := map[string]bool{}
		for _, v := range got.Votes {
			voters[v.Admin] = !v.Deny
			if v.Admin == a.requester || m.clock.Before(v.At.Add(delay)) {
				t.Fatalf("spent at %s: %+v", m.clock, got)
			}
		}
		if len(voters) < 2 || a.end != "" || !m.clock.Before(got.ExpiresAt) {
			t.Fatalf("spent at %s: %+v", m.clock, got)
		}
		a.end = approval.Used
	}
}

func (m *machineUnderTest) withdraw(t *rapid.T) {
	admin := rapid.SampledFrom(admins).Draw(t, "admin")
	answers(t, "withdraw", m.do(func(tx *sqldb.Tx) error { _, err := m.s.Withdraw(tx, admin); return err }), nil)
	for _, a := range m.all {
		if _, voted := a.yes[admin]; voted && a.end == "" {
			delete(a.yes, admin)
			a.quorum = time.Time{}
		}
	}
}

func (m *machineUnderTest) due(t *rapid.T) {
	var due []approval.Request
	answers(t, "due", m.do(func(tx *sqldb.Tx) (err error) { due, err = m.s.Due(tx, m.clock, 1000); return err }), nil)
	told := map[string]bool{}
	for _, r := range due {
		told[r.ID] = true
	}
	for _, a := range m.all {
		if over := a.end == "" && !m.clock.Before(a.until()); over != told[a.id] {
			t.Fatalf("told %t at %s: %+v", told[a.id], m.clock, a)
		}
		if told[a.id] {
			a.end = approval.Expired
		}
	}
}

// agrees compares every request in the store with the model.
func (m *machineUnderTest) agrees(t *rapid.T) {
	got := map[string]string{}
	answers(t, "list", m.db.View(m.t.Context(), func(tx *sqldb.Tx) error {
		for q := (approval.Query{Limit: approval.MaxPage}); ; {
			page, err := m.s.List(tx, q, m.clock)
			if err != nil {
				return err
			}
			for _, r := range page.Items {
				got[r.ID] = fmt.Sprint(r.Status, r.ExpiresAt)
			}
			if q.After = page.Next; q.After == 0 {
				return nil
			}
		}
	}), nil)
	if len(got) != len(m.all) {
		t.Fatalf("%d requests, want %d", len(got), len(m.all))
	}
	for _, a := range m.all {
		if wanted := fmt.Sprint(a.now(m.clock), a.until()); got[a.id] != wanted {
			t.Fatalf("at %s: %s, want %s", m.clock, got[a.id], wanted)
		}
	}
}

// TestAgainstAModel walks at random through everything that can be done, under a
// clock that goes forward and back.
func TestAgainstAModel(t *testing.T) {
	db, _ := open(t)
	rapid.Check(t, func(r *rapid.T) {
		m := &machineUnderTest{t: t, db: db, s: approval.New(rows), clock: noon}
		answers(r, "start", m.do(func(tx *sqldb.Tx) error { _, err := tx.Exec(`DELETE FROM approvals`); return err }), nil)
		r.Repeat(map[string]func(*rapid.T){
			"pass": m.pass, "ask": m.ask, "approve": m.approve, "approve too": m.approve, "end": m.close,
			"spend": m.spend, "spend by id": m.spendID, "withdraw": m.withdraw, "due": m.due, "": m.agrees,
		})
	})
}

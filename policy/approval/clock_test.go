package approval_test

import (
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

const skew = 5 * time.Minute

// TestTheDelayIsNotCutShort: whatever the clock says at the votes, and whoever has
// looked meanwhile, a request is ready at one time and not before.
func TestTheDelayIsNotCutShort(t *testing.T) {
	for name, tc := range map[string]struct {
		first, second time.Duration // after noon, when ada and bob agree
		ready         time.Duration
	}{
		"right":                          {time.Minute, 2 * time.Minute, 2*time.Minute + delay},
		"at once":                        {0, 0, delay},
		"set back at the second":         {10 * time.Minute, 6 * time.Minute, 10*time.Minute + delay},
		"set back as far as it may":      {10 * time.Minute, 5 * time.Minute, 10*time.Minute + delay},
		"set back at both":               {-4 * time.Minute, -5 * time.Minute, delay},
		"set forward at the second":      {0, 20 * time.Minute, 20*time.Minute + delay},
		"set forward, and back a little": {20 * time.Minute, 18 * time.Minute, 20*time.Minute + delay},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, func(tx *sqldb.Tx, s *approval.Store) {
				sp := spec(me, 1)
				r := ask(t, tx, s, sp, noon)
				agree(t, tx, s, r.ID, noon.Add(tc.first), ada)
				got := agree(t, tx, s, r.ID, noon.Add(tc.second), bob)
				ready := noon.Add(tc.ready)
				if !got.ReadyAt.Equal(ready) || !got.ExpiresAt.Equal(ready.Add(period)) || got.DecidedAt.Before(r.CreatedAt) {
					t.Errorf("%+v", got)
				}
				// The clock goes forward and back; somebody looks each time.
				for range 3 {
					status(t, tx, s, r.ID, ready, approval.Approved)
					status(t, tx, s, r.ID, ready.Add(-1), approval.Pending)
					_, err := s.Spend(tx, me, sp.Digest, ready.Add(-time.Microsecond))
					want(t, "before", err, approval.ErrPending)
				}
				used, err := s.Spend(tx, me, sp.Digest, ready)
				if want(t, "then", err, nil); !used.UsedAt.Equal(ready) {
					t.Errorf("%+v", used)
				}
			})
		})
	}
}

// TestUnderAClockThatWasAhead: a request, a vote or a quorum of a time that has
// not come is good for nothing until that time, within the skew that is let pass.
func TestUnderAClockThatWasAhead(t *testing.T) {
	const ahead = 20 * time.Minute
	for name, vote := range map[string]func(t *testing.T, tx *sqldb.Tx, s *approval.Store) approval.Request{
		"asked": func(t *testing.T, tx *sqldb.Tx, s *approval.Store) approval.Request {
			t.Helper()
			return ask(t, tx, s, spec(me, 1), noon.Add(ahead))
		},
		"one vote": func(t *testing.T, tx *sqldb.Tx, s *approval.Store) approval.Request {
			t.Helper()
			return agree(t, tx, s, ask(t, tx, s, spec(me, 1), noon).ID, noon.Add(ahead), ada)
		},
		"the quorum": func(t *testing.T, tx *sqldb.Tx, s *approval.Store) approval.Request {
			t.Helper()
			r := ask(t, tx, s, spec(me, 1), noon)
			agree(t, tx, s, r.ID, noon, ada)
			return agree(t, tx, s, r.ID, noon.Add(ahead), bob)
		},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, func(tx *sqldb.Tx, s *approval.Store) {
				r := vote(t, tx, s)
				back := noon.Add(ahead - skew)
				status(t, tx, s, r.ID, back, approval.Pending)
				back = back.Add(-time.Microsecond)
				status(t, tx, s, r.ID, back, approval.Expired)
				_, err := s.Spend(tx, me, r.Digest, back)
				want(t, "spend", err, approval.ErrNone)
				_, err = s.Approve(tx, r.ID, cyd, "", back)
				want(t, "approve", err, approval.ErrSettled)
				// It does not stand in the way of another, nor is it told before its time.
				second := ask(t, tx, s, spec(me, 1), back)
				if due, err := s.Due(tx, back, 10); len(due) != 0 || err != nil {
					t.Errorf("%+v %v", due, err)
				}
				// The owner says that the time has not come.
				if n, err := s.CancelAfter(tx, back, back); n != 1 || err != nil {
					t.Fatal(n, err)
				}
				for _, now := range []time.Time{back, noon.Add(ahead), noon.Add(ahead + delay)} {
					status(t, tx, s, r.ID, now, approval.Cancelled)
				}
				status(t, tx, s, second.ID, back, approval.Pending)
			})
		})
	}
}

// TestSeveralForTheSame come of a clock that was ahead: when its time is there,
// the one that people agreed to answers, then the one that they denied; before, a
// denial of a time that has not come says nothing.
func TestSeveralForTheSame(t *testing.T) {
	const ahead = 20 * time.Minute
	with(t, func(tx *sqldb.Tx, s *approval.Store) {
		sp := spec(me, 1)
		first := ask(t, tx, s, sp, noon.Add(ahead))
		_, err := s.Deny(tx, first.ID, ada, "", noon.Add(ahead))
		want(t, "deny", err, nil)
		_, err = s.Spend(tx, me, sp.Digest, noon)
		want(t, "before its time", err, approval.ErrNone)
		second := ask(t, tx, s, sp, noon.Add(1))
		_, err = s.Spend(tx, me, sp.Digest, noon.Add(1))
		want(t, "the second", err, approval.ErrPending)
		got, err := s.Spend(tx, me, sp.Digest, noon.Add(ahead))
		if want(t, "both", err, approval.ErrDenied); got.ID != first.ID {
			t.Errorf("%+v", got)
		}
		agree(t, tx, s, second.ID, noon.Add(ahead), ada, bob)
		_, err = s.Spend(tx, me, sp.Digest, noon.Add(ahead))
		want(t, "in the delay", err, approval.ErrDenied)
		got, err = s.Spend(tx, me, sp.Digest, noon.Add(ahead+delay))
		if want(t, "approved", err, nil); got.ID != second.ID {
			t.Errorf("%+v", got)
		}
	})
}

// TestAheadOnesFillNothing: what was asked under a clock that was ahead is not
// counted against the agent when it is set right, cancelled or not.
func TestAheadOnesFillNothing(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *approval.Store) {
		for i := range approval.MaxPending {
			ask(t, tx, s, spec(me, byte(i)), noon.Add(24*time.Hour))
		}
		ask(t, tx, s, spec(me, 100), noon)
		if n, err := s.CancelAfter(tx, noon, noon); n != approval.MaxPending || err != nil {
			t.Fatal(n, err)
		}
		ask(t, tx, s, spec(me, 101), noon)
		if n, err := s.Purge(tx, noon.Add(approval.Keep)); n != approval.MaxPending || err != nil {
			t.Error(n, err) // not a day later
		}
	})
}

// TestExpiryIsNotLengthened: the ends that a request may come to, each told or
// seen at its microsecond; what was told stays so when the clock is set back.
func TestExpiryIsNotLengthened(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *approval.Store) {
		unanswered, unused := ask(t, tx, s, spec(me, 1), noon), ask(t, tx, s, spec(me, 2), noon)
		last := noon.Add(period - time.Microsecond)
		agree(t, tx, s, unanswered.ID, last, ada)
		if got := agree(t, tx, s, unused.ID, last, ada, bob); !got.ExpiresAt.Equal(last.Add(delay + period)) {
			t.Errorf("%+v", got)
		}
		_, err := s.Approve(tx, unanswered.ID, bob, "", noon.Add(period))
		want(t, "too late", err, approval.ErrSettled)
		end := last.Add(delay + period)
		for _, step := range []struct {
			now  time.Time
			want []string
		}{{last, nil}, {noon.Add(period), []string{unanswered.ID}}, {end.Add(-time.Microsecond), nil}, {end, []string{unused.ID}}, {end.Add(time.Hour), nil}} {
			due, err := s.Due(tx, step.now, 10)
			want(t, "due", err, nil)
			var ids []string
			for _, r := range due {
				ids = append(ids, r.ID)
				if r.Status != approval.Expired {
					t.Errorf("%+v", r)
				}
			}
			if len(ids) != len(step.want) || len(ids) == 1 && ids[0] != step.want[0] {
				t.Errorf("at %s: %v, want %v", step.now, ids, step.want)
			}
		}
		for _, r := range []approval.Request{unanswered, unused} {
			for _, now := range []time.Time{noon, noon.Add(10 * time.Minute), end.Add(-time.Minute)} {
				status(t, tx, s, r.ID, now, approval.Expired)
				_, err := s.SpendID(tx, r.ID, me, now)
				want(t, "spend", err, approval.ErrSettled)
			}
		}
	})
}

// TestACancelledDelay is the window that a delay is for.
func TestACancelledDelay(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *approval.Store) {
		for i, end := range []func(id string) error{
			func(id string) error { _, err := s.Cancel(tx, id, me, noon.Add(delay-1)); return err },
			func(id string) error { _, err := s.Deny(tx, id, cyd, "", noon.Add(delay-1)); return err },
			func(id string) error { _, err := s.Deny(tx, id, cyd, "", noon.Add(delay)); return err },
		} {
			r := ask(t, tx, s, spec(me, byte(i)), noon)
			agree(t, tx, s, r.ID, noon, ada, bob)
			want(t, "end", end(r.ID), nil)
			_, err := s.Spend(tx, me, r.Digest, noon.Add(delay))
			if err == nil {
				t.Errorf("%d: spent", i)
			}
		}
	})
}

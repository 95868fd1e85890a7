package broker_test

import (
	"errors"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// TestSettingTheClockBackLengthensNoLife: a little back, and time goes on.
func TestSettingTheClockBackLengthensNoLife(t *testing.T) {
	base, received := upstream(t)
	f := newDesk(t, allowAll)
	f.put(t, "a/b", vault.Change{}, base)
	text := f.issue(t, local, broker.IssueRequest{Path: "a/b", TTL: 10 * time.Minute})
	f.pass(9 * time.Minute)
	if _, err := f.HTTP(t.Context(), local, get(base, text)); err != nil {
		t.Fatal(err)
	}
	f.pass(-4 * time.Minute)
	if _, err := f.HTTP(t.Context(), local, get(base, text)); err != nil {
		t.Fatal(err)
	}
	f.pass(time.Minute)
	if _, err := f.HTTP(t.Context(), local, get(base, text)); !errors.Is(err, handle.ErrExpired) {
		t.Errorf("ten minutes after it was issued: %v", err)
	}
	if n := len(received()); n != 2 {
		t.Errorf("%d arrived", n)
	}
}

// TestNothingIsLentWhileTheClockIsBehind, until the owner accepts the time.
func TestNothingIsLentWhileTheClockIsBehind(t *testing.T) {
	base, received := upstream(t)
	f := newDesk(t, allowAll)
	value := f.put(t, "a/b", vault.Change{}, base)
	text := f.issue(t, local, broker.IssueRequest{Path: "a/b", TTL: 24 * time.Hour})
	f.pass(-time.Hour)
	refused := func(when string) {
		t.Helper()
		_, issue := f.Issue(t.Context(), local, broker.IssueRequest{Path: "a/b"})
		_, byOwner := f.Issue(t.Context(), owner, broker.IssueRequest{Path: "a/b"})
		_, use := f.HTTP(t.Context(), local, get(base, text))
		_, reveal := f.Reveal(t.Context(), local, "a/b", vault.Latest)
		for what, err := range map[string]error{"issue": issue, "issue by the owner": byOwner, "use": use, "reveal": reveal} {
			if codeOf(err) != "clock_behind" {
				t.Errorf("%s, %s: %v", when, what, err)
			}
		}
	}
	refused("behind")
	if s, err := f.Reveal(t.Context(), owner, "a/b", vault.Latest); err != nil || string(s.Value.Reveal()) != value {
		t.Errorf("the owner: %v", err)
	}
	if _, _, _, err := f.AcceptClock(t.Context(), local); codeOf(err) != "owner_only" {
		t.Errorf("an agent accepts: %v", err)
	}
	refused("after an agent tried")
	if len(received()) != 0 {
		t.Fatal("something arrived")
	}
	wall, seen, changed, err := f.AcceptClock(t.Context(), owner)
	if err != nil || !changed || !wall.Equal(f.now()) || seen.Sub(wall) != time.Hour {
		t.Fatalf("%s, %s, %v, %v", wall, seen, changed, err)
	}
	if _, _, changed, err := f.AcceptClock(t.Context(), owner); err != nil || changed {
		t.Errorf("accepted twice: %v, %v", changed, err)
	}
	if _, err := f.HTTP(t.Context(), local, get(base, text)); !errors.Is(err, handle.ErrRevoked) {
		t.Errorf("a handle from the future: %v", err)
	}
	fresh := f.issue(t, local, broker.IssueRequest{Path: "a/b"})
	if _, err := f.HTTP(t.Context(), local, get(base, fresh)); err != nil {
		t.Error(err)
	}
	var accepted []audit.Record
	if err := f.db.View(t.Context(), func(tx *sqldb.Tx) error {
		all, err := f.log.Last(tx, 100)
		for _, r := range all {
			if r.Event == "clock.accepted" && r.Outcome == audit.OK {
				accepted = append(accepted, r)
			}
		}
		return err
	}); err != nil || len(accepted) != 1 || !accepted[0].Time.Equal(f.now()) {
		t.Errorf("on record: %+v, %v", accepted, err)
	}
}

// TestAWrongClockDestroysNoTrash: a clock that is years ahead, at two
// checkpoints, and right again.
func TestAWrongClockDestroysNoTrash(t *testing.T) {
	f := newDesk(t, allowAll)
	f.put(t, "a/b", vault.Change{})
	f.put(t, "a/c", vault.Change{})
	if _, err := f.Delete(t.Context(), owner, "a/b", false); err != nil {
		t.Fatal(err)
	}
	const years = 5 * 365 * 24 * time.Hour
	f.seal(t)
	f.pass(years)
	f.seal(t)
	f.pass(time.Hour)
	f.seal(t)
	f.pass(-years)
	if _, _, changed, err := f.AcceptClock(t.Context(), owner); err != nil || !changed {
		t.Fatal(changed, err)
	}
	f.seal(t)
	if _, err := f.Restore(t.Context(), owner, "a/b"); err != nil {
		t.Fatalf("destroyed: %v", err)
	}
	if _, err := f.Delete(t.Context(), owner, "a/b", false); err != nil {
		t.Fatal(err)
	}
	f.pass(vault.TrashRetention)
	for range 2 {
		f.seal(t)
		f.pass(25 * time.Hour)
	}
	f.seal(t)
	if left := f.trashed(t); left != 0 {
		t.Errorf("%d left in the trash after two looks", left)
	}
}

// seal makes an event and its checkpoint, as the end of a command does.
func (f *fixture) seal(t *testing.T) {
	t.Helper()
	if _, err := f.Reveal(t.Context(), owner, "a/c", vault.Latest); err != nil {
		t.Fatal(err)
	}
	if err := f.Sign(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) trashed(t *testing.T) (n int) {
	t.Helper()
	if err := f.db.View(t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow("SELECT count(*) FROM vault_secrets WHERE deleted_at <> 0").Scan(&n)
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAHandleDoesNotComeBackWithItsTime: the clock is set back by mistake and
// accepted; a day later it is the same time again.
func TestAHandleDoesNotComeBackWithItsTime(t *testing.T) {
	base, received := upstream(t)
	f := newDesk(t, allowAll)
	f.put(t, "a/b", vault.Change{}, base)
	text := f.issue(t, local, broker.IssueRequest{Path: "a/b", TTL: 10 * time.Minute})
	f.pass(20 * time.Minute)
	f.pass(-24 * time.Hour)
	if _, _, changed, err := f.AcceptClock(t.Context(), owner); err != nil || !changed {
		t.Fatal(changed, err)
	}
	f.pass(24*time.Hour - 15*time.Minute) // five minutes after it was issued
	if _, err := f.HTTP(t.Context(), local, get(base, text)); !errors.Is(err, handle.ErrRevoked) {
		t.Errorf("a day after it had expired: %v", err)
	}
	if len(received()) != 0 {
		t.Error("it arrived")
	}
}

// TestADeletedSecretTakesItsHandlesAlong also while a clock that is ahead says
// that they have expired.
func TestADeletedSecretTakesItsHandlesAlong(t *testing.T) {
	base, received := upstream(t)
	f := newDesk(t, allowAll)
	f.put(t, "a/b", vault.Change{}, base)
	text := f.issue(t, local, broker.IssueRequest{Path: "a/b", TTL: 30 * time.Minute})
	f.pass(time.Hour)
	if _, err := f.Delete(t.Context(), owner, "a/b", false); err != nil {
		t.Fatal(err)
	}
	f.pass(-time.Hour)
	if _, _, changed, err := f.AcceptClock(t.Context(), owner); err != nil || !changed {
		t.Fatal(changed, err)
	}
	if _, err := f.Restore(t.Context(), owner, "a/b"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.HTTP(t.Context(), local, get(base, text)); !errors.Is(err, handle.ErrRevoked) {
		t.Errorf("a handle from before it was deleted: %v", err)
	}
	if len(received()) != 0 {
		t.Error("it arrived")
	}
}

// TestARotationAheadKeepsNoVersionForLonger: a version that was retired while the
// clock was a day ahead has its own grace after the clock is right, and not that
// day; one that was retired before, as long as it was given.
func TestARotationAheadKeepsNoVersionForLonger(t *testing.T) {
	const day = 24 * time.Hour
	for name, tc := range map[string]struct {
		grace, wrong time.Duration // what it is given, and how long the clock stays wrong after
		early        bool          // rotated before it goes wrong
		left         time.Duration // from the acceptance
	}{
		"no grace":                   {0, 0, false, 0},
		"five minutes":               {5 * time.Minute, 0, false, 5 * time.Minute},
		"five minutes, two are over": {5 * time.Minute, 2 * time.Minute, false, 3 * time.Minute},
		"five minutes, all are over": {5 * time.Minute, time.Hour, false, 0},
		"a week, given before":       {7 * day, time.Hour, true, 7 * day},
		"an hour, given before":      {time.Hour, 0, true, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			f := newDesk(t, allowAll)
			f.put(t, "a/b", vault.Change{Generate: new(vault.Recipe("{base62:30}"))})
			rotate := func() {
				t.Helper()
				if _, err := f.Rotate(t.Context(), owner, broker.RotateRequest{Path: "a/b", Grace: tc.grace}); err != nil {
					t.Fatal(err)
				}
			}
			if tc.early {
				rotate()
			}
			f.pass(day)
			if !tc.early {
				rotate()
			}
			f.pass(tc.wrong)
			if _, err := f.Reveal(t.Context(), owner, "a/b", vault.Latest); err != nil { // time is seen
				t.Fatal(err)
			}
			f.pass(-day - tc.wrong)
			if _, _, changed, err := f.AcceptClock(t.Context(), owner); err != nil || !changed {
				t.Fatal(changed, err)
			}
			readable := func(when string, want bool) {
				t.Helper()
				_, err := f.Reveal(t.Context(), owner, "a/b", 1)
				if want && err != nil || !want && !errors.Is(err, vault.ErrVersionRetired) {
					t.Errorf("version 1, %s: %v", when, err)
				}
				if _, err := f.Reveal(t.Context(), owner, "a/b", vault.Latest); err != nil {
					t.Errorf("the current one, %s: %v", when, err)
				}
			}
			readable("accepted", tc.left > 0)
			f.pass(tc.left - time.Microsecond)
			readable("at the end", tc.left > 0)
			f.pass(time.Microsecond)
			readable("after the end", false)
			f.pass(max(0, day-tc.left)) // the time at which it was rotated comes
			readable("a day later", false)
		})
	}
}

// TestADeletionAheadKeepsNoTrashForLonger.
func TestADeletionAheadKeepsNoTrashForLonger(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for left, want := range map[time.Duration]error{time.Microsecond: nil, 0: vault.ErrNotFound} {
		f := newDesk(t, allowAll)
		f.put(t, "a/b", vault.Change{})
		f.put(t, "a/c", vault.Change{})
		f.pass(year)
		if _, err := f.Delete(t.Context(), owner, "a/b", false); err != nil {
			t.Fatal(err)
		}
		f.seal(t)
		f.pass(-year)
		if _, _, changed, err := f.AcceptClock(t.Context(), owner); err != nil || !changed {
			t.Fatal(changed, err)
		}
		f.pass(vault.TrashRetention - left)
		if _, err := f.Restore(t.Context(), owner, "a/b"); !errors.Is(err, want) {
			t.Errorf("%s before it is over: %v", left, err)
		}
	}
}

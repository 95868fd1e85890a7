package handle_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func listed(tb testing.TB, tx *sqldb.Tx, s *handle.Store, principal string, now time.Time) []string {
	tb.Helper()
	handles, err := s.List(tx, principal, now)
	if err != nil {
		tb.Fatal(err)
	}
	var ids []string
	for _, h := range handles {
		ids = append(ids, h.ID)
	}
	return ids
}

func same(tb testing.TB, what string, got []string, want ...string) {
	tb.Helper()
	if len(got) != len(want) {
		tb.Fatalf("%s: got %v, want %v", what, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			tb.Fatalf("%s: got %v, want %v", what, got, want)
		}
	}
}

func TestListShowsWhatCanBeSpent(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		_, a := mustMint(t, tx, s, spec(me), noon)
		once := spec(me)
		once.Uses = 1
		text, b := mustMint(t, tx, s, once, noon.Add(time.Second))
		_, c := mustMint(t, tx, s, spec(other), noon.Add(2*time.Second))
		same(t, "all", listed(t, tx, s, "", noon), c.ID, b.ID, a.ID)
		same(t, "mine", listed(t, tx, s, me, noon), b.ID, a.ID)
		if _, err := s.Spend(tx, me, text, noon); err != nil {
			t.Fatal(err)
		}
		same(t, "spent", listed(t, tx, s, me, noon), a.ID)
		want(t, "revoke", s.Revoke(tx, a.ID, noon), nil)
		same(t, "revoked", listed(t, tx, s, me, noon))
		same(t, "expired", listed(t, tx, s, "", noon.Add(handle.MaxTTL)))
		same(t, "nobody's", listed(t, tx, s, "agent:nobody", noon))
	})
}

func TestRevoke(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		text, h := mustMint(t, tx, s, spec(me), noon)
		kept, _ := mustMint(t, tx, s, spec(other), noon)
		want(t, "unknown", s.Revoke(tx, "h_0000000000", noon), handle.ErrUnknown)
		want(t, "text is no id", s.Revoke(tx, text, noon), handle.ErrUnknown)
		want(t, "once", s.Revoke(tx, h.ID, noon), nil)
		want(t, "twice", s.Revoke(tx, h.ID, noon.Add(time.Hour)), nil)
		if got, err := s.Lookup(tx, me, text, noon); !got.RevokedAt.Equal(noon) {
			t.Errorf("revoked at %v (%v)", got.RevokedAt, err)
		}
		for range 3 {
			text, _ = mustMint(t, tx, s, spec(me), noon)
		}
		if n, err := s.RevokeAll(tx, me, noon); n != 3 || err != nil {
			t.Errorf("revoked %d, %v", n, err)
		}
		_, err := s.Spend(tx, me, text, noon)
		want(t, "after all", err, handle.ErrRevoked)
		_, err = s.Spend(tx, other, kept, noon)
		want(t, "another's", err, nil)
	})
}

func TestPurgeForgetsWhatExpiredLongAgo(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		text, h := mustMint(t, tx, s, spec(me), noon)
		long := spec(me)
		long.TTL = handle.MaxTTL
		kept, _ := mustMint(t, tx, s, long, noon)
		for _, step := range []struct {
			now  time.Time
			gone int
			want error
		}{
			{h.ExpiresAt, 0, handle.ErrExpired},
			{h.ExpiresAt.Add(handle.Keep - time.Microsecond), 0, handle.ErrExpired},
			{h.ExpiresAt.Add(handle.Keep), 1, handle.ErrUnknown},
			{h.ExpiresAt.Add(handle.Keep), 0, handle.ErrUnknown},
		} {
			if n, err := s.Purge(tx, step.now); n != step.gone || err != nil {
				t.Errorf("purged %d, %v", n, err)
			}
			_, err := s.Spend(tx, me, text, step.now)
			want(t, "purged", err, step.want)
			_, err = s.Spend(tx, me, kept, step.now)
			want(t, "kept", err, nil)
		}
	})
}

// ring mints n handles and returns their texts, oldest first.
func ring(tb testing.TB, tx *sqldb.Tx, s *handle.Store, sp handle.Spec, n int, now time.Time) (texts []string) {
	tb.Helper()
	for range n {
		text, _ := mustMint(tb, tx, s, sp, now)
		texts = append(texts, text)
	}
	return texts
}

func alive(tb testing.TB, tx *sqldb.Tx, s *handle.Store, principal string, texts []string, now time.Time) (n int) {
	tb.Helper()
	for _, text := range texts {
		if _, err := s.Lookup(tx, principal, text, now); err == nil {
			n++
		}
	}
	return n
}

func TestTheOldestGivesWay(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		mine := ring(t, tx, s, spec(me), handle.MaxLive, noon)
		theirs := ring(t, tx, s, spec(other), 5, noon)
		if n := alive(t, tx, s, me, mine, noon); n != handle.MaxLive {
			t.Errorf("%d live of %d", n, handle.MaxLive)
		}
		mine = append(mine, ring(t, tx, s, spec(me), 7, noon)...)
		if n := alive(t, tx, s, me, mine[handle.GiveWay:], noon); n != handle.MaxLive+7-handle.GiveWay {
			t.Errorf("%d of the newest %d live", n, handle.MaxLive+7-handle.GiveWay)
		}
		if n := alive(t, tx, s, me, mine[:handle.GiveWay], noon); n != 0 {
			t.Errorf("%d of the oldest live", n)
		}
		_, err := s.Spend(tx, me, mine[0], noon)
		want(t, "the oldest", err, handle.ErrUnknown)
		if n := alive(t, tx, s, other, theirs, noon); n != 5 {
			t.Errorf("%d of another's live", n)
		}
	})
}

// TestTheDeadGiveWayFirst: a long-lived handle does not fall to a thousand
// that are over.
func TestTheDeadGiveWayFirst(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		long := spec(me)
		long.TTL = handle.MaxTTL
		first := ring(t, tx, s, long, 1, noon)
		gone := ring(t, tx, s, spec(me), 400, noon)
		second := ring(t, tx, s, long, 1, noon)
		once := spec(me)
		once.Uses = 1
		for _, text := range ring(t, tx, s, once, 200, noon) {
			if _, err := s.Spend(tx, me, text, noon); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Purge(tx, noon); err != nil {
			t.Fatal(err)
		}
		now := noon.Add(handle.DefaultTTL)
		fresh := ring(t, tx, s, spec(me), handle.MaxLive-2, now)
		for name, tc := range map[string]struct {
			texts []string
			want  int
		}{"oldest": {first, 1}, "old": {second, 1}, "expired": {gone, 0}, "fresh": {fresh, handle.MaxLive - 2}} {
			if n := alive(t, tx, s, me, tc.texts, now); n != tc.want {
				t.Errorf("%s: %d live, want %d", name, n, tc.want)
			}
		}
		// Now that all thousand are live the oldest go.
		ring(t, tx, s, spec(me), 2, now.Add(time.Minute))
		if n := alive(t, tx, s, me, append(first, second...), now); n != 0 {
			t.Errorf("%d of the oldest live", n)
		}
		if n := len(listed(t, tx, s, me, now)); n != handle.MaxLive+2-handle.GiveWay {
			t.Errorf("%d live in all", n)
		}
	})
}

// TestWhatCannotBeSpentGivesWay, also before its time is over.
func TestWhatCannotBeSpentGivesWay(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		first := ring(t, tx, s, spec(me), 1, noon)
		once := spec(me)
		once.Uses = 1
		text, _ := mustMint(t, tx, s, once, noon)
		if _, err := s.Spend(tx, me, text, noon); err != nil {
			t.Fatal(err)
		}
		_, h := mustMint(t, tx, s, spec(me), noon)
		want(t, "revoke", s.Revoke(tx, h.ID, noon), nil)
		ring(t, tx, s, spec(me), handle.MaxLive-1, noon)
		if n := alive(t, tx, s, me, first, noon); n != 1 || len(listed(t, tx, s, me, noon)) != handle.MaxLive {
			t.Errorf("the oldest fell to one that was over: %d", n)
		}
	})
}

// TestOlderRing: the handles of a database from before the rows lay in the order
// of their rings are spent and give way as ever.
func TestOlderRing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	if err := os.Chmod(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	s := handle.New(rows)
	var mine, theirs []string
	for _, schema := range [][]sqldb.Migration{handle.Migrations()[:2], handle.Migrations()} {
		db, err := sqldb.Open(t.Context(), path, schema)
		if err != nil {
			t.Fatal(err)
		}
		old := len(schema) == 2
		if old { // the code writes a column that came later
			update(t, db, func(tx *sqldb.Tx) error {
				_, err := tx.Exec(`ALTER TABLE handles ADD COLUMN tier TEXT NOT NULL DEFAULT ''`)
				return err
			})
		}
		update(t, db, func(tx *sqldb.Tx) error {
			mine = append(mine, ring(t, tx, s, spec(me), handle.MaxLive/2, noon)...)
			theirs = append(theirs, ring(t, tx, s, spec(other), 3, noon)...)
			if a, b := alive(t, tx, s, me, mine, noon), alive(t, tx, s, other, theirs, noon); a != len(mine) || b != len(theirs) {
				t.Errorf("%d of %d and %d of %d live", a, len(mine), b, len(theirs))
			}
			return nil
		})
		if len(mine) == handle.MaxLive {
			update(t, db, func(tx *sqldb.Tx) error {
				ring(t, tx, s, spec(me), 1, noon)
				if n := alive(t, tx, s, me, mine[handle.GiveWay:], noon); n != len(mine)-handle.GiveWay {
					t.Errorf("%d live", n)
				}
				return nil
			})
		}
		if old {
			update(t, db, func(tx *sqldb.Tx) error {
				_, err := tx.Exec(`ALTER TABLE handles DROP COLUMN tier`)
				return err
			})
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

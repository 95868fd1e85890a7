package handle_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

const kin = "token:me/"

// ofKin is what a handle of a token is made of.
func ofKin(token string) handle.Spec {
	sp := spec(kin + token)
	sp.Family = kin
	return sp
}

// fill copies the handle of a token n times, a second apart, for tokens with 900 each.
func fill(tb testing.TB, tx *sqldb.Tx, text string, n int) {
	tb.Helper()
	_, err := tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO handles SELECT '`+kin+`f' || (i / 900), i, 'fill' || i, hash, path, version, destinations, shape, rule, parent,
			created_at + i * 1000000, expires_at + i * 1000000, revoked_at, max_uses, used, mac, tier
		FROM handles, n WHERE principal = ?`, n, text)
	if err != nil {
		tb.Fatal(err)
	}
	clear(tx.Shared())
}

func count(tb testing.TB, tx *sqldb.Tx, where string) (n int) {
	tb.Helper()
	if err := tx.QueryRow(`SELECT count(*) FROM handles WHERE ` + where).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

const inKin = `principal LIKE '` + kin + `%'`

// TestAFamilyIsBounded: the oldest handles of all tokens of one agent give way, a
// hundred at once, and neither the agent's own nor those of others.
func TestAFamilyIsBounded(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		old, _ := mustMint(t, tx, s, ofKin("first"), noon)
		fill(t, tx, kin+"first", handle.MaxFamily-2)
		mine, _ := mustMint(t, tx, s, spec("token:me"), noon)
		longer := spec("token:me2/a")
		longer.Family = "token:me2/"
		theirs, _ := mustMint(t, tx, s, longer, noon)
		last, _ := mustMint(t, tx, s, ofKin("last"), noon)
		if n := count(t, tx, inKin); n != handle.MaxFamily {
			t.Fatalf("%d handles", n)
		}
		_, err := s.Lookup(tx, kin+"first", old, noon)
		want(t, "the oldest, before", err, nil)
		// One that is made under a clock that was set back looks like the oldest.
		fresh, _ := mustMint(t, tx, s, ofKin("last"), noon.Add(-time.Minute))
		if n := count(t, tx, inKin); n != handle.MaxFamily+1-100 {
			t.Errorf("%d handles", n)
		}
		if n := count(t, tx, `id LIKE 'fill%' AND CAST(substr(id, 5) AS INTEGER) < 99`); n != 0 {
			t.Errorf("%d of the oldest are left", n)
		}
		_, err = s.Lookup(tx, kin+"first", old, noon)
		want(t, "the oldest", err, handle.ErrUnknown)
		for text, who := range map[string]string{mine: "token:me", theirs: "token:me2/a", fresh: kin + "last"} {
			_, err := s.Lookup(tx, who, text, noon)
			want(t, who, err, nil)
		}
		_, err = s.Lookup(tx, kin+"last", last, noon)
		want(t, "made with the oldest", err, handle.ErrUnknown)
		for range 99 {
			mustMint(t, tx, s, ofKin("more"), noon)
		}
		if n := count(t, tx, inKin); n != handle.MaxFamily {
			t.Errorf("%d handles", n)
		}
	})
}

// TestTheDeadOfAFamilyGiveWayFirst: what can no longer be spent.
func TestTheDeadOfAFamilyGiveWayFirst(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		first, _ := mustMint(t, tx, s, ofKin("first"), noon)
		fill(t, tx, kin+"first", handle.MaxFamily-1)
		if _, err := tx.Exec(`UPDATE handles SET revoked_at = 1 WHERE principal = ?`, kin+"f3"); err != nil {
			t.Fatal(err)
		}
		mustMint(t, tx, s, ofKin("last"), noon)
		_, err := s.Lookup(tx, kin+"first", first, noon)
		want(t, "the oldest", err, nil)
		if n := count(t, tx, inKin); n != handle.MaxFamily+1-900 {
			t.Errorf("%d handles", n)
		}
	})
}

// TestFamilyOfOthers: a principal shares with none but its own.
func TestFamilyOfOthers(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		sp := ofKin("a")
		sp.Principal = "token:other/a"
		_, _, err := s.Mint(tx, sp, noon)
		if bad := (*vault.InvalidError)(nil); !errors.As(err, &bad) || bad.Field != "family" {
			t.Error(err)
		}
	})
}

// TestPurgeGoesOnWhereItStopped: it looks at a part of the handles at a time, and at
// all of them in the end, however many there are and whoever purges between.
func TestPurgeGoesOnWhereItStopped(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		mustMint(t, tx, s, ofKin("first"), noon)
		fill(t, tx, kin+"first", 9_999)
		long := spec(me)
		long.TTL = handle.MaxTTL
		kept, _ := mustMint(t, tx, s, long, noon)
		now := noon.Add(12 * time.Hour)
		var gone []int
		for range 7 {
			n, err := s.Purge(tx, now)
			if err != nil {
				t.Fatal(err)
			}
			gone = append(gone, n)
		}
		// A handle of me stands before those of the tokens.
		if !slices.Equal(gone, []int{1_999, 2_000, 2_000, 2_000, 2_000, 1, 0}) {
			t.Errorf("purged %v", gone)
		}
		_, err := s.Lookup(tx, me, kept, now)
		want(t, "the one that lives", err, nil)
	})
}

// BenchmarkCrowd measures a handle of a token whose agent has many, when nobody else
// writes and when somebody else always does, and a purge, beside a handle of an agent.
func BenchmarkCrowd(b *testing.B) {
	for _, n := range []int{10, 1_000, 9_000} {
		db, _ := open(b)
		s := handle.New(rows)
		update(b, db, func(tx *sqldb.Tx) error {
			mustMint(b, tx, s, ofKin("first"), noon)
			fill(b, tx, kin+"first", n)
			return nil
		})
		measure := func(name string, fn func(tx *sqldb.Tx) error) {
			b.Run(strconv.Itoa(n)+" "+name, func(b *testing.B) {
				for b.Loop() {
					update(b, db, fn)
				}
			})
		}
		mint := func(tx *sqldb.Tx, sp handle.Spec) error {
			_, _, err := s.Mint(tx, sp, noon)
			return err
		}
		measure("agent", func(tx *sqldb.Tx) error { return mint(tx, spec(me)) })
		measure("token", func(tx *sqldb.Tx) error { return mint(tx, ofKin("last")) })
		measure("token beside others", func(tx *sqldb.Tx) error { clear(tx.Shared()); return mint(tx, ofKin("other")) })
		measure("purge", func(tx *sqldb.Tx) error { _, err := s.Purge(tx, noon); return err })
	}
}

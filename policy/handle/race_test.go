package handle_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// TestUsesAreCountedExactly spends one handle from many goroutines and two
// databases on one file: there are as many successes as uses, never more.
func TestUsesAreCountedExactly(t *testing.T) {
	first, path := open(t)
	second, _ := open(t, path)
	s := handle.New(rows)
	for _, uses := range []int{1, 2, 25} {
		sp := spec(me)
		sp.Uses = uses
		var text string
		update(t, first, func(tx *sqldb.Tx) error { text, _ = mustMint(t, tx, s, sp, noon); return nil })
		var wg sync.WaitGroup
		var spent, exhausted atomic.Int64
		for i := range 60 {
			db := []*sqldb.DB{first, second}[i%2]
			wg.Go(func() {
				err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
					_, err := s.Spend(tx, me, text, noon)
					return err
				})
				switch {
				case err == nil:
					spent.Add(1)
				case errors.Is(err, handle.ErrExhausted):
					exhausted.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if spent.Load() != int64(uses) || exhausted.Load() != int64(60-uses) {
			t.Errorf("%d uses: %d spent, %d refused", uses, spent.Load(), exhausted.Load())
		}
	}
}

// TestAUseThatIsUndoneIsNotCounted: the caller's transaction decides.
func TestAUseThatIsUndoneIsNotCounted(t *testing.T) {
	db, _ := open(t)
	s := handle.New(rows)
	sp := spec(me)
	sp.Uses = 1
	var text string
	update(t, db, func(tx *sqldb.Tx) error { text, _ = mustMint(t, tx, s, sp, noon); return nil })
	boom := errors.New("boom")
	spend := func(end error) error {
		return db.Update(t.Context(), func(tx *sqldb.Tx) error {
			if _, err := s.Spend(tx, me, text, noon); err != nil {
				return err
			}
			return end
		})
	}
	want(t, "undone", spend(boom), boom)
	want(t, "spent", spend(nil), nil)
	want(t, "again", spend(nil), handle.ErrExhausted)
}

// TestManyMintAtOnce fills rings from several processes.
func TestManyMintAtOnce(t *testing.T) {
	first, path := open(t)
	second, _ := open(t, path)
	var wg sync.WaitGroup
	for i := range 8 {
		db, s := []*sqldb.DB{first, second}[i%2], handle.New(rows)
		wg.Go(func() {
			for range 10 {
				if err := db.Update(t.Context(), func(tx *sqldb.Tx) error {
					for range 20 {
						if _, _, err := s.Mint(tx, spec(me), noon); err != nil {
							return err
						}
					}
					return nil
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	update(t, first, func(tx *sqldb.Tx) error {
		if n := len(listed(t, tx, handle.New(rows), me, noon)); n > handle.MaxLive || n <= handle.MaxLive-handle.GiveWay {
			t.Errorf("%d live", n)
		}
		return nil
	})
}

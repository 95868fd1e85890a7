package handle_test

import (
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func TestRevokePath(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		elsewhere := spec(me)
		elsewhere.Path = "production/openai/api-key2"
		mine, _ := mustMint(t, tx, s, spec(me), noon)
		theirs, _ := mustMint(t, tx, s, spec(other), noon)
		kept, _ := mustMint(t, tx, s, elsewhere, noon)
		later := noon.Add(time.Second)
		if n, err := s.RevokePath(tx, spec(me).Path, later); err != nil || n != 2 {
			t.Fatalf("%d ended, %v", n, err)
		}
		_, err := s.Spend(tx, me, mine, later)
		want(t, "mine", err, handle.ErrRevoked)
		_, err = s.Spend(tx, other, theirs, later)
		want(t, "another's", err, handle.ErrRevoked)
		_, err = s.Spend(tx, me, kept, later)
		want(t, "of another path", err, nil)
		if n, err := s.RevokePath(tx, spec(me).Path, later); err != nil || n != 0 {
			t.Errorf("again: %d ended, %v", n, err)
		}
	})
}

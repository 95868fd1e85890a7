package handle_test

import (
	"bytes"
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

var guesses = flag.Int("handle.guesses", 50_000/scale, "how many handles are guessed")

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// near is a handle that differs from a real one in one letter, with the right
// checksum.
func near(t *testing.T, text string, at, by int) string {
	t.Helper()
	var pool [32]byte
	body := strings.TrimPrefix(text, handle.Prefix)
	for i := range mint.RandomLen {
		pool[i] = byte(strings.IndexByte(digits, body[i]))
	}
	at %= mint.RandomLen
	pool[at] = (pool[at] + 1 + byte(by%61)) % 62
	out, err := mint.From(bytes.NewReader(pool[:]), handle.Prefix)
	if err != nil || out == text || handle.Check(out) != nil {
		t.Fatalf("no near miss: %v", err)
	}
	return out
}

// TestGuessing: no guess finds a handle, and every one of them gets the same
// reply, as near as it may be: any handle, one letter beside a real one, and the
// real one of another, whether it is good, used up, over or revoked.
func TestGuessing(t *testing.T) {
	with(t, func(tx *sqldb.Tx, s *handle.Store) {
		mine, _ := mustMint(t, tx, s, spec(me), noon)
		var others []string
		for _, how := range []string{"good", "used", "expired", "revoked"} {
			sp := spec(other)
			sp.Uses = map[string]int{"used": 1}[how]
			sp.TTL = map[string]time.Duration{"expired": time.Nanosecond}[how]
			text, h := mustMint(t, tx, s, sp, noon)
			others = append(others, text)
			var err error
			switch how {
			case "used":
				_, err = s.Spend(tx, other, text, noon)
			case "revoked":
				err = s.Revoke(tx, h.ID, noon)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		later := noon.Add(time.Minute)
		kinds := map[string]func(i int) string{
			"any": func(int) string {
				text, err := mint.New(handle.Prefix)
				if err != nil {
					t.Fatal(err)
				}
				return text
			},
			"near":            func(i int) string { return near(t, mine, i, i/mint.RandomLen) },
			"near another's":  func(i int) string { return near(t, others[i%4], i, i/mint.RandomLen) },
			"another's":       func(i int) string { return others[i%4] },
			"another's, good": func(int) string { return others[0] },
		}
		took := map[string][]time.Duration{}
		for i := range *guesses / len(kinds) {
			for kind, guess := range kinds {
				text := guess(i)
				start := time.Now()
				h, err := s.Spend(tx, me, text, later)
				if i < 4000 {
					took[kind] = append(took[kind], time.Since(start))
				}
				if !errors.Is(err, handle.ErrUnknown) || h.ID != "" || h.Path != "" {
					t.Fatalf("%s: %v", kind, err)
				}
			}
		}
		median := func(kind string) time.Duration {
			slices.Sort(took[kind])
			return took[kind][len(took[kind])/2]
		}
		for kind := range kinds {
			if got, want := median(kind), median("any"); got > 2*want || want > 2*got {
				t.Errorf("%s takes %v, any other %v", kind, got, want)
			}
		}
		if _, err := s.Spend(tx, me, mine, later); err != nil {
			t.Errorf("the handle itself: %v", err)
		}
		t.Logf("%d guesses, %v each", *guesses, median("any"))
	})
}

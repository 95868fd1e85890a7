package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
)

// asked is a source that counts how often it is asked to open, and may fail.
type asked struct {
	embedded.KeySource
	away  atomic.Bool
	times atomic.Int32
	wait  atomic.Int64 // the time it was given
}

func (a *asked) Open(ctx context.Context, sealed, aad []byte) ([]byte, error) {
	a.times.Add(1)
	if end, ok := ctx.Deadline(); ok {
		a.wait.Store(int64(time.Until(end)))
	}
	if a.away.Load() {
		return nil, fmt.Errorf("%w: away", vault.ErrKeyUnavailable)
	}
	return a.KeySource.Open(ctx, sealed, aad)
}

// TestRekeyBesideASourceThatIsAway: calls that meet a new keyset do not each ask a
// source that is away, which would hold up every writer of the vault one after
// the other; once it is back they go on.
func TestRekeyBesideASourceThatIsAway(t *testing.T) {
	h := newHome(t)
	k := h.keyring(t, h.src)
	h.fillKinds(t, embedded.New(h.db, k, nil), 10)
	src := &asked{KeySource: h.src}
	other := h.keyring(t, src)
	v := embedded.New(h.db, other, nil)
	if err := k.BeginRekey(t.Context(), h.db, h.src, embedded.Switch{}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.FinishRekey(t.Context(), h.db, embedded.Work{}); err != nil {
		t.Fatal(err)
	}
	src.times.Store(0)
	src.away.Store(true)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, get := v.Get(t.Context(), "s/00001", vault.Latest)
			_, put := v.Put(t.Context(), "s/00001", vault.Change{Value: text("x")})
			for _, err := range []error{get, put} {
				if !errors.Is(err, vault.ErrKeyUnavailable) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	wg.Wait()
	if n := src.times.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	if wait := time.Duration(src.wait.Load()); wait <= 0 || wait > 5*time.Second {
		t.Errorf("it had %v", wait)
	}
	embedded.Hasty(other)
	src.away.Store(false)
	checkFilled(t, v, 10)
	if _, err := v.Put(t.Context(), "s/00001", vault.Change{Value: text("x")}); err != nil {
		t.Error(err)
	}
}

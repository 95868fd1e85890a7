package lines_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/lines"
)

// TestPool: so many run, so many and so many bytes wait, and the next one waits
// outside.
func TestPool(t *testing.T) {
	for name, test := range map[string]struct {
		size  int
		taken int32
	}{"by number": {100, 256}, "by bytes": {4 << 20, 4}, "one of any size": {1 << 30, 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := lines.NewPool(3)
				hold := make(chan struct{})
				var taken, running, most, done atomic.Int32
				go func() {
					for p.Do(test.size, func() {
						if n := running.Add(1); n > most.Load() {
							most.Store(n)
						}
						<-hold
						running.Add(-1)
						done.Add(1)
					}) {
						taken.Add(1)
					}
				}()
				synctest.Wait()
				if got := taken.Load(); got != test.taken || running.Load() != min(test.taken, 3) {
					t.Errorf("%d taken, %d running", got, running.Load())
				}
				hold <- struct{}{}
				synctest.Wait()
				if got := taken.Load(); got != test.taken+1 {
					t.Errorf("%d taken after one was done", got)
				}
				close(hold)
				p.Close()
				p.Wait()
				synctest.Wait()
				if done.Load() != taken.Load() || most.Load() > 3 {
					t.Errorf("%d of %d done, %d at once", done.Load(), taken.Load(), most.Load())
				}
			})
		})
	}
}

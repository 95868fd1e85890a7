package broker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// outcomeDelay is how long an outcome waits for somebody's commit to join.
const outcomeDelay = 20 * time.Millisecond

// outbox holds outcomes that nobody waits for until a commit takes them along,
// so that a busy desk commits once for a use, not twice. What finds no commit in
// time, or one that failed, is committed by itself.
type outbox struct {
	mu      sync.Mutex
	waiting []audit.Entry
	since   time.Time     // of the oldest that waits
	alone   []audit.Entry // not to be taken along again: the commit may have failed for it
	running bool
	closing chan struct{} // closed by Close
	once    sync.Once
}

// update is DB.Update that takes waiting outcomes along.
func (b *Broker) update(ctx context.Context, fn func(tx *sqldb.Tx) error) error {
	riding := b.riding()
	if len(riding) > 0 {
		defer b.pending.Done()
	}
	err := b.c.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		for _, e := range riding {
			if _, err := b.c.Audit.Append(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.back(ctx, riding)
		return err
	}
	for range riding {
		b.seal.leaf(ctx, b)
	}
	return nil
}

// riding takes what waits. Until they are committed or back, Close waits for
// them: flush, which runs while any wait, may then have ended.
func (b *Broker) riding() []audit.Entry {
	b.outbox.mu.Lock()
	defer b.outbox.mu.Unlock()
	taken := b.outbox.waiting
	b.outbox.waiting = nil
	if len(taken) > 0 {
		b.pending.Add(1)
	}
	return taken
}

// back takes outcomes from a commit that failed.
func (b *Broker) back(ctx context.Context, entries []audit.Entry) {
	if len(entries) == 0 {
		return
	}
	b.outbox.mu.Lock()
	defer b.outbox.mu.Unlock()
	b.outbox.alone = append(b.outbox.alone, entries...)
	b.flushing(ctx)
}

// later writes a leaf that nobody waits for.
func (b *Broker) later(ctx context.Context, e audit.Entry) {
	o := &b.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		o.since = time.Now()
	}
	o.waiting = append(o.waiting, e)
	b.flushing(ctx)
}

// flushing sees to it that flush runs; the lock is held.
func (b *Broker) flushing(ctx context.Context) {
	if !b.outbox.running {
		b.outbox.running = true
		b.pending.Go(func() { b.flush(context.WithoutCancel(ctx)) })
	}
}

// flush writes what waits too long, until nothing waits.
func (b *Broker) flush(ctx context.Context) {
	for {
		due, left := b.outbox.due()
		for _, e := range due {
			b.flushOne(ctx, e)
		}
		if left < 0 {
			return
		}
		select {
		case <-time.After(left):
		case <-b.outbox.closing:
		}
	}
}

// due returns what is to be written now and how long to wait for more; less
// than zero when nothing is left, and flush ends.
func (o *outbox) due() (due []audit.Entry, left time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	due, o.alone = o.alone, nil
	left = outcomeDelay - time.Since(o.since)
	select {
	case <-o.closing:
		left = 0
	default:
	}
	if len(o.waiting) > 0 && left <= 0 {
		due, o.waiting = append(due, o.waiting...), nil
	}
	if len(due) > 0 {
		return due, 0 // and look again
	}
	if len(o.waiting) == 0 {
		o.running = false
		return nil, -1
	}
	return nil, left
}

func (b *Broker) flushOne(ctx context.Context, e audit.Entry) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	if err := b.append(ctx, e); err != nil {
		b.c.Log.ErrorContext(ctx, "outcome not recorded", append(attrs(&e), slog.Any("error", err))...)
	}
}

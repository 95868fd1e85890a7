package broker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// A checkpoint is signed when sealEvery leaves wait for one or the oldest of
// them has waited for sealAfter, and at [Broker.Close].
const (
	sealEvery = 4096
	sealAfter = 2 * time.Second
)

// sealer signs checkpoints beside the work, one at a time.
type sealer struct {
	mu      sync.Mutex
	waiting int // leaves without a checkpoint
	timer   *time.Timer
	running bool
	closed  bool
	idle    sync.WaitGroup // the checkpoint in the making
	grown   chan struct{}  // closed with the next leaf; nil: nobody waits for it
}

// leaf counts a leaf and sees to it that a checkpoint follows.
func (s *sealer) leaf(ctx context.Context, b *Broker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting++
	if s.grown != nil {
		close(s.grown)
		s.grown = nil
	}
	s.arrange(context.WithoutCancel(ctx), b) // a caller that goes away takes no checkpoint along
}

// arrange starts a checkpoint, now or soon, if leaves wait. The one in the
// making arranges for those that it does not cover. s.mu is held.
func (s *sealer) arrange(ctx context.Context, b *Broker) {
	switch {
	case s.closed || s.running || s.waiting == 0:
	case s.waiting >= sealEvery:
		s.start(ctx, b)
	case s.timer == nil:
		s.timer = time.AfterFunc(sealAfter, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if !s.closed && !s.running {
				s.start(ctx, b)
			}
		})
	}
}

// start makes a checkpoint. None is being made, and s.mu is held.
func (s *sealer) start(ctx context.Context, b *Broker) {
	s.running = true
	s.stopTimer()
	s.idle.Go(func() {
		bounded, cancel := context.WithTimeout(ctx, recordTimeout)
		defer cancel()
		err := s.sign(bounded, b)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running = false
		if err != nil { // the next leaf tries again
			b.c.Log.ErrorContext(ctx, "checkpoint not written", slog.Any("error", err))
			return
		}
		s.arrange(ctx, b)
	})
}

func (s *sealer) stopTimer() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// sign purges what is overdue and makes a checkpoint of the log. Leaves that it
// does not cover go on waiting.
func (s *sealer) sign(ctx context.Context, b *Broker) error {
	if err := b.purge(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	taken := s.waiting
	s.mu.Unlock()
	err := b.c.Anchor.Update(func(old []byte) ([]byte, error) { return b.c.Audit.Checkpoint(ctx, b.c.DB, old) })
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting -= taken
	return nil
}

func (s *sealer) close(ctx context.Context, b *Broker) error {
	s.mu.Lock()
	s.closed = true
	s.stopTimer()
	s.mu.Unlock()
	s.idle.Wait()
	s.mu.Lock()
	waiting := s.waiting
	s.mu.Unlock()
	if waiting == 0 {
		return nil
	}
	return s.sign(ctx, b)
}

// purge keeps how far time has come, forgets handles, tokens and requests that ended long ago and
// destroys what has been in the trash for longer than [vault.TrashRetention],
// each with a leaf of its own. Of the trash only what was overdue a day ago is
// destroyed, by the word of the clock of then, so that a wrong clock that is set
// right within a day destroys nothing.
func (b *Broker) purge(ctx context.Context) error {
	var trash time.Time
	err := b.c.DB.Update(ctx, func(tx *sqldb.Tx) (err error) {
		if trash, err = b.c.Clock.Tick(tx); err != nil {
			return err
		}
		if _, err = b.c.Handles.Purge(tx, b.now()); err != nil {
			return err
		}
		_, err = b.c.Agents.PurgeTokens(tx, b.now())
		return err
	})
	if err == nil {
		err = b.expireApprovals(ctx)
	}
	if err != nil || trash.IsZero() || b.near == nil { // a vault elsewhere empties its trash itself
		return err
	}
	for more := true; more; {
		err := b.c.DB.Update(ctx, func(tx *sqldb.Tx) error {
			paths, err := b.near.Purge(tx, trash)
			if err != nil {
				return err
			}
			more = len(paths) > 0
			for _, p := range paths {
				if err := b.accesses.forget(tx, string(p)); err != nil {
					return err
				}
				if _, err := b.c.Audit.Append(tx, audit.Entry{Time: b.now(), Event: "secret.purged", Actor: "coatcheck", Outcome: audit.OK, Path: p}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

package broker

import "context"

// Sign makes a checkpoint now, with what goes before it.
func (b *Broker) Sign(ctx context.Context) error { return b.seal.sign(ctx, b) }

// Ride takes waiting outcomes along as a transaction does and returns what makes
// that fail, or nil when none waits.
func (b *Broker) Ride(ctx context.Context) (fail func()) {
	taken := b.riding()
	if len(taken) == 0 {
		return nil
	}
	return func() {
		b.back(ctx, taken)
		b.pending.Done()
	}
}

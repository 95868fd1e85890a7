package broker

import "context"

// Sign makes a checkpoint now, with what goes before it.
func (b *Broker) Sign(ctx context.Context) error { return b.seal.sign(ctx, b) }

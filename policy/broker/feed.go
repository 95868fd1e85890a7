package broker

import (
	"context"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Feed returns up to limit events after number after, oldest first, for the
// owner: those of every process on this state database. Errors: *[Denied].
func (b *Broker) Feed(ctx context.Context, who identity.Principal, after int64, limit int) (events []audit.Record, err error) {
	if who.Kind != identity.Owner {
		return nil, ownerOnly()
	}
	err = b.c.DB.View(ctx, func(tx *sqldb.Tx) error {
		events, err = b.c.Audit.Tail(tx, after, limit)
		return err
	})
	return events, err
}

// Grown returns a channel that is closed when this process has recorded another
// event after the call. Events of other processes are found by looking.
func (b *Broker) Grown() <-chan struct{} {
	b.seal.mu.Lock()
	defer b.seal.mu.Unlock()
	if b.seal.grown == nil {
		b.seal.grown = make(chan struct{})
	}
	return b.seal.grown
}

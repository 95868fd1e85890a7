package broker

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// checkpointEvery is how many leaves may wait for a signed checkpoint while
// the process runs; [Broker.Close] signs the rest.
const checkpointEvery = 4096

// recordTimeout bounds the wait for a record that nobody waits for.
const recordTimeout = 30 * time.Second

// entry starts a leaf for what who does.
func (b *Broker) entry(who identity.Principal, event string) audit.Entry {
	return audit.Entry{
		Time: b.now(), Event: event, Actor: who.ID(), Door: string(who.Door),
		Client: who.Client, Addr: who.Addr, Outcome: audit.OK,
	}
}

// record runs act and appends the leaf e in one transaction; act may complete
// e. When act refuses, its writes are undone and the refusal is recorded in its
// place. The error is act's, or the one that kept the record from being written.
func (b *Broker) record(ctx context.Context, who identity.Principal, e *audit.Entry, act func(tx *sqldb.Tx) error) error {
	_, err := b.recordSeq(ctx, who, e, act)
	return err
}

// recordSeq is record and returns the leaf's number.
func (b *Broker) recordSeq(ctx context.Context, who identity.Principal, e *audit.Entry, act func(tx *sqldb.Tx) error) (seq int64, err error) {
	err = b.DB.Update(ctx, func(tx *sqldb.Tx) (err error) {
		if err = b.Agents.Alive(tx, who); err == nil {
			err = act(tx)
		}
		if err == nil {
			seq, err = b.Audit.Append(tx, *e)
		}
		return err
	})
	if err == nil {
		b.recorded(ctx)
		b.Log.DebugContext(ctx, "recorded", attrs(e)...)
		return seq, nil
	}
	return 0, b.refuse(ctx, e, err)
}

// refuse records that a request ended with err, which it returns. Faults of
// the machine are returned as they are: they cannot be counted on to be written.
func (b *Broker) refuse(ctx context.Context, e *audit.Entry, err error) error {
	name, code, ok := outcome(err)
	if !ok {
		return err
	}
	e.Outcome, e.Code = name, code
	// The refusal stands on record also when the caller has gone away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if writeErr := b.append(ctx, *e); writeErr != nil {
		return errors.Join(err, writeErr)
	}
	b.Log.InfoContext(ctx, "refused", attrs(e)...)
	return err
}

// append writes one leaf by itself.
func (b *Broker) append(ctx context.Context, e audit.Entry) error {
	err := b.DB.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := b.Audit.Append(tx, e)
		return err
	})
	if err == nil {
		b.recorded(ctx)
	}
	return err
}

// later writes a leaf that nobody waits for.
func (b *Broker) later(ctx context.Context, e audit.Entry) {
	ctx = context.WithoutCancel(ctx)
	b.pending.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, recordTimeout)
		defer cancel()
		if err := b.append(ctx, e); err != nil {
			b.Log.ErrorContext(ctx, "outcome not recorded", append(attrs(&e), slog.Any("error", err))...)
		}
	})
}

func attrs(e *audit.Entry) []any {
	return []any{
		slog.String("event", e.Event), slog.String("actor", e.Actor), slog.String("door", e.Door),
		slog.String("path", string(e.Path)), slog.String("handle", e.Handle), slog.String("target", e.Target),
		slog.String("outcome", e.Outcome), slog.String("rule", e.Rule), slog.String("code", e.Code),
	}
}

// recorded counts a leaf and starts a checkpoint when enough have gathered.
func (b *Broker) recorded(ctx context.Context) {
	b.unanchored.n.Add(1)
	if b.unanchored.take(checkpointEvery) == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx)
	b.pending.Go(func() {
		if err := b.checkpoint(ctx); err != nil {
			b.Log.ErrorContext(ctx, "checkpoint not written", slog.Any("error", err))
		}
	})
}

func (b *Broker) checkpoint(ctx context.Context) error {
	signed, err := b.Audit.Checkpoint(ctx, b.DB)
	if err != nil {
		return err
	}
	return b.Anchor(signed)
}

// counter counts leaves since the last checkpoint.
type counter struct{ n atomic.Int64 }

// take resets the counter and returns what it held if that is at least limit,
// else 0. Of several callers one gets the count.
func (c *counter) take(limit int64) int64 {
	n := c.n.Load()
	if n < limit || !c.n.CompareAndSwap(n, 0) {
		return 0
	}
	return n
}

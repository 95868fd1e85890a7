package broker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

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
	_, err := b.recorded(ctx, who, e, act)
	return err
}

// recorded is record that returns the leaf's number.
func (b *Broker) recorded(ctx context.Context, who identity.Principal, e *audit.Entry, act func(tx *sqldb.Tx) error) (seq int64, err error) {
	e.Time = b.now() // what was asked for before may have taken its time
	err = b.update(ctx, func(tx *sqldb.Tx) error {
		if err := b.c.Agents.Alive(tx, who, e.Time); err != nil {
			return err
		}
		b.Seen(who)
		if err := act(tx); err != nil {
			return err
		}
		seq, err = b.c.Audit.Append(tx, *e)
		return err
	})
	if need := (*unapproved)(nil); errors.As(err, &need) {
		return 0, b.ask(ctx, who, e, need.spec)
	}
	if err != nil {
		return 0, b.refuse(ctx, e, err)
	}
	b.seal.leaf(ctx, b)
	if b.c.Log.Enabled(ctx, slog.LevelDebug) {
		b.c.Log.DebugContext(ctx, "recorded", attrs(e)...)
	}
	return seq, nil
}

// refuse records that a request ended with err, which it returns. Faults of
// the machine are returned as they are: they cannot be counted on to be written.
func (b *Broker) refuse(ctx context.Context, e *audit.Entry, err error) error {
	name, code, ok := outcome(err)
	if !ok {
		return err
	}
	e.Outcome, e.Code = name, code
	// A path nobody has may be a key that a model mistook for one.
	if b.tells(e.Path) {
		e.Path = ""
	}
	// The refusal stands on record also when the caller has gone away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if writeErr := b.append(ctx, *e); writeErr != nil {
		return errors.Join(err, writeErr)
	}
	b.c.Log.InfoContext(ctx, "refused", attrs(e)...)
	return err
}

// append writes one leaf by itself.
func (b *Broker) append(ctx context.Context, e audit.Entry) error {
	err := b.c.DB.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := b.c.Audit.Append(tx, e)
		return err
	})
	if err == nil {
		b.seal.leaf(ctx, b)
	}
	return err
}

func attrs(e *audit.Entry) []any {
	return []any{
		slog.String("event", e.Event), slog.String("actor", e.Actor), slog.String("door", e.Door),
		slog.String("path", string(e.Path)), slog.String("handle", e.Handle), slog.String("target", e.Target),
		slog.String("outcome", e.Outcome), slog.String("rule", e.Rule), slog.String("code", e.Code),
	}
}

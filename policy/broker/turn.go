package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// turn is the way of one operation to the vault. In a vault of the state database
// everything happens in the operation's transaction. A vault elsewhere is asked
// before it, since a transaction waits for no network, and is worked on after it,
// once the intent is on record.
type turn struct {
	b       *Broker
	seen    map[vault.Path]seen // of a vault elsewhere, once for the whole operation
	effects []effect            // on a vault elsewhere, in the order they are to be done
}

type seen struct {
	meta vault.Metadata
	err  error // nil or [vault.ErrNotFound]
}

// errMeanwhile is a secret elsewhere that came or went since it was looked for.
var errMeanwhile = errors.New("the secret came or went meanwhile")

// errNotTried is one of several things that comes after one that failed.
var errNotTried = errors.New("it was not tried")

// effect is one thing to be done in a vault elsewhere.
type effect struct {
	do func(ctx context.Context) error
	// then is what follows from it in the state database, in the transaction that
	// records the outcome; nil: nothing.
	then func(tx *sqldb.Tx) error
	// own is the intent of this one thing among several; nil: that of the operation
	// says it.
	own *ownIntent
}

type ownIntent struct {
	entry *audit.Entry // may be completed by then
	seq   int64
}

// outside looks a secret up before the transaction of the operation.
func (t *turn) outside(ctx context.Context) lookup {
	if t.b.far == nil {
		return func(p vault.Path) (vault.Metadata, error) { return t.b.near.Describe(ctx, p) }
	}
	return func(p vault.Path) (m vault.Metadata, err error) {
		if err := t.ask(ctx, p); err != nil {
			return vault.Metadata{}, err
		}
		err = t.b.c.DB.View(ctx, func(tx *sqldb.Tx) error {
			m, err = t.inside(tx)(p)
			return err
		})
		return m, err
	}
}

// ask finds out what a vault elsewhere has at p, before a transaction that is about
// it. Not to be there is no error.
func (t *turn) ask(ctx context.Context, p vault.Path) error {
	if _, known := t.seen[p]; known || t.b.far == nil {
		return nil
	}
	m, err := t.b.far.There().Describe(ctx, p)
	if err != nil && !errors.Is(err, vault.ErrNotFound) {
		return err
	}
	if t.seen == nil {
		t.seen = map[vault.Path]seen{}
	}
	t.seen[p] = seen{m, err}
	return nil
}

// inside looks a secret up as the transaction sees it: what a vault elsewhere said
// before, and what is kept of it here by now.
func (t *turn) inside(tx *sqldb.Tx) lookup {
	if t.b.far == nil {
		return t.b.near.InTx(tx).Describe
	}
	return func(p vault.Path) (vault.Metadata, error) {
		s, known := t.seen[p]
		switch {
		case !known:
			return vault.Metadata{}, fmt.Errorf("broker: %q was not asked for before the transaction", p)
		case s.err != nil:
			return vault.Metadata{}, s.err
		}
		return t.b.far.Complete(tx, s.meta)
	}
}

// get reads one version of what r is about and hands it to take.
func (t *turn) get(tx *sqldb.Tx, r ruling, version int, take func(vault.Secret)) error {
	if t.b.far == nil {
		s, err := t.b.near.InTx(tx).Get(r.request.Path, version)
		if err == nil {
			take(s)
		}
		return err
	}
	t.effects = append(t.effects, effect{do: func(ctx context.Context) error {
		s, err := t.open(ctx, r, version)
		if err == nil {
			take(s)
		}
		return err
	}})
	return nil
}

// open reads one version outside of a transaction. What a vault elsewhere gives must
// be of the very secret that r is about, no more guarded than it was then.
func (t *turn) open(ctx context.Context, r ruling, version int) (vault.Secret, error) {
	p := r.request.Path
	s, err := t.b.c.Vault.Get(ctx, p, version)
	if err != nil || t.b.far == nil {
		return s, err
	}
	was, made := t.seen[p].meta, s.CreatedAt
	if made.IsZero() && !was.CreatedAt.IsZero() { // not said with the value
		again, err := t.b.far.There().Describe(ctx, p)
		if err != nil {
			return vault.Secret{}, err
		}
		made = again.CreatedAt
	}
	if another(was, made) || s.Tier.Rank() > was.Tier.Rank() {
		return vault.Secret{}, changedMeanwhile()
	}
	if err := r.still(s.Metadata, true); err != nil {
		return vault.Secret{}, err
	}
	return s, nil
}

// another reports that the secret which was looked at is not the one that was made
// at that time.
func another(was vault.Metadata, made time.Time) bool {
	return !was.CreatedAt.IsZero() && sqldb.Micros(was.CreatedAt) != sqldb.Micros(made)
}

// known is inside for a change that mends what is kept here of a secret elsewhere
// and is damaged, by replacing it.
func (t *turn) known(tx *sqldb.Tx, p vault.Path, c vault.Change) (vault.Metadata, error) {
	m, err := t.inside(tx)(p)
	if t.b.far != nil && c.Destinations != nil && errors.Is(err, vault.ErrCorrupt) {
		return t.seen[p].meta, t.seen[p].err
	}
	return m, err
}

// put changes a secret that was looked up, or makes one where none was found, and
// hands what it is then to then.
func (t *turn) put(tx *sqldb.Tx, p vault.Path, c vault.Change, then func(*sqldb.Tx, vault.Metadata) error) error {
	if t.b.far == nil {
		m, err := t.b.near.InTx(tx).Put(p, c)
		if err != nil {
			return err
		}
		return then(tx, m)
	}
	old, err := t.known(tx, p, c)
	if err != nil && !errors.Is(err, vault.ErrNotFound) {
		return err
	}
	// What breaks a rule is refused before anything is done.
	if _, err := c.Apply(old, t.b.now()); err != nil {
		return err
	}
	there, says := t.b.far.Split(c)
	if !says {
		m, err := t.b.far.Keep(tx, t.seen[p].meta, c)
		if err != nil {
			return err
		}
		return then(tx, m)
	}
	if there.Mode = vault.Replace; err != nil {
		there.Mode = vault.Create
	}
	var m vault.Metadata
	t.effects = append(t.effects, effect{
		do: func(ctx context.Context) (err error) {
			m, err = t.b.far.There().Put(ctx, p, there)
			if there.Mode == vault.Create && errors.Is(err, vault.ErrExists) || there.Mode == vault.Replace && errors.Is(err, vault.ErrNotFound) {
				err = fmt.Errorf("%w: %w", errMeanwhile, err)
			}
			return err
		},
		then: func(tx *sqldb.Tx) error {
			// Where somebody else's value may go was not said.
			if there.Mode == vault.Replace && !c.Value.Given() && another(old, m.CreatedAt) {
				return changedMeanwhile()
			}
			if there.Mode == vault.Create { // what is kept is of the one before, whatever the time of the new one
				if err := t.b.far.Forget(tx, p); err != nil {
					return err
				}
			}
			whole, err := t.b.far.Keep(tx, m, c)
			if err != nil {
				return err
			}
			return then(tx, whole)
		},
	})
	return nil
}

// remove deletes a secret.
func (t *turn) remove(tx *sqldb.Tx, p vault.Path, permanent bool, then func(*sqldb.Tx) error) error {
	if t.b.far == nil {
		if err := t.b.near.InTx(tx).Delete(p, permanent); err != nil {
			return err
		}
		return then(tx)
	}
	t.effects = append(t.effects, effect{
		do: func(ctx context.Context) error { return t.b.far.There().Delete(ctx, p, permanent) },
		then: func(tx *sqldb.Tx) error {
			if permanent {
				if err := t.b.far.Forget(tx, p); err != nil {
					return err
				}
			}
			return then(tx)
		},
	})
	return nil
}

// restore brings a secret back from the trash.
func (t *turn) restore(tx *sqldb.Tx, p vault.Path, then func(vault.Metadata)) error {
	if t.b.far == nil {
		m, err := t.b.near.InTx(tx).Restore(p)
		if err == nil {
			then(m)
		}
		return err
	}
	var m vault.Metadata
	t.effects = append(t.effects, effect{
		do: func(ctx context.Context) (err error) {
			m, err = t.b.far.There().Restore(ctx, p)
			return err
		},
		then: func(tx *sqldb.Tx) error {
			whole, err := t.b.far.Complete(tx, m)
			if err == nil {
				then(whole)
			}
			return err
		},
	})
	return nil
}

// carryOut is record for what act does to the vault by way of j. Where that lies
// elsewhere, e is the intent, and what became of it is recorded under the same
// event: a failure is returned, of which the outcome says the code. An outcome
// from which something follows here is waited for; where that cannot be written
// the error is a *[Denied] of code [NotKept].
func (b *Broker) carryOut(ctx context.Context, j judge, e *audit.Entry, act func(tx *sqldb.Tx) error) error {
	seq, err := b.recorded(ctx, j.who, e, func(tx *sqldb.Tx) error {
		j.effects = nil
		err := act(tx)
		if e.Outcome = audit.OK; len(j.effects) > 0 {
			e.Outcome = audit.Intent
		}
		return err
	})
	if err != nil {
		j.effects = nil
		return err
	}
	if len(j.effects) == 0 {
		return nil
	}
	tried, waits := 0, false
	for _, one := range j.effects {
		tried++
		waits = waits || one.own != nil
		if err = one.do(ctx); err != nil {
			break
		}
		waits = waits || one.then != nil
	}
	if !waits {
		b.later(ctx, b.outcomeOf(*e, seq, err))
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	kept := b.update(ctx, func(tx *sqldb.Tx) error {
		for i, one := range j.effects {
			failed := err // of the last one that was tried
			switch {
			case i < tried-1:
				failed = nil
			case i >= tried:
				failed = errNotTried
			}
			if err := b.follow(tx, one, failed); err != nil {
				return err
			}
		}
		_, failed := b.c.Audit.Append(tx, b.outcomeOf(*e, seq, err))
		return failed
	})
	if kept == nil {
		b.seal.leaf(ctx, b)
		return err
	}
	if _, known := errors.AsType[*Denied](kept); !known {
		b.c.Log.ErrorContext(ctx, "done in the vault elsewhere and not kept here", append(attrs(e), slog.Any("error", kept))...)
		kept = notKept()
	}
	for i, one := range j.effects {
		failed := kept
		switch {
		case one.own == nil:
			continue
		case i >= tried:
			failed = errNotTried
		case i == tried-1 && err != nil:
			failed = err
		}
		b.later(ctx, b.outcomeOf(*one.own.entry, one.own.seq, failed))
	}
	b.later(ctx, b.outcomeOf(*e, seq, kept))
	return errors.Join(err, kept)
}

// intend records the newest effect as an intent of its own, among several of one
// operation.
func (b *Broker) intend(tx *sqldb.Tx, j judge, one *audit.Entry) error {
	one.Outcome = audit.Intent
	seq, err := b.c.Audit.Append(tx, *one)
	j.effects[len(j.effects)-1].own = &ownIntent{one, seq}
	return err
}

// follow writes what follows from an effect that ended with failed.
func (b *Broker) follow(tx *sqldb.Tx, one effect, failed error) error {
	if failed == nil && one.then != nil {
		if err := one.then(tx); err != nil {
			return err
		}
	}
	if one.own == nil {
		return nil
	}
	_, err := b.c.Audit.Append(tx, b.outcomeOf(*one.own.entry, one.own.seq, failed))
	return err
}

// outcomeOf is the leaf that says what became of an intent.
func (b *Broker) outcomeOf(e audit.Entry, ref int64, err error) audit.Entry {
	e.Time, e.Ref, e.Outcome, e.Code = b.now(), ref, audit.OK, ""
	if err != nil {
		if e.Outcome, e.Code, _ = outcome(err); e.Outcome == "" {
			e.Outcome, e.Code = audit.Failed, "internal"
		}
	}
	return e
}

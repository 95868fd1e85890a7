package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/clock"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// How far a webhook has come is a row of its own:
//
//	id        what the sender calls it
//	sent      number of the last event that was sent or passed over
//	failures  attempts in a row that failed
//	due       when the next attempt may be made; 0 at any time
//	holder    the sender that makes one now; "" none
//	until     when it is taken to have died
//
// The row says what has been told to others and decides nothing here, so that
// nothing authenticates it; the log itself is what happened.

const (
	// WebhookLease is how long a sender has for one attempt, from
	// [Broker.HoldWebhook] to [Broker.SettleWebhook].
	WebhookLease = time.Minute

	// MaxWebhookRetry is the longest wait for a next attempt.
	MaxWebhookRetry = 24 * time.Hour
)

// ErrNotHeld means that an attempt took longer than its lease and another sender
// has the webhook. It goes on from where it was.
var ErrNotHeld = errors.New("another sender has the webhook")

// ErrNoWebhook means that the desk has no webhook of that id: it was opened with
// others since.
var ErrNoWebhook = errors.New("no such webhook")

// WebhookState is how far a webhook has come.
type WebhookState struct {
	Sent     int64         // number of the last event that was sent or passed over
	Failures int           // attempts in a row that failed
	Wait     time.Duration // before the next attempt; 0: none
	Busy     bool          // a sender makes an attempt
}

// OpenWebhooks makes these the webhooks of the desk, for the owner. One that is
// new starts at the present end of the log, and what is known of others is
// forgotten. Errors: *[Denied].
func (b *Broker) OpenWebhooks(ctx context.Context, who identity.Principal, ids []string) error {
	if who.Kind != identity.Owner {
		return ownerOnly()
	}
	var known []string
	read := func(tx *sqldb.Tx) error {
		known = nil
		return tx.Query(`SELECT id FROM webhooks ORDER BY id`, nil, func(scan func(...any) error) error {
			var id string
			err := scan(&id)
			known = append(known, id)
			return err
		})
	}
	if err := b.c.DB.View(ctx, read); err != nil {
		return err
	}
	if slices.Equal(known, slices.Sorted(slices.Values(ids))) {
		return nil
	}
	return b.update(ctx, func(tx *sqldb.Tx) error {
		if err := read(tx); err != nil {
			return err
		}
		end, err := b.last(tx)
		if err != nil {
			return err
		}
		for _, id := range known {
			if !slices.Contains(ids, id) {
				if _, err := tx.Exec(`DELETE FROM webhooks WHERE id = ?`, id); err != nil {
					return err
				}
			}
		}
		for _, id := range ids {
			if _, err := tx.Exec(`INSERT INTO webhooks (id, sent, failures, due, holder, until) VALUES (?, ?, 0, 0, '', 0) ON CONFLICT (id) DO NOTHING`, id, end); err != nil {
				return err
			}
		}
		return nil
	})
}

// Webhook returns how far a webhook has come, for the owner. Errors: *[Denied],
// [ErrNoWebhook].
func (b *Broker) Webhook(ctx context.Context, who identity.Principal, id string) (state WebhookState, err error) {
	if who.Kind != identity.Owner {
		return state, ownerOnly()
	}
	err = b.c.DB.View(ctx, func(tx *sqldb.Tx) error {
		state, err = b.webhook(tx, id, b.now())
		return err
	})
	return state, err
}

// HoldWebhook gives holder the right to make the next attempt of a webhook, for
// [WebhookLease], unless another sender has it or the attempt is not due yet. Of
// several senders, in this process or others, one gets it. Errors: *[Denied].
func (b *Broker) HoldWebhook(ctx context.Context, who identity.Principal, id, holder string) (state WebhookState, held bool, err error) {
	if who.Kind != identity.Owner {
		return state, false, ownerOnly()
	}
	now := b.now()
	err = b.update(ctx, func(tx *sqldb.Tx) error {
		// What lies further ahead than it can was written before the clock was set back.
		n, err := tx.Exec(`UPDATE webhooks SET holder = ?, until = ?
			WHERE id = ? AND (holder = ? OR until <= ? OR until > ?) AND (due <= ? OR due > ?)`,
			holder, sqldb.Micros(now.Add(WebhookLease)),
			id, holder, sqldb.Micros(now), latest(now, WebhookLease), sqldb.Micros(now), latest(now, MaxWebhookRetry))
		if held = err == nil && n == 1; !held {
			return err
		}
		state, err = b.webhook(tx, id, now)
		return err
	})
	return state, held && err == nil, err
}

// WebhookFailure says what a webhook was not told.
type WebhookFailure struct {
	Where       string // the webhook, as the record may show it
	Code        string // why
	First, Last int64  // numbers of the first and the last event
	Events      int    // how many of those between are meant; 0: none is given up, the webhook ended
}

// SettleWebhook ends an attempt: next is how far the webhook has come, Busy apart.
// What failed for good, if anything, goes on record with it. Errors: [ErrNotHeld]
// when the lease ran out and another sender took it, *[Denied].
func (b *Broker) SettleWebhook(ctx context.Context, who identity.Principal, id, holder string, next WebhookState, failed *WebhookFailure) error {
	if who.Kind != identity.Owner {
		return ownerOnly()
	}
	now, due := b.now(), int64(0)
	if next.Wait > 0 {
		due = sqldb.Micros(now.Add(min(next.Wait, MaxWebhookRetry)))
	}
	err := b.update(ctx, func(tx *sqldb.Tx) error {
		n, err := tx.Exec(`UPDATE webhooks SET sent = ?, failures = ?, due = ?, holder = '', until = 0 WHERE id = ? AND holder = ?`,
			next.Sent, next.Failures, due, id, holder)
		if err == nil && n == 0 {
			err = ErrNotHeld
		}
		if err != nil || failed == nil {
			return err
		}
		e := audit.Entry{
			Time: now, Event: "webhook.failed", Actor: "coatcheck", Outcome: audit.Failed, Code: failed.Code,
			Target: failed.Where, Ref: failed.First,
		}
		if failed.Events > 0 {
			e.Target += fmt.Sprintf(": %d events given up, %d to %d", failed.Events, failed.First, failed.Last)
		}
		_, err = b.c.Audit.Append(tx, e)
		return err
	})
	if err == nil && failed != nil {
		b.seal.leaf(ctx, b)
	}
	return err
}

// webhook reads a row.
func (b *Broker) webhook(tx *sqldb.Tx, id string, now time.Time) (s WebhookState, err error) {
	var due, until int64
	err = tx.QueryRow(`SELECT sent, failures, due, until FROM webhooks WHERE id = ?`, id).Scan(&s.Sent, &s.Failures, &due, &until)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = ErrNoWebhook
	}
	if err != nil {
		return WebhookState{}, err
	}
	if due <= latest(now, MaxWebhookRetry) {
		s.Wait = max(0, sqldb.Time(due).Sub(now))
	}
	s.Busy = until > sqldb.Micros(now) && until <= latest(now, WebhookLease)
	return s, nil
}

// latest is the last time, as it is stored, that something of that length which
// was written by now can end.
func latest(now time.Time, length time.Duration) int64 {
	return sqldb.Micros(now.Add(length + clock.Tolerance))
}

// last is the number of the last event, 0 for none.
func (b *Broker) last(tx *sqldb.Tx) (int64, error) {
	newest, err := b.c.Audit.Last(tx, 1)
	if err != nil || len(newest) == 0 {
		return 0, err
	}
	return newest[0].Seq, nil
}

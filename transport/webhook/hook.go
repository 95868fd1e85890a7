package webhook

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
)

const (
	breath   = 50 * time.Millisecond // between two looks at the record
	look     = 2 * time.Second       // at what other processes recorded, and whether an attempt is due
	pageSize = 200                   // events read at once
	keepFrom = 10_000                // events of no interest after which the cursor is moved past them
)

// principal has the connections of webhooks apart from those of agents.
const principal = "webhook"

// hook is one webhook at work.
type hook struct {
	id     string
	to     redeem.Endpoint
	target Target

	desk   Desk
	who    identity.Principal
	post   Poster
	holder string
	opts   Options
	log    *slog.Logger

	keys keys
	seen int64 // up to here there is nothing that was not sent
	gone bool
}

// run sends what there is and waits for more, until ctx ends or the receiver says
// that it is gone.
func (h *hook) run(ctx context.Context) {
	said := ""
	for {
		grown := h.desk.Grown()
		err := h.work(ctx)
		switch {
		case err == nil:
			said = ""
		case errors.Is(err, broker.ErrNoWebhook): // config.yaml was changed, and another desk runs by it
			h.log.WarnContext(ctx, "webhook ends: it is configured no longer")
			return
		case ctx.Err() == nil && said != err.Error():
			said = err.Error()
			h.log.ErrorContext(ctx, "webhook stands still", slog.Any("error", err))
		}
		if h.gone || !pause(ctx, breath, nil) || !pause(ctx, look, grown) {
			break
		}
	}
	if err := h.keep(context.WithoutCancel(ctx)); err != nil {
		h.log.WarnContext(ctx, "what the webhook has seen is not kept", slog.Any("error", err))
	}
}

// pause waits for d or until woken; false means that ctx ended.
func pause(ctx context.Context, d time.Duration, woken <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-woken:
	case <-timer.C:
	}
	return ctx.Err() == nil
}

// work sends every event that is due.
func (h *hook) work(ctx context.Context) error {
	state, err := h.desk.Webhook(ctx, h.who, h.id)
	if err != nil || state.Busy || state.Wait > 0 {
		return err
	}
	h.seen = max(h.seen, state.Sent)
	kept := state.Sent
	for {
		page, err := h.desk.Feed(ctx, h.who, h.seen, pageSize)
		if err != nil {
			return err
		}
		for i := range page {
			if h.wants(&page[i]) {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if on, err := h.deliver(ctx, &page[i]); err != nil || !on {
					return err
				}
				kept = page[i].Seq
			}
			h.seen = page[i].Seq
		}
		if h.seen-kept >= keepFrom {
			if err := h.keep(ctx); err != nil {
				return err
			}
			kept = h.seen
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

// keep moves the cursor past events that are of no interest, so that the next start
// need not read them again. Another sender, or an attempt that is due later, is
// reason enough to leave it.
func (h *hook) keep(ctx context.Context) error {
	state, err := h.desk.Webhook(ctx, h.who, h.id)
	if err != nil || state.Busy || state.Sent >= h.seen {
		return err
	}
	state, held, err := h.desk.HoldWebhook(ctx, h.who, h.id, h.holder)
	if err != nil || !held {
		return err
	}
	state.Sent = max(state.Sent, h.seen)
	return h.settle(ctx, state, nil)
}

// deliver makes one attempt to send r; false means that the webhook rests now.
func (h *hook) deliver(ctx context.Context, r *audit.Record) (on bool, err error) {
	state, held, err := h.desk.HoldWebhook(ctx, h.who, h.id, h.holder)
	if err != nil || !held {
		return false, err
	}
	if state.Sent >= r.Seq { // another sender was faster
		err = h.settle(ctx, state, nil)
		return err == nil, err
	}
	v := h.attempt(ctx, r)
	switch {
	case v.ok:
		if state.Failures > 0 {
			h.log.InfoContext(ctx, "webhook is back", slog.Int("failures", state.Failures))
		}
		err = h.settle(ctx, broker.WebhookState{Sent: r.Seq}, nil)
		return err == nil, err
	case v.gone:
		h.gone = true
		h.log.ErrorContext(ctx, "webhook ends: its receiver is gone for good", slog.Int64("seq", r.Seq))
		return false, h.settle(ctx, state, &broker.WebhookFailure{Where: h.where(), Code: v.code, First: r.Seq, Last: r.Seq})
	case v.code == redeem.CodeCanceled: // the sender stops: that says nothing about the receiver
		return false, h.settle(ctx, state, nil)
	}
	state.Failures++
	state.Wait = max(backoff(state.Failures, h.opts.Jitter()), v.asked)
	h.log.WarnContext(ctx, "webhook failed", slog.Int64("seq", r.Seq), slog.String("event", r.Event), slog.String("code", v.code),
		slog.Int("failures", state.Failures), slog.Duration("next_in", state.Wait))
	failed, err := h.hopeless(ctx, r, &state, v)
	if err != nil {
		return false, err // the lease runs out, and somebody tries again
	}
	err = h.settle(ctx, state, failed)
	return err == nil && state.Wait == 0, err
}

// hopeless says what is given up after another failure, and moves the cursor past
// it: events that are a day old, all at once, since the receiver was asked just
// now; or r, if the receiver takes others.
func (h *hook) hopeless(ctx context.Context, r *audit.Record, state *broker.WebhookState, v verdict) (*broker.WebhookFailure, error) {
	failed := &broker.WebhookFailure{Where: h.where(), Code: v.code, First: r.Seq}
	if v.malformed && state.Failures >= refusals {
		failed.Last, failed.Events = r.Seq, 1
		state.Failures, state.Wait = 0, 0
	}
	for after, more := r.Seq-1, failed.Events == 0; more; {
		page, err := h.desk.Feed(ctx, h.who, after, pageSize)
		if err != nil {
			return nil, err
		}
		more = len(page) == pageSize
		for i := range page {
			after = page[i].Seq
			if !h.wants(&page[i]) {
				continue
			}
			if more = h.opts.Now().Sub(page[i].Time) >= giveUp; !more {
				break
			}
			failed.Last = page[i].Seq
			failed.Events++
		}
	}
	if failed.Events == 0 {
		return nil, nil //nolint:nilnil // nothing is given up
	}
	state.Sent = failed.Last
	h.log.ErrorContext(ctx, "webhook was not told of events, which are given up", slog.String("code", v.code),
		slog.Int("events", failed.Events), slog.Int64("first", failed.First), slog.Int64("last", failed.Last))
	return failed, nil
}

// where is the webhook as the record shows it.
func (h *hook) where() string { return h.id + " " + h.to.Origin() }

// settle ends the attempt, also while the sender stops.
func (h *hook) settle(ctx context.Context, next broker.WebhookState, failed *broker.WebhookFailure) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := h.desk.SettleWebhook(ctx, h.who, h.id, h.holder, next, failed)
	if errors.Is(err, broker.ErrNotHeld) { // it took longer than the lease; who has it now sends the event again
		h.log.WarnContext(ctx, "webhook was taken over", slog.Any("error", err))
		return nil
	}
	return err
}

// attempt sends one message. When ctx ends it goes on for a little while.
func (h *hook) attempt(ctx context.Context, r *audit.Record) verdict {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptMax)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if pause(bounded, drain, nil) {
			cancel()
		}
	})
	defer stop()
	if err := h.refreshKeys(bounded); err != nil {
		h.log.ErrorContext(ctx, "webhook cannot be signed", slog.String("path", string(h.target.Secret)), slog.Any("error", err))
		return verdict{code: "no_key"}
	}
	id, body, err := encode(r)
	if err != nil {
		return verdict{code: redeem.CodeInternal}
	}
	now := h.opts.Now()
	signature, err := h.keys.signature(id, now, body)
	if err != nil {
		return verdict{code: "no_key"}
	}
	answer, err := h.post.Post(bounded, principal, h.to, []redeem.Field{
		{Name: "Content-Type", Value: "application/json"},
		{Name: "Webhook-Id", Value: id},
		{Name: "Webhook-Timestamp", Value: strconv.FormatInt(now.Unix(), 10)},
		{Name: "Webhook-Signature", Value: signature},
	}, body)
	if err != nil {
		return verdict{code: codeOf(err)}
	}
	return judge(answer, now)
}

func codeOf(err error) string {
	if refusal, ok := errors.AsType[*redeem.Refusal](err); ok {
		return refusal.Code
	}
	if upstream, ok := errors.AsType[*redeem.Upstream](err); ok {
		return upstream.Code
	}
	return redeem.CodeInternal
}

var (
	_ Desk   = (*broker.Broker)(nil)
	_ Poster = (*redeem.Client)(nil)
)

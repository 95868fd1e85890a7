// Package webhook tells other systems what happened at the desk: events of the
// record, such as a request for an approval or a rotated secret, are sent to the
// URLs in the configuration, signed as Standard Webhooks says
// (github.com/standard-webhooks/standard-webhooks, version 1).
//
// The one rule: an event that stands on record is sent at least once, in the
// order of the record, or it stands on record that it was given up.
//
//	sender, err := webhook.New(ctx, desk, owner, client, []webhook.Target{{URL: "https://…", Secret: "webhooks/ops"}}, nil)
//	err = sender.Run(ctx) // until ctx ends
//
// A message is POSTed with the headers webhook-id, webhook-timestamp and
// webhook-signature:
//
//	{"type":"approval.requested","timestamp":"2026-01-02T03:04:05.000006Z","data":{"seq":42,"actor":"agent:ci","approval":"apr_…","path":"prod/key",…}}
//
// type, timestamp and data are an event of the record (package audit), which has
// no place for a value. Only what happened is sent, not what was refused.
// webhook-id stays the same when an event is sent again: a receiver that keeps
// the ids of a day drops repetitions.
//
// A receiver answers 2xx within 15 s. After anything else the same event is sent
// again, after 5 s and then twice as long each time up to an hour, or later if it
// says so (Retry-After), until the event is a day old; one that a receiver finds
// malformed (400, 413, 415, 422) after 10 attempts no more. 410 ends the webhook
// until the desk is started again. Redirects are not followed.
//
// Choices. The record itself is the queue and a cursor in the database says how
// far each webhook has come: nothing is lost by a crash, events of other processes
// on the same home are sent too, and of several senders on one home one makes the
// next attempt, by a lease. A queue of its own in memory or in a table would have
// to be written with each event. One that fails holds up the events behind it, and
// no other webhook: order was worth more than speed. Signatures are made by the
// library of Standard Webhooks, so that what their libraries verify is what is
// sent; it needs the standard library only. Addresses are guarded where a secret's
// are (redeem.Client). A wrong choice would show as lag: doctor tells of it.
//
// What it does not do: webhooks are configured in config.yaml alone; events of the
// webhooks themselves are on record and not sent.
package webhook

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// MaxTargets is how many webhooks a desk has at most.
const MaxTargets = 16

// Desk is what a sender needs of the broker.
type Desk interface {
	Feed(ctx context.Context, who identity.Principal, after int64, limit int) ([]audit.Record, error)
	Grown() <-chan struct{}
	OpenWebhooks(ctx context.Context, who identity.Principal, ids []string) error
	Webhook(ctx context.Context, who identity.Principal, id string) (broker.WebhookState, error)
	HoldWebhook(ctx context.Context, who identity.Principal, id, holder string) (broker.WebhookState, bool, error)
	SettleWebhook(ctx context.Context, who identity.Principal, id, holder string, next broker.WebhookState, failed *broker.WebhookFailure) error
	Describe(ctx context.Context, who identity.Principal, path vault.Path) (vault.Metadata, error)
	History(ctx context.Context, who identity.Principal, path vault.Path) ([]vault.Version, error)
	Reveal(ctx context.Context, who identity.Principal, path vault.Path, version int) (vault.Secret, error)
}

// Poster sends a message; *redeem.Client is one.
type Poster interface {
	Post(ctx context.Context, principal string, to redeem.Endpoint, header []redeem.Field, body []byte) (*redeem.Response, error)
}

// Target is one webhook as it is configured.
type Target struct {
	URL     string         // https, or http to an address of this machine
	Network []netip.Prefix // networks that are not public in which its host may be
	Secret  vault.Path     // the secret with the key that signs: whsec_ and 24 to 64 bytes in base64
	Events  []vault.Glob   // of event names; none: [DefaultEvents]
}

// DefaultEvents is what a webhook is told that does not say otherwise.
func DefaultEvents() []vault.Glob { return []vault.Glob{"approval.*", "secret.rotated"} }

// TargetError says what is wrong with a webhook's configuration.
type TargetError struct {
	Number int    // of the webhook in the list, from 1
	Reason string // a sentence's rest, with nothing of a value or of a URL's path
	Next   string // what to do
}

// Error says which webhook and what.
func (e *TargetError) Error() string { return fmt.Sprintf("webhook %d %s", e.Number, e.Reason) }

// Options of a [Sender]. A nil or zero Options works.
type Options struct {
	Log    *slog.Logger     // nil: nothing is logged
	Now    func() time.Time // by which an event is old and a message is stamped; nil: time.Now
	Jitter func() float64   // from 0 to below 1, how much of a fifth a wait is longer; nil: random
}

// Sender sends the events of one desk to its webhooks.
type Sender struct {
	hooks []*hook
	log   *slog.Logger
}

// Check finds what is wrong with targets by themselves, without a desk. Error:
// *[TargetError].
func Check(targets []Target) error {
	_, err := parse(targets)
	return err
}

// parse reads the targets.
func parse(targets []Target) ([]*hook, error) {
	if len(targets) > MaxTargets {
		return nil, &TargetError{MaxTargets + 1, fmt.Sprintf("is one too many: there are at most %d", MaxTargets), "Remove some."}
	}
	seen := map[string]bool{}
	hooks := make([]*hook, 0, len(targets))
	for i, t := range targets {
		to, err := redeem.ParseEndpoint(t.URL, t.Network)
		if refusal, ok := errors.AsType[*redeem.Refusal](err); ok {
			return nil, &TargetError{i + 1, "has a url that is not usable: " + strings.TrimSuffix(refusal.Reason, "."), refusal.Next}
		}
		if err != nil {
			return nil, err
		}
		h := &hook{to: to, target: t, id: ID(to)}
		switch {
		case seen[h.id]:
			return nil, &TargetError{i + 1, "has the url of another one", "Put the events of both into one."}
		case t.Secret == "":
			return nil, &TargetError{i + 1, "has no secret_path", noSecret("webhooks/NAME")}
		}
		seen[h.id] = true
		if len(t.Events) == 0 {
			h.target.Events = DefaultEvents()
		}
		for _, g := range h.target.Events {
			if !eventGlob(string(g)) {
				return nil, &TargetError{i + 1, "has an event that is no name such as secret.rotated or approval.*", "The names are those of 'coatcheck audit tail'."}
			}
		}
		hooks = append(hooks, h)
	}
	return hooks, nil
}

// ID is the name of a webhook in the record and in the log, which shows nothing of
// its URL: some give access.
func ID(to redeem.Endpoint) string { return mint.ID("wh_", mint.Hash(to.URL())) }

func eventGlob(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && c != '.' && c != '_' && c != '*' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// New checks the targets, reads the keys that sign once, which stands on record,
// and makes the webhooks known to the desk: one that is new is told what happens
// from now on. While a vault elsewhere does not answer, or asks for patience, keys
// are read with the first event. who is the owner. Errors: *[TargetError], those of
// the desk.
func New(ctx context.Context, desk Desk, who identity.Principal, post Poster, targets []Target, opts *Options) (*Sender, error) {
	hooks, err := parse(targets)
	if err != nil {
		return nil, err
	}
	o := Options{}
	if opts != nil {
		o = *opts
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = jitter
	}
	holder := rand.Text()
	ids, away := make([]string, 0, len(hooks)), false
	for i, h := range hooks {
		h.desk, h.who, h.post, h.holder, h.opts = desk, who, post, holder, o
		ids = append(ids, h.id)
		h.log = o.Log.With(slog.String("webhook", h.id), slog.String("origin", h.to.Origin()))
		if away {
			continue
		}
		err := h.refreshKeys(ctx)
		switch away = absent(err); {
		case away:
			o.Log.ErrorContext(ctx, "webhooks cannot be signed yet; it is tried again with each event",
				slog.String("path", string(h.target.Secret)), slog.Any("error", err))
		case err != nil:
			return nil, keyFault(i+1, h.target.Secret, err)
		}
	}
	if err := desk.OpenWebhooks(ctx, who, ids); err != nil {
		return nil, err
	}
	return &Sender{hooks: hooks, log: o.Log}, nil
}

// Run sends until ctx ends. Then it lets attempts under way end, for some seconds
// at most; what was not sent is sent when the desk runs again.
func (s *Sender) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, h := range s.hooks {
		running.Go(func() { h.run(ctx) })
	}
	running.Wait()
}

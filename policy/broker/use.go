package broker

import (
	"context"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redact"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// scrubMargin is how much longer than its handle a value is looked for, so that
// a call made in the handle's last moment is still scrubbed: more than
// [redeem.DefaultTimeout].
const scrubMargin = 5 * time.Minute

// Opened is what [Broker.Use] lends: it is good until the callback returns.
type Opened struct {
	Values map[string]secret.Value // by handle text
	// Plain reports that a value is too short or too plain to be masked safely,
	// so that no text that came back may be shown.
	Plain bool
}

// Fit is asked for each handle whether the place it stands in suits one of the
// destinations; it returns the reason when none does.
type Fit func(handleText, shape string, destinations []vault.Destination) error

// Use spends the handles on one request and lends their values to fn, once the
// intent is durable. Principal, policy, destination, tier, expiry and count are
// checked against now; any refusal spends nothing. The same handle standing
// twice is spent once. What fn returns is recorded as the outcome, by code.
//
// Errors: *[Denied], the errors of package handle, what fit returns,
// [vault.ErrNotFound] and its kin, and fn's.
func (b *Broker) Use(ctx context.Context, who identity.Principal, handles []string, target vault.Target, fit Fit, fn func(Opened) error) error {
	e := b.entry(who, "handle.used")
	e.Target, e.Outcome = target.Method+" "+target.Origin()+target.Path, audit.Intent
	if len(handles) == 0 {
		return b.refuse(ctx, &e, &Denied{
			Code: NoHandle, Reason: "The request carries no handle, and this desk only makes requests that use a secret.",
			Next: "Get a handle with get_secret and put it where the secret would stand.",
		})
	}
	intents := make([]intent, len(handles))
	err := b.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := b.Agents.Alive(tx, who); err != nil {
			return err
		}
		for i, text := range handles {
			until, err := b.spend(tx, who, text, target, fit, &e)
			if err != nil {
				return err
			}
			seq, err := b.Audit.Append(tx, e)
			if err != nil {
				return err
			}
			intents[i] = intent{text: text, path: e.Path, version: e.Version, entry: e, seq: seq, until: until}
		}
		return nil
	})
	if err != nil {
		return b.refuse(ctx, &e, err)
	}
	b.recorded(ctx)
	err = b.open(ctx, who, intents, fn)
	for _, in := range intents {
		b.later(ctx, in.outcome(b, err))
	}
	return err
}

// intent is one spent handle on its way to a value.
type intent struct {
	text    string
	path    vault.Path
	version int
	entry   audit.Entry
	seq     int64
	until   time.Time // when the handle expires
}

func (in intent) outcome(b *Broker, err error) audit.Entry {
	e := in.entry
	e.Time, e.Event, e.Ref, e.Outcome, e.Code = b.now(), "handle.outcome", in.seq, audit.OK, ""
	if err != nil {
		if e.Outcome, e.Code, _ = outcome(err); e.Outcome == "" {
			e.Outcome, e.Code = audit.Failed, "internal"
		}
	}
	return e
}

// spend checks one handle for target, counts it down, completes e and returns
// when the handle expires.
func (b *Broker) spend(tx *sqldb.Tx, who identity.Principal, text string, target vault.Target, fit Fit, e *audit.Entry) (until time.Time, err error) {
	e.Path, e.Handle, e.Version, e.Rule, e.RuleHash = "", "", 0, "", ""
	h, err := b.Handles.Spend(tx, who.ID(), text, e.Time)
	e.Path, e.Handle, e.Version = h.Path, h.ID, h.Version
	if err != nil {
		return until, err
	}
	decision, meta, err := b.permit(tx, who, policy.Use, h.Path, &target)
	e.Rule, e.RuleHash = decision.Rule, decision.RuleHash
	if err != nil {
		return until, err
	}
	if err := within(h, decision.Limits, e.Time); err != nil {
		return until, err
	}
	if err := usable(meta, h.Version, e.Time); err != nil {
		return until, err
	}
	allowed := allowing(h, meta, target)
	if len(allowed) == 0 {
		return until, destinationDenied(meta, target)
	}
	if err := fit(text, h.Shape, allowed); err != nil {
		return until, err
	}
	return h.ExpiresAt, b.spendRate(tx, who, decision, e.Time)
}

// within holds a handle to the limits of the rules that allow this very request.
// When it was issued another rule, for another destination, may have been more
// generous, or the policy has changed since. h.Used counts this use.
func within(h handle.Handle, limits policy.Limits, now time.Time) error {
	switch {
	case limits.TTL != 0 && now.Sub(h.CreatedAt) >= limits.TTL:
		return handle.ErrExpired
	case limits.Uses != 0 && h.Used > limits.Uses:
		return handle.ErrExhausted
	default:
		return nil
	}
}

// allowing returns the destinations that admit target both now and when the
// handle was issued: a destination taken away ends its handles' use of it, and
// one added later is not theirs.
func allowing(h handle.Handle, meta vault.Metadata, target vault.Target) []vault.Destination {
	var out []vault.Destination
	for _, now := range meta.Destinations {
		if now.HTTP == nil || !now.HTTP.Allows(target) {
			continue
		}
		for _, then := range h.Destinations {
			if then.Equal(now) {
				out = append(out, now)
				break
			}
		}
	}
	return out
}

func destinationDenied(meta vault.Metadata, target vault.Target) *Denied {
	next := "This secret may go to:"
	for _, d := range meta.Destinations {
		next += " " + d.String()
	}
	return &Denied{
		Code:   DestinationDenied,
		Reason: "The secret " + string(meta.Path) + " may not go to " + target.Method + " " + target.Origin() + target.Path + ".",
		Next:   next + ".",
	}
}

// open reads the values, remembers them for scrubbing and lends them to fn.
func (b *Broker) open(ctx context.Context, who identity.Principal, intents []intent, fn func(Opened) error) error {
	opened := Opened{Values: make(map[string]secret.Value, len(intents))}
	for _, in := range intents {
		s, err := b.Vault.Get(ctx, in.path, in.version)
		if err != nil {
			return err
		}
		b.Scrubber.Keep(who.ID(), in.path, s.Value, in.until.Add(scrubMargin))
		opened.Values[in.text] = s.Value
		opened.Plain = opened.Plain || !redact.Maskable(s.Value)
	}
	return fn(opened)
}

package broker

import (
	"context"
	"errors"
	"strings"
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
	// Answers are how much of what comes back the rules show; all of them hold.
	Answers []vault.Answer
	until   time.Time // the end of the last handle's scope
	paths   []vault.Path
}

// Fit is asked for each handle whether the place it stands in suits one of the
// destinations; it returns the reason when none does.
type Fit func(handleText, shape string, destinations []vault.Destination) error

// Use spends the handles on one request and lends their values to fn, once the
// intent is durable. Principal, policy, destination, tier, expiry and count are
// checked against now; any refusal spends nothing. What was checked is what is
// opened: the version that was current then, not one that came since. The same
// handle standing twice is spent once. What fn returns is recorded as the
// outcome, by code.
//
// Errors: *[Denied], the errors of package handle, what fit returns,
// [vault.ErrNotFound] and its kin, and fn's.
func (b *Broker) Use(ctx context.Context, who identity.Principal, handles []string, target vault.Target, fit Fit, fn func(Opened) error) error {
	e := b.entry(who, "handle.used")
	// The path is the caller's own text: it is recorded once it has been allowed.
	e.Target, e.Outcome = target.Method+" "+target.Origin(), audit.Intent
	if len(handles) == 0 {
		return b.refuse(ctx, &e, &Denied{
			Code: NoHandle, Reason: "The request carries no handle, and this desk only makes requests that use a secret.",
			Next: "Get a handle with get_secret and put it where the secret would stand.",
		})
	}
	if who.Kind == identity.Admin {
		return b.refuse(ctx, &e, notForAdmins())
	}
	if err := b.onTime(ctx); err != nil {
		return b.refuse(ctx, &e, err)
	}
	if b.unknown.tooMany(agentOf(who), e.Time) {
		return b.refuse(ctx, &e, tooManyUnknown())
	}
	j := b.judge(who)
	if err := b.askOf(ctx, j, handles, &e); err != nil {
		return b.refuse(ctx, &e, err)
	}
	e.Time = b.now() // a vault elsewhere may have taken its time
	j.now = e.Time
	intents := make([]intent, 0, len(handles))
	err := b.update(ctx, func(tx *sqldb.Tx) error {
		if err := b.c.Agents.Alive(tx, who, e.Time); err != nil {
			return err
		}
		for _, text := range handles {
			one, err := b.spend(tx, j, text, target, fit, &e)
			if err != nil {
				return err
			}
			intents = append(intents, one)
		}
		return nil
	})
	if denied := (*byPolicy)(nil); errors.As(err, &denied) {
		err = denied.denied()
	}
	if errors.Is(err, handle.ErrUnknown) {
		b.unknown.note(agentOf(who), e.Time)
	}
	if err != nil {
		return b.refuse(ctx, &e, err)
	}
	for range intents {
		b.seal.leaf(ctx, b)
	}
	err = b.open(ctx, j, intents, fn)
	for _, in := range intents {
		b.later(ctx, in.outcome(b, err))
	}
	return err
}

// byPolicy says inside a transaction that the policy refuses; the words are
// found after it.
type byPolicy struct{ ruling }

func (*byPolicy) Error() string { return "denied by policy" }

// intent is one spent handle on its way to a value.
type intent struct {
	text   string
	entry  audit.Entry // names path and version
	seq    int64
	until  time.Time // when the handle expires
	ruling ruling
}

func (in intent) outcome(b *Broker, err error) audit.Entry {
	e := b.outcomeOf(in.entry, in.seq, err)
	e.Event = "handle.outcome"
	return e
}

// askOf asks a vault elsewhere about the secrets of handles, before the transaction
// that spends them. What is wrong with a handle shows there.
func (b *Broker) askOf(ctx context.Context, j judge, handles []string, e *audit.Entry) error {
	if b.far == nil {
		return nil
	}
	var paths []vault.Path
	err := b.c.DB.View(ctx, func(tx *sqldb.Tx) error {
		for _, text := range handles {
			if h, err := b.c.Handles.Lookup(tx, j.who.ID(), text, e.Time); err == nil {
				paths = append(paths, h.Path)
			}
		}
		return nil
	})
	for _, p := range paths {
		if err == nil {
			err = j.ask(ctx, p)
		}
	}
	return err
}

// decideInside decides about a use in the transaction that makes it. The error is
// *byPolicy, or a fault of the vault.
func (b *Broker) decideInside(tx *sqldb.Tx, j judge, e *audit.Entry, p vault.Path, target *vault.Target) (ruling, error) {
	if j.exempt() {
		r := j.asManager(policy.Use, p)
		e.Rule = r.Rule
		return r, nil
	}
	r, err := j.rule(j.inside(tx), policy.Use, p, target)
	e.Rule, e.RuleHash = r.Rule, r.RuleHash
	if err == nil && !r.Allowed {
		err = &byPolicy{r}
	}
	return r, err
}

// spend checks one handle for target, counts it down and records the intent. On
// a refusal e says what is known.
func (b *Broker) spend(tx *sqldb.Tx, j judge, text string, target vault.Target, fit Fit, e *audit.Entry) (in intent, err error) {
	e.Path, e.Handle, e.Version, e.Rule, e.RuleHash = "", "", 0, "", ""
	h, err := b.c.Handles.Spend(tx, j.who.ID(), text, e.Time)
	e.Path, e.Handle, e.Version = h.Path, h.ID, h.Version
	if err != nil {
		return in, err
	}
	decision, err := b.decideInside(tx, j, e, h.Path, &target)
	if err != nil {
		return in, err
	}
	meta, err := b.found(tx, decision)
	if err != nil {
		return in, err
	}
	if err := b.clear(tx, decision, meta, e, plea{cleared: h.Tier, closed: true}); err != nil {
		return in, err
	}
	if err := within(h, decision.Limits, e.Time); err != nil {
		return in, err
	}
	if err := usable(meta, h.Version, e.Time); err != nil {
		return in, err
	}
	allowed := allowing(h, meta, target)
	if len(allowed) == 0 {
		return in, destinationDenied(meta, target)
	}
	if err := fit(text, h.Shape, allowed); err != nil {
		return in, err
	}
	if err := b.spendUse(tx, j.who, decision.Decision, e.Time); err != nil {
		return in, err
	}
	in = intent{text: text, entry: *e, until: h.ExpiresAt, ruling: decision}
	if in.entry.Version == vault.Latest {
		in.entry.Version = meta.Version
	}
	path, _ := b.c.Scrubber.Scrub(agentOf(j.who), []byte(target.Path))
	in.entry.Target += string(path)
	in.seq, err = b.c.Audit.Append(tx, in.entry)
	return in, err
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
	var to []string
	for _, d := range meta.Destinations {
		to = append(to, d.String())
	}
	return &Denied{
		Code:   DestinationDenied,
		Reason: "The secret " + string(meta.Path) + " may not go to " + target.Method + " " + target.Origin() + target.Path + ".",
		Next:   "This secret may go to: " + strings.Join(to, " ") + ".",
	}
}

// open reads the values, remembers them for scrubbing and lends them to fn.
func (b *Broker) open(ctx context.Context, j judge, intents []intent, fn func(Opened) error) error {
	opened := Opened{Values: make(map[string]secret.Value, len(intents))}
	for _, in := range intents {
		s, err := j.open(ctx, in.ruling, in.entry.Version)
		if err != nil {
			return err
		}
		until := in.until
		if now := b.now(); now.After(until) { // a vault elsewhere took longer than the handle
			until = now
		}
		until = until.Add(scrubMargin)
		b.c.Scrubber.Keep(agentOf(j.who), in.entry.Path, s.Value, until)
		if until.After(opened.until) {
			opened.until = until
		}
		opened.Values[in.text] = s.Value
		opened.Answers = append(opened.Answers, in.ruling.Answer)
		opened.paths = append(opened.paths, in.entry.Path)
		opened.Plain = opened.Plain || !redact.Maskable(s.Value)
	}
	return fn(opened)
}

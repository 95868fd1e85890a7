package broker

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redact"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// Answer is an upstream's answer, scrubbed.
type Answer struct {
	Status    int
	Headers   []redeem.Field
	Body      []byte
	Redirect  string // where a 3xx points; it was not followed
	Truncated bool   // the body was longer than the limit
	Masked    int    // how many times a secret was masked
	Withheld  string // why headers and body are missing; "" when they are there
	// Shown is how much is shown: of ShowFields there are no headers and no
	// Redirect, of ShowStatus there is no body either.
	Shown vault.Show
}

// HTTP makes one HTTP request with the handles in it replaced by their values,
// and scrubs what comes back. Errors: those of [Broker.Use], *[redeem.Refusal]
// for a request that may not be made, *[redeem.Upstream] when no answer came.
func (b *Broker) HTTP(ctx context.Context, who identity.Principal, call redeem.Call) (Answer, error) {
	prepared, err := redeem.Prepare(call)
	if err != nil {
		e := b.entry(who, "handle.used")
		e.Outcome = audit.Denied
		return Answer{}, b.refuse(ctx, &e, err)
	}
	places := map[string]redeem.Placement{}
	fit := func(text, shape string, allowed []vault.Destination) error {
		place, err := prepared.Fit(text, shape, allowed)
		places[text] = place
		return err
	}
	var answer Answer
	err = b.Use(ctx, who, prepared.Handles(), prepared.Target(), fit, func(o Opened) error {
		response, err := b.c.HTTP.Do(ctx, who.ID(), prepared, o.Values, places)
		if err != nil {
			return err
		}
		now, target := b.now(), prepared.Target()
		plain := b.plain.seen(who, target.Origin(), o, now)
		b.sent.note(who, target.Origin(), o, now)
		answers := o.Answers
		for _, p := range places {
			answers = append(answers, p.Answers...)
		}
		var masked []vault.Path
		answer, masked = b.scrubbed(who, response, plain, answers)
		return b.surfaced(ctx, who, target, masked)
	})
	if err != nil {
		return Answer{}, err
	}
	return answer, nil
}

// scrubbed shapes the answer: what the destinations show of it, scrubbed, and
// which secrets were masked for that. If the scrubber breaks, only the status is
// shown.
func (b *Broker) scrubbed(who identity.Principal, r *redeem.Response, plain bool, answers []vault.Answer) (Answer, []vault.Path) {
	show := redeem.Strictest(answers)
	switch {
	case plain:
		return statusOnly(r, "The secret is too short or too plain to be found in the answer, so only the status is shown."), nil
	case show == vault.ShowStatus:
		return statusOnly(r, "The owner of a secret in the request lets only the status be shown."), nil
	}
	a := Answer{Status: r.Status, Truncated: r.Truncated, Shown: show}
	switch r.Withheld {
	case redeem.WithheldEncoding:
		a.Withheld = "The body is in a content encoding that cannot be scrubbed, so it is not shown."
	case redeem.WithheldCharset:
		a.Withheld = "The body is in a charset that cannot be scrubbed, so it is not shown."
	}
	s := scrubbing{scrubber: b.c.Scrubber, who: agentOf(who)}
	body := r.Body
	if r.Charset != "" {
		body = redeem.UTF8(body, r.Charset)
	}
	if show == vault.ShowFields {
		var some bool
		if body, some = redeem.Select(body, answers); !some || r.Truncated {
			return statusOnly(r, "The owner of a secret in the request lets only some fields be shown, and the answer has none of them or is not whole JSON."), nil
		}
	} else {
		for _, h := range joined(r.Headers) {
			if plainName(h.Name) && !b.c.Scrubber.Named(agentOf(who), h.Name) {
				a.Headers = append(a.Headers, redeem.Field{Name: h.Name, Value: string(s.text([]byte(h.Value), false))})
			}
		}
		a.Redirect = string(s.text([]byte(r.Redirect), false))
	}
	a.Body = s.text(body, r.Truncated)
	a.Masked = s.masked
	if r.Charset != "" {
		// A body that lies about its charset is unreadable in it, and whoever
		// undoes that reads a value. Where it cannot be undone, a byte in front of
		// a value may have swallowed its first, and the rest was not found.
		s.text(redeem.Respelled(a.Body, r.Charset), false)
		if !redeem.Faithful(r.Body, r.Charset) {
			s.text(r.Body, r.Truncated)
		}
		if s.masked > a.Masked {
			return statusOnly(r, "The answer is not in the charset it says, so only the status is shown."), s.names
		}
	}
	if s.err != nil {
		return statusOnly(r, "The answer could not be scrubbed, so only the status is shown."), s.names
	}
	return a, s.names
}

// scrubbing scrubs the parts of one answer and adds up what was masked.
type scrubbing struct {
	scrubber *redact.Scrubber
	who      string
	masked   int
	names    []vault.Path // of what was masked; one may stand twice
	err      error
}

// text is nil where it cannot be scrubbed; see [redact.Stream.Cut] for cut.
func (s *scrubbing) text(text []byte, cut bool) []byte {
	clean, found, err := s.scrubber.Safely(s.who, text, cut)
	s.masked += found.Masks
	s.names = append(s.names, found.Names...)
	s.err = errors.Join(s.err, err)
	return clean
}

func statusOnly(r *redeem.Response, why string) Answer {
	return Answer{Status: r.Status, Shown: vault.ShowStatus, Withheld: why}
}

// joined puts the values of fields that repeat a name behind each other (RFC
// 9110 §5.3), before they are scrubbed: a value may be spread over them.
func joined(fields []redeem.Field) (out []redeem.Field) {
	for _, f := range fields {
		if last := len(out) - 1; last >= 0 && out[last].Name == f.Name {
			out[last].Value += ", " + f.Value
			continue
		}
		out = append(out, f)
	}
	return out
}

// maxNameBytes is the longest name of a header that is shown.
const maxNameBytes = 64

// plainName reports whether a header's name is one that APIs use: letters,
// digits, hyphens. Others could carry text past the scrubber.
func plainName(name string) bool {
	return len(name) <= maxNameBytes && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// plainUses remembers which origin a principal has sent a value to that cannot
// be masked: a later answer from there may hold it.
type plainUses struct {
	mu    sync.Mutex
	until map[string]time.Time // by principal and origin
}

// seen notes a use and reports whether its answer may hold a value that cannot
// be masked.
func (p *plainUses) seen(who identity.Principal, origin string, o Opened, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.until, func(_ string, end time.Time) bool { return !end.After(now) })
	key := agentOf(who) + " " + origin
	if o.Plain {
		if p.until == nil {
			p.until = map[string]time.Time{}
		}
		if o.until.After(p.until[key]) {
			p.until[key] = o.until
		}
		return true
	}
	_, still := p.until[key]
	return still
}

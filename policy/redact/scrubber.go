package redact

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// ErrWithheld says that the text could not be scrubbed, so nobody may see it.
// Show the status of the answer only.
var ErrWithheld = errors.New("text could not be scrubbed")

// Scrubber keeps the values that each principal has spent in this process,
// and masks them. It is safe for concurrent use. Another process, or this one
// after a restart, knows nothing of them.
type Scrubber struct {
	now    func() time.Time
	mu     sync.Mutex
	scopes map[string]*scope
}

// scope is what one principal may not see. An item is replaced, never changed,
// and a snapshot never sees the lock.
type scope struct {
	mu    sync.Mutex
	items []*item
	next  time.Time // the earliest end of an item; zero: none
	ready *snapshot // nil when the items changed since it was made
}

type item struct {
	name  vault.Path
	value secret.Value
	until time.Time
}

// New returns an empty Scrubber; now is the clock.
func New(now func() time.Time) *Scrubber {
	return &Scrubber{now: now, scopes: map[string]*scope{}}
}

// Keep puts a value into the principal's scope until that time. Kept before,
// it stays until the later of the times. It reports false, and keeps nothing,
// when v is not [Maskable]. A request in flight when the time comes is
// scrubbed after it: until must outlast the longest request.
func (s *Scrubber) Keep(principal string, name vault.Path, v secret.Value, until time.Time) bool {
	if !Maskable(v) {
		return false
	}
	now := s.now()
	s.forget(now)
	if !until.After(now) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.scopes[principal]
	if c == nil {
		c = &scope{}
		s.scopes[principal] = c
	}
	c.keep(&item{name, v, until})
	return true
}

// forget drops every value whose time has come, of every principal.
func (s *Scrubber) forget(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, c := range s.scopes {
		if c.expire(now) {
			delete(s.scopes, name)
		}
	}
}

// Scrub returns text with every value in the principal's scope masked as
// "[secret PATH]", and the number of masks. It may return text itself.
func (s *Scrubber) Scrub(principal string, text []byte) (clean []byte, masked int) {
	snap := s.snapshot(principal)
	if snap == nil {
		return text, 0
	}
	return snap.scrub(text, len(text))
}

// ScrubCut is [Scrubber.Scrub] for a text whose end is missing, such as a body
// that was cut at a limit. A value may have been cut with it, so the last part
// of the text is dropped: twenty times the longest value, rounded up to 4 KiB,
// whatever stands there.
func (s *Scrubber) ScrubCut(principal string, text []byte) (clean []byte, masked int) {
	snap := s.snapshot(principal)
	if snap == nil {
		return text, 0
	}
	return snap.scrub(text, max(0, len(text)-snap.margin()))
}

// Safely is Scrub, or ScrubCut when cut is set, that turns a panic into
// [ErrWithheld] without text.
func (s *Scrubber) Safely(principal string, text []byte, cut bool) (clean []byte, masked int, err error) {
	defer func() {
		if recover() != nil {
			clean, masked, err = nil, 0, ErrWithheld
		}
	}()
	if cut {
		clean, masked = s.ScrubCut(principal, text)
	} else {
		clean, masked = s.Scrub(principal, text)
	}
	return clean, masked, nil
}

// snapshot returns what to look for now, or nil for nothing.
func (s *Scrubber) snapshot(principal string) *snapshot {
	now := s.now()
	s.mu.Lock()
	c := s.scopes[principal]
	s.mu.Unlock()
	if c == nil || c.expire(now) {
		return nil
	}
	return c.snapshot()
}

func (c *scope) keep(it *item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.items, func(o *item) bool { return o.name == it.name && o.value.Equal(it.value) })
	switch {
	case i < 0:
		c.items, c.ready = append(c.items, it), nil
	case it.until.After(c.items[i].until):
		c.items[i] = it
	}
	c.schedule()
}

// expire drops what is over and reports whether nothing is left.
func (c *scope) expire(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.next.IsZero() && !now.Before(c.next) {
		c.items = slices.DeleteFunc(slices.Clone(c.items), func(it *item) bool { return !now.Before(it.until) })
		c.ready = nil
		c.schedule()
	}
	return len(c.items) == 0
}

func (c *scope) schedule() {
	c.next = time.Time{}
	for _, it := range c.items {
		if c.next.IsZero() || it.until.Before(c.next) {
			c.next = it.until
		}
	}
}

func (c *scope) snapshot() *snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ready == nil {
		items := slices.Clone(c.items)
		slices.SortFunc(items, func(a, b *item) int { return strings.Compare(string(a.name), string(b.name)) })
		c.ready = newSnapshot(items)
	}
	return c.ready
}

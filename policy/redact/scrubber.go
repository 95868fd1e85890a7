package redact

import (
	"bytes"
	"errors"
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
	now      func() time.Time
	searches sync.Pool // of *search, for their memory
	mu       sync.Mutex
	scopes   map[string]*scope
}

// scope is what one principal may not see.
type scope struct {
	set
	next    time.Time // the earliest end of an item; zero: none
	keeping int       // calls of Keep under way; guarded by the Scrubber's lock
}

type item struct {
	name  vault.Path
	value secret.Value
	until time.Time // guarded by the scope's lock
}

// New returns an empty Scrubber; now is the clock.
func New(now func() time.Time) *Scrubber {
	return &Scrubber{now: now, searches: sync.Pool{New: func() any { return newSearch() }}, scopes: map[string]*scope{}}
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
	// The lock of all principals is not held while one of them is waited for.
	s.mu.Lock()
	c := s.scopes[principal]
	if c == nil {
		c = newScope()
		s.scopes[principal] = c
	}
	c.keeping++
	s.mu.Unlock()
	c.keep(&item{name, v, until})
	s.mu.Lock()
	c.keeping--
	s.mu.Unlock()
	return true
}

// forget drops every value whose time has come, of every principal but those
// whose scopes are in use: theirs are dropped another time.
func (s *Scrubber) forget(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, c := range s.scopes {
		if !c.mu.TryLock() {
			continue
		}
		if c.expire(now) && c.keeping == 0 {
			delete(s.scopes, name)
		}
		c.mu.Unlock()
	}
}

// Scrub returns text with every value in the principal's scope masked as
// "[secret PATH]", and the number of masks. If it cannot be scrubbed, it is
// "[withheld]".
func (s *Scrubber) Scrub(principal string, text []byte) (clean []byte, masked int) {
	clean, found, err := s.Safely(principal, text, false)
	if err != nil {
		return []byte(withheld), 0
	}
	return clean, found.Masks
}

// Found is what was masked in a text.
type Found struct {
	Masks int          // how often
	Names []vault.Path // of the secrets, sorted, each once
}

// Safely is Scrub that returns no text and [ErrWithheld] when it cannot be
// scrubbed, with what was found until then. A text that was cut, such as a body
// that was longer than a limit, is treated as by [Stream.Cut].
func (s *Scrubber) Safely(principal string, text []byte, cut bool) (clean []byte, found Found, err error) {
	var out bytes.Buffer
	t := s.Stream(principal, &out)
	_, _ = t.Write(text) // Close and Cut return the same error
	if cut {
		err = t.Cut()
	} else {
		err = t.Close()
	}
	found = Found{t.Masked(), t.Names()}
	if err != nil {
		return nil, found, err
	}
	return out.Bytes(), found, nil
}

// scope returns what to look for now, or nil for nothing.
func (s *Scrubber) scope(principal string) *scope {
	now := s.now()
	s.mu.Lock()
	c := s.scopes[principal]
	s.mu.Unlock()
	if c == nil {
		return nil
	}
	c.mu.RLock()
	due, empty := c.due(now), c.empty()
	c.mu.RUnlock()
	if due {
		c.mu.Lock()
		empty = c.expire(now)
		c.mu.Unlock()
	}
	if empty {
		return nil
	}
	return c
}

func newScope() *scope {
	c := &scope{}
	c.renew(0)
	return c
}

func (c *scope) keep(it *item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for old := range c.live() {
		if old.name == it.name && old.value.Equal(it.value) {
			if it.until.After(old.until) {
				old.until = it.until
				c.schedule()
			}
			return
		}
	}
	c.add(it)
	c.schedule()
}

// due reports whether something is over.
func (c *scope) due(now time.Time) bool { return !c.next.IsZero() && !now.Before(c.next) }

// expire drops what is over and reports whether nothing is left.
func (c *scope) expire(now time.Time) bool {
	if c.due(now) {
		c.remove(func(it *item) bool { return !now.Before(it.until) })
		c.schedule()
	}
	return c.empty()
}

func (c *scope) schedule() {
	c.next = time.Time{}
	for it := range c.live() {
		if c.next.IsZero() || it.until.Before(c.next) {
			c.next = it.until
		}
	}
}

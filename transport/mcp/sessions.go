package mcp

import (
	"crypto/rand"
	"sync"
	"time"
)

// sessions are the Streamable HTTP sessions of the revisions that have them.
// An id is 26 characters of base32 with 130 random bits; it is good for the
// principal that opened it and for nobody else.
type sessions struct {
	most int           // of one principal
	idle time.Duration // until a session ends
	now  func() time.Time

	mu     sync.Mutex
	byID   map[string]*httpSession
	owners map[string]map[string]*httpSession // by principal, then id
	pruned time.Time
}

// httpSession is one of them.
type httpSession struct {
	*session        // what initialize agreed on
	owner    string // identity.Principal.SessionOwner of who opened it
	calls    inflight
	asks     asks
	outbox   *outbox

	// Guarded by sessions.mu.
	open int       // requests that are not answered, the stream included
	used time.Time // when the last one began or ended
}

func newSessions(o *Options) *sessions {
	return &sessions{
		most: o.MaxSessions, idle: o.SessionIdle, now: o.Now,
		byID: map[string]*httpSession{}, owners: map[string]map[string]*httpSession{},
	}
}

// start begins a session of owner, who has agreed on what inner holds. When the
// owner has too many, the longest unused one ends, one without open requests
// first.
func (t *sessions) start(owner string, inner *session) *httpSession {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	t.prune(now)
	if mine := t.owners[owner]; len(mine) >= t.most {
		var first *httpSession
		for _, s := range mine {
			if first == nil || (s.open > 0) == (first.open > 0) && s.used.Before(first.used) || s.open == 0 && first.open > 0 {
				first = s
			}
		}
		t.remove(first)
	}
	s := &httpSession{session: inner, owner: owner, outbox: newOutbox(), used: now}
	t.byID[s.id] = s
	if t.owners[owner] == nil {
		t.owners[owner] = map[string]*httpSession{}
	}
	t.owners[owner][s.id] = s
	return s
}

// newID returns an id for a session.
func newID() string { return rand.Text() }

// prune ends what has been idle too long, at most once a minute.
func (t *sessions) prune(now time.Time) {
	if now.Sub(t.pruned) < time.Minute {
		return
	}
	t.pruned = now
	for _, s := range t.byID {
		if t.stale(s, now) {
			t.remove(s)
		}
	}
}

func (t *sessions) stale(s *httpSession, now time.Time) bool {
	return s.open == 0 && now.Sub(s.used) > t.idle
}

// remove ends a session: its stream, its calls, and the waiting for its client.
func (t *sessions) remove(s *httpSession) {
	delete(t.byID, s.id)
	delete(t.owners[s.owner], s.id)
	if len(t.owners[s.owner]) == 0 {
		delete(t.owners, s.owner)
	}
	s.outbox.close()
	s.asks.close()
	s.calls.cancelAll()
}

// use returns the session of that id and owner for one request, which ends with
// done; or nil when there is none: invented, ended, idle too long and somebody
// else's look the same.
func (t *sessions) use(id, owner string) (s *httpSession, done func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	t.prune(now)
	s = t.byID[id]
	if s == nil || s.owner != owner {
		return nil, nil
	}
	if t.stale(s, now) {
		t.remove(s)
		return nil, nil
	}
	s.open++
	s.used = now
	return s, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		s.open--
		s.used = t.now()
	}
}

// end ends a session of owner and reports whether there was one.
func (t *sessions) end(id, owner string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.byID[id]
	if s == nil || s.owner != owner || t.stale(s, t.now()) {
		return false
	}
	t.remove(s)
	return true
}

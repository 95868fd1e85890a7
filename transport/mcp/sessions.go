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
	pruned time.Time
}

// httpSession is one of them. Its fields but used never change.
type httpSession struct {
	id      string
	owner   string // identity.Principal.ID of who opened it
	version string // the revision that initialize agreed on
	client  string // label
	calls   *inflight
	used    time.Time
}

func newSessions(o *Options) *sessions {
	return &sessions{most: o.MaxSessions, idle: o.SessionIdle, now: o.Now, byID: map[string]*httpSession{}}
}

// open starts a session. When owner has too many, its longest unused one ends.
func (t *sessions) open(owner, version, client string) (id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	t.prune(now)
	var oldest *httpSession
	count := 0
	for _, s := range t.byID {
		if s.owner != owner {
			continue
		}
		count++
		if oldest == nil || s.used.Before(oldest.used) {
			oldest = s
		}
	}
	if count >= t.most {
		delete(t.byID, oldest.id)
	}
	s := &httpSession{id: rand.Text(), owner: owner, version: version, client: client, calls: newInflight(), used: now}
	t.byID[s.id] = s
	return s.id
}

// prune ends what has been idle too long, at most once a minute.
func (t *sessions) prune(now time.Time) {
	if now.Sub(t.pruned) < time.Minute {
		return
	}
	t.pruned = now
	for id, s := range t.byID {
		if now.Sub(s.used) > t.idle {
			delete(t.byID, id)
		}
	}
}

// use returns the session of that id and owner, or nil when there is none:
// invented, ended, idle too long and somebody else's look the same.
func (t *sessions) use(id, owner string) *httpSession {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, now := t.byID[id], t.now()
	if s == nil || s.owner != owner {
		return nil
	}
	if now.Sub(s.used) > t.idle {
		delete(t.byID, id)
		return nil
	}
	s.used = now
	return s
}

// end ends a session of owner and reports whether there was one.
func (t *sessions) end(id, owner string) bool {
	if t.use(id, owner) == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byID, id)
	return true
}

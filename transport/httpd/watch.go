package httpd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// watch ends what is under way for agents that have been revoked since it was
// let in: a stream would go on for as long as its client likes. Whoever has
// requests under way is asked about once in a while, however many they are; with
// none under way nothing runs.
type watch struct {
	alive func(identity.Principal) error
	every time.Duration
	log   *slog.Logger

	mu     sync.Mutex
	of     map[string]*watched // by identity.Principal.SessionOwner
	next   int                 // key of the next request
	timer  *time.Timer         // nil: nobody was watched at the last look
	closed bool
	looks  sync.WaitGroup
}

// watched is one registration of an agent with its requests under way.
type watched struct {
	who  identity.Principal
	ends map[int]context.CancelFunc
}

// add has end called should who turn out to be revoked, until done is called.
func (w *watch) add(who identity.Principal, end context.CancelFunc) (done func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	owner := who.SessionOwner()
	one := w.of[owner]
	if one == nil {
		one = &watched{who, map[int]context.CancelFunc{}}
		if w.of == nil {
			w.of = map[string]*watched{}
		}
		w.of[owner] = one
	}
	key := w.next
	w.next++
	one.ends[key] = end
	if w.timer == nil && !w.closed {
		w.timer = time.AfterFunc(w.every, w.look)
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(one.ends, key); len(one.ends) == 0 && w.of[owner] == one {
			delete(w.of, owner)
		}
	}
}

// look asks about everybody who is watched.
func (w *watch) look() {
	all := w.begin()
	if all == nil {
		return
	}
	defer w.looks.Done()
	for _, one := range all {
		switch err := w.alive(one.who); {
		case err == nil:
		case errors.Is(err, identity.ErrUnauthenticated), errors.Is(err, vault.ErrCorrupt):
			n := w.end(one)
			w.log.LogAttrs(context.Background(), slog.LevelInfo, "ended what a revoked agent had under way", slog.String("principal", one.who.ID()), slog.Int("requests", n))
		default: // it is asked again
			w.log.LogAttrs(context.Background(), slog.LevelWarn, "not known whether an agent is revoked", slog.String("principal", one.who.ID()), slog.String("type", fmt.Sprintf("%T", err)))
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.timer.Reset(w.every)
	}
}

// begin returns who is watched, nil when there is nothing to look at.
func (w *watch) begin() (all []*watched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.of) == 0 {
		w.timer = nil
		return nil
	}
	w.looks.Add(1)
	for _, one := range w.of {
		all = append(all, one)
	}
	return all
}

func (w *watch) end(one *watched) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, end := range one.ends {
		end()
	}
	return len(one.ends)
}

// stop returns once no look is under way, and none follows.
func (w *watch) stop() {
	w.mu.Lock()
	w.closed = true
	if w.timer != nil {
		w.timer.Stop()
	}
	w.mu.Unlock()
	w.looks.Wait()
}

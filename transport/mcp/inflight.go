package mcp

import (
	"context"
	"sync"
)

// inflight are the requests of one client that have no answer yet, by id as
// written, which tells 1 from "1".
type inflight struct {
	mu   sync.Mutex
	byID map[string]*call
}

// call is one of them.
type call struct {
	cancel    context.CancelFunc
	cancelled bool // by the client: it wants no answer
}

func newInflight() *inflight { return &inflight{} }

// start makes the request with that id cancellable; false when one with the
// same id has no answer yet.
func (f *inflight) start(ctx context.Context, id []byte) (context.Context, *call, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, twice := f.byID[string(id)]; twice {
		return ctx, nil, false
	}
	if f.byID == nil {
		f.byID = map[string]*call{}
	}
	one := &call{}
	ctx, one.cancel = context.WithCancel(ctx)
	f.byID[string(id)] = one
	return ctx, one, true
}

// finish ends what start started and reports whether the client still wants
// the answer.
func (f *inflight) finish(id []byte, one *call) bool {
	one.cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byID[string(id)] == one {
		delete(f.byID, string(id))
	}
	return !one.cancelled
}

// cancel stops the request with that id, if there is one.
func (f *inflight) cancel(id []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one, ok := f.byID[string(id)]; ok {
		one.cancelled = true
		one.cancel()
	}
}

// cancelAll stops every request: nobody wants an answer any more.
func (f *inflight) cancelAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range f.byID {
		one.cancelled = true
		one.cancel()
	}
}

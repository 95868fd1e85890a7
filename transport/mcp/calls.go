package mcp

import (
	"context"
	"sync"
)

// Limits of what one connection may have taken in but not yet answered. Beyond
// them nothing more is read.
const (
	maxTaken      = 256      // messages; those over Options.MaxCalls wait for their turn
	maxTakenBytes = 16 << 20 // bytes of such messages, unless there is one only
)

// calls are the requests of one client that are being worked on.
type calls struct {
	running chan struct{} // one token for each that may run

	mu      sync.Mutex
	less    sync.Cond // taken has become less
	taken   int
	bytes   int
	cancels map[string]*call // by id as written, which tells 1 from "1"
	closed  bool
}

// call is one of them.
type call struct {
	cancel    context.CancelFunc
	cancelled bool // by the client: it wants no answer
}

func newCalls(atOnce int) *calls {
	c := &calls{running: make(chan struct{}, atOnce), cancels: map[string]*call{}}
	c.less.L = &c.mu
	return c
}

// take waits until there is room for one more message of n bytes, or returns
// false when no more are taken.
func (c *calls) take(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closed && c.taken > 0 && (c.taken >= maxTaken || c.bytes+n > maxTakenBytes) {
		c.less.Wait()
	}
	if c.closed {
		return false
	}
	c.taken++
	c.bytes += n
	return true
}

// release gives back what take took.
func (c *calls) release(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken--
	c.bytes -= n
	c.less.Broadcast()
}

// start makes the request with that id cancellable; false when one with the
// same id is not yet answered.
func (c *calls) start(ctx context.Context, id []byte) (context.Context, *call, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, twice := c.cancels[string(id)]; twice {
		return ctx, nil, false
	}
	one := &call{}
	ctx, one.cancel = context.WithCancel(ctx)
	c.cancels[string(id)] = one
	return ctx, one, true
}

// finish ends what start started and reports whether the client still wants
// the answer.
func (c *calls) finish(id []byte, one *call) bool {
	one.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.cancels, string(id))
	return !one.cancelled
}

// cancel stops the request with that id, if there is one.
func (c *calls) cancel(id []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one, ok := c.cancels[string(id)]; ok {
		one.cancelled = true
		one.cancel()
	}
}

// close takes no more.
func (c *calls) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.less.Broadcast()
}

// wait blocks until all that was taken has been released. Call close first.
func (c *calls) wait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.taken > 0 {
		c.less.Wait()
	}
}

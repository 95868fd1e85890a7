package mcp

import (
	"context"
	"slices"
	"sync"
)

// Limits of what waits for the stream of a session. Beyond them it takes nothing
// and says so: nothing that was taken is dropped.
const (
	maxOutbox      = 64      // messages
	maxOutboxBytes = 1 << 20 // of them, unless there is one only
)

// outbox is what is said to the client of a session outside of its calls, on the
// stream that GET opens. Between two streams it waits; for a client that has
// never opened one nothing is kept.
type outbox struct {
	mu      sync.Mutex
	waiting [][]byte
	bytes   int
	more    chan struct{}      // has one when something waits
	closed  bool               // the session has ended
	reader  context.CancelFunc // ends the stream that was opened last; nil: none was
}

func newOutbox() *outbox { return &outbox{more: make(chan struct{}, 1)} }

// put leaves a message for the stream. Errors: errNotRead when the outbox is full,
// errNoStream, errEnded.
func (o *outbox) put(message []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return errEnded
	case o.reader == nil:
		return errNoStream
	case len(o.waiting) >= maxOutbox, len(o.waiting) > 0 && o.bytes+len(message) > maxOutboxBytes:
		return errNotRead
	}
	o.waiting = append(o.waiting, message)
	o.bytes += len(message)
	o.wake()
	return nil
}

func (o *outbox) wake() {
	select {
	case o.more <- struct{}{}:
	default:
	}
}

// attach makes cancel end the stream that is open from now on. The one before
// ends: a client that lost it may not wait until that is noticed here.
func (o *outbox) attach(cancel context.CancelFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.reader != nil {
		o.reader()
	}
	o.reader = cancel
	if o.closed {
		cancel()
	}
	if len(o.waiting) > 0 {
		o.wake()
	}
}

// take returns the message that has waited longest, nil when there is none.
func (o *outbox) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		return nil
	}
	message := o.waiting[0]
	o.bytes -= len(message)
	if o.waiting = slices.Delete(o.waiting, 0, 1); len(o.waiting) == 0 {
		o.waiting = nil
	}
	return message
}

// back returns a message that could not be sent: the next stream has it.
func (o *outbox) back(message []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.waiting = slices.Insert(o.waiting, 0, message)
		o.bytes += len(message)
		o.wake()
	}
}

// close ends the stream and takes no more.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed, o.waiting = true, nil
	if o.reader != nil {
		o.reader()
	}
}

// serve sends what waits and what comes on an open stream, until ctx ends or the
// client is gone.
func (o *outbox) serve(ctx context.Context, out *response) {
	defer o.wake() // a stream that was cut may have had what was to wake the next
	for {
		for ctx.Err() == nil {
			message := o.take()
			if message == nil {
				break
			}
			if out.event(message) != nil {
				o.back(message)
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-o.more:
		}
	}
}

package httpd

import (
	"context"
	"sync"
)

// active counts the handlers that run, and knows which of them are streams.
type active struct {
	mu      sync.Mutex
	n       int
	none    chan struct{} // closed when stopped and n is 0; nil before stop
	streams map[int]context.CancelFunc
	next    int  // key of the next stream
	ended   bool // no streams any more
}

// enter counts one more handler, unless the server has stopped. Each true wants
// a leave.
func (a *active) enter() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.none != nil {
		return false
	}
	a.n++
	return true
}

// join counts work that a handler which runs leaves behind. It wants a leave.
func (a *active) join() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n++
}

func (a *active) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n--; a.n == 0 && a.none != nil {
		close(a.none)
	}
}

// stop lets no more handlers in; the channel is closed once none runs.
func (a *active) stop() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.none = make(chan struct{})
	if a.n == 0 {
		close(a.none)
	}
	return a.none
}

func (a *active) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n
}

// stream has cancel called by endStreams, at once when that has been, until
// done is called.
func (a *active) stream(cancel context.CancelFunc) (done func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		cancel()
		return func() {}
	}
	if a.streams == nil {
		a.streams = map[int]context.CancelFunc{}
	}
	key := a.next
	a.next++
	a.streams[key] = cancel
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.streams, key)
	}
}

func (a *active) endStreams() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	for _, cancel := range a.streams {
		cancel()
	}
}

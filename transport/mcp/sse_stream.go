package mcp

import (
	"context"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/coatcheck-dev/coatcheck/tools"
)

// Limits of what may have come in and is not yet dealt with. Beyond them a
// message is refused: keeping it, or its POST, would cost memory.
const (
	maxStreamTaken   = 256      // messages of one stream; those over Options.MaxCalls wait for their turn
	maxOwnerMessages = 1024     // of all streams of one principal
	maxOwnerTaken    = 16 << 20 // bytes of all messages of one principal, unless there is one only
)

// ownerStreams is how many streams of one principal may have as many calls
// running as [Options.MaxCalls] says: whoever opens more streams gets no more.
const ownerStreams = 4

// stream is one client of the SSE door: a connection whose messages come in by
// themselves and whose answers go out as events.
type stream struct {
	connection
	id    string          // 26 characters of base32, 130 random bits
	owner string          // identity.Principal.SessionOwner of who opened it
	ctx   context.Context // of its calls: they outlive the POST that brought them, and end with the stream
	stop  func()          // ends ctx
	turns chan struct{}   // one for each call that runs

	// Held by the mutex of the streams it is one of.
	taken  int // messages that are not dealt with
	closed bool
	quiet  chan struct{} // closed once closed and nothing is taken
}

// contained answers for what panicked outside of a tool, in a goroutine of its
// own: nothing else would catch it. one is nil for a batch.
func (c *connection) contained(ctx context.Context, id []byte, one *call) {
	v := recover()
	if v == nil {
		return
	}
	failure := tools.Broken()
	c.panicked(ctx, failure.Reference, "sse call", v)
	if one == nil || c.calls.finish(id, one) {
		c.failed(ctx, c.send(rpcError(id, mcp.INTERNAL_ERROR, "internal error, reference "+failure.Reference)))
	}
}

// streams are those that are open.
type streams struct {
	running int // calls of one owner at once

	mu    sync.Mutex
	byID  map[string]*stream
	taken map[string]*share // by owner; no entry for none
}

// share is what one principal has taken and not dealt with, of all its streams.
type share struct {
	messages, bytes int
	turns           chan struct{} // one for each call that runs
}

func newStreams(running int) *streams {
	return &streams{running: running, byID: map[string]*stream{}, taken: map[string]*share{}}
}

func (t *streams) add(s *stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byID[s.id] = s
}

// of returns the stream of that id and owner, or nil: invented, ended and
// somebody else's look the same.
func (t *streams) of(id, owner string) *stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.byID[id]; s != nil && s.owner == owner {
		return s
	}
	return nil
}

// admission says whether a message may come in.
type admission int

const (
	admitted  admission = iota
	full                // too much is waiting; later there may be room
	noneTaken           // the server is stopping
	ended               // the stream is gone
)

// admit counts one more message of size bytes. Each admitted wants a done, and
// has the turns of its owner.
func (t *streams) admit(s *stream, size int) (turns chan struct{}, said admission) {
	t.mu.Lock()
	defer t.mu.Unlock()
	held := t.taken[s.owner]
	switch {
	case t.byID[s.id] != s:
		return nil, ended
	case s.closed:
		return nil, noneTaken
	case s.taken >= maxStreamTaken, held != nil && (held.messages >= maxOwnerMessages || held.bytes+size > maxOwnerTaken):
		return nil, full
	case held == nil:
		held = &share{turns: make(chan struct{}, t.running)}
		t.taken[s.owner] = held
	}
	s.taken++
	held.messages++
	held.bytes += size
	return held.turns, admitted
}

func (t *streams) done(s *stream, size int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	held := t.taken[s.owner]
	held.bytes -= size
	if held.messages--; held.messages == 0 {
		delete(t.taken, s.owner)
	}
	if s.taken--; s.closed && s.taken == 0 {
		close(s.quiet)
	}
}

// close has s take no more messages. The channel is closed once all that were
// taken are dealt with.
func (t *streams) close(s *stream) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !s.closed {
		s.closed = true
		if s.taken == 0 {
			close(s.quiet)
		}
	}
	return s.quiet
}

// end is close for a stream that nobody can find any more.
func (t *streams) end(s *stream) <-chan struct{} {
	t.mu.Lock()
	delete(t.byID, s.id)
	t.mu.Unlock()
	return t.close(s)
}

package mcp

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/lines"
)

// What was not sent, and why.
var (
	ErrNoStream     = errNoStream
	ErrEnded        = errEnded
	ErrNotRead      = errNotRead
	ErrNoRequests   = errNoRequests
	ErrNoCapability = errNoCapability
	ErrTooManyAsked = errTooManyAsked
)

// MaxOutbox is maxOutbox.
const MaxOutbox = maxOutbox

// Notify sends a notification to the client behind a call.
func Notify(ctx context.Context, method string, params any) error {
	return peerOf(ctx).notify(ctx, method, params)
}

// Ask asks the client behind a call.
func Ask(ctx context.Context, method string, params any) (json.RawMessage, error) {
	return peerOf(ctx).ask(ctx, method, params)
}

// AppendQuoted is appendQuoted.
var AppendQuoted = appendQuoted

// Sessions counts those of a handler.
func Sessions(h http.Handler) int {
	e, _ := h.(*endpoint)
	e.sessions.mu.Lock()
	defer e.sessions.mu.Unlock()
	return len(e.sessions.byID)
}

// OpenRequests counts those of all sessions of a handler, streams included.
func OpenRequests(h http.Handler) (n int) {
	e, _ := h.(*endpoint)
	e.sessions.mu.Lock()
	defer e.sessions.mu.Unlock()
	for _, s := range e.sessions.byID {
		n += s.open
	}
	return n
}

// PanicInCall has a call of a stream panic with text, beside its tool.
func (s *Server) PanicInCall(ctx context.Context, out io.Writer, text string) {
	c := connection{Server: s, out: lines.NewWriter(out), calls: newInflight()}
	id := []byte("7")
	ctx, one, _ := c.calls.start(ctx, id)
	defer c.contained(ctx, id, one)
	panic(text)
}

// WokenAfterCut says something while a stream that was cut has not ended yet, and
// reports whether the stream that took over hears of it.
func WokenAfterCut() bool {
	o := newOutbox()
	o.attach(func() {})
	if o.put([]byte("{}")) != nil {
		return false
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	o.serve(ctx, nil)
	return len(o.more) == 1
}

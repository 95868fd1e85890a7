package mcp

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
)

// listen answers subscriptions/listen over HTTP: what mcp-go sends to the session
// goes out while it holds the stream open, the acknowledgement first. Nothing of
// ours ever changes, so it acknowledges nothing and ends at once.
func (e *endpoint) listen(ctx context.Context, s *session, out *response, m envelope.Message, text []byte) mcp.JSONRPCMessage {
	answered := make(chan mcp.JSONRPCMessage, 1)
	go func() { answered <- e.handle(ctx, m, text) }()
	send := func(n mcp.JSONRPCNotification) {
		if text, err := json.Marshal(n); err == nil {
			_ = out.event(text) // ctx ends when the client is gone
		}
	}
	for {
		select {
		case n := <-s.notifications:
			send(n)
		case answer := <-answered:
			for {
				select {
				case n := <-s.notifications:
					send(n)
					continue
				default:
				}
				return answer
			}
		}
	}
}

// session answers GET with the stream of a session, which lasts until the client
// goes away, opens another, or the session ends.
func (e *endpoint) session(w http.ResponseWriter, r *http.Request, s *httpSession) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	out := newResponse(w, r, e.Heartbeat)
	defer out.end()
	s.outbox.attach(cancel)
	if out.open() == nil {
		s.outbox.serve(ctx, out)
	}
}

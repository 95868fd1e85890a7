package mcp

import (
	"context"
	"net/http"
	"slices"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
)

// post takes one message for a stream. What is wrong with the message itself is
// said in the answer to the POST; what becomes of a good one is an event.
func (e *sse) post(w http.ResponseWriter, r *http.Request, who identity.Principal) {
	if !plainJSON(r.Header) {
		http.Error(w, "the content type must be application/json in UTF-8, without encoding", http.StatusUnsupportedMediaType)
		return
	}
	var s *stream
	if ids := r.URL.Query()[sessionParam]; len(ids) == 1 {
		s = e.streams.of(ids[0], who.SessionOwner())
	}
	if s == nil {
		noStream(w)
		return
	}
	m, text, ok := e.receive(w, r)
	if !ok {
		return
	}
	e.take(w, s, who, m, text)
}

func noStream(w http.ResponseWriter) {
	reply(w, http.StatusNotFound, rpcError(nil, envelope.InvalidRequest, "no such session: open "+SSEPath+" and post to where its first event says"))
}

// take deals with a message of who, or sees that it is dealt with.
func (e *sse) take(w http.ResponseWriter, s *stream, who identity.Principal, m envelope.Message, text []byte) {
	c := s.connection
	c.who = who // the one whose call it is, with the address it came from
	ctx := withPeer(e.core.WithContext(withPrincipal(s.ctx, who), c.session), &c)
	switch {
	case m.Kind == envelope.Response:
		c.asks.answer(m.ID, text)
		w.WriteHeader(http.StatusAccepted)
		return
	case m.Kind == envelope.Notification:
		c.notified(ctx, m, text)
		w.WriteHeader(http.StatusAccepted)
		return
	case m.Kind == envelope.Batch && c.session.ProtocolVersion() != mcp.ProtocolVersion20250326:
		reply(w, http.StatusBadRequest, rpcError(nil, envelope.InvalidRequest, noBatches))
		return
	}
	turns, said := e.streams.admit(s, len(text))
	switch said {
	case full:
		w.Header().Set("Retry-After", "1")
		reply(w, http.StatusTooManyRequests, rpcError(m.ID, envelope.InvalidRequest, "too many messages of this session or this agent are not yet answered"))
		return
	case noneTaken:
		reply(w, http.StatusServiceUnavailable, rpcError(m.ID, mcp.REQUEST_INTERRUPTED, "the server is stopping"))
		return
	case ended:
		noStream(w)
		return
	case admitted:
	}
	work := func() { c.batch(ctx, text) }
	var one *call
	if m.Kind == envelope.Request {
		var fresh bool
		if ctx, one, fresh = c.calls.start(ctx, m.ID); !fresh {
			e.streams.done(s, len(text))
			reply(w, http.StatusBadRequest, rpcError(m.ID, envelope.InvalidRequest, "a request with this id is not yet answered"))
			return
		}
		work = func() { c.run(ctx, one, m, text) }
		if mcp.IsModernProtocol(string(m.Version)) {
			work = func() { c.refuseModern(ctx, one, m) }
		}
	}
	go func() {
		defer e.streams.done(s, len(text))
		defer c.contained(ctx, m.ID, one)
		for _, room := range []chan struct{}{s.turns, turns} {
			select {
			case room <- struct{}{}:
				defer func() { <-room }()
			case <-ctx.Done():
			}
		}
		work()
	}()
	w.WriteHeader(http.StatusAccepted)
}

// refuseModern answers a request of 2026-07-28, which has no sessions and so no
// place here. Clients that speak both eras then send initialize.
func (c *connection) refuseModern(ctx context.Context, one *call, m envelope.Message) {
	no := rpcError(m.ID, mcp.UNSUPPORTED_PROTOCOL_VERSION, "unsupported protocol version")
	said := mcp.UnsupportedProtocolVersionData{Supported: slices.DeleteFunc(slices.Clone(mcp.ValidProtocolVersions), mcp.IsModernProtocol)}
	if isDate(string(m.Version)) {
		said.Requested = string(m.Version)
	}
	no.Error.Data = said
	if c.calls.finish(m.ID, one) {
		c.failed(ctx, c.send(no))
	}
}

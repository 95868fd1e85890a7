package mcp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
)

// listen answers subscriptions/listen over HTTP: an acknowledgement of nothing,
// for nothing is ever pushed, and the end. mcp-go's handler loses the
// acknowledgement when the stream ends as soon as it began.
func (e *endpoint) listen(ctx context.Context, w http.ResponseWriter, m envelope.Message, text []byte) {
	s := newSession("http-" + rand.Text())
	answer := e.handle(e.core.WithContext(ctx, s), m, text)
	if failure, bad := answer.(mcp.JSONRPCError); bad {
		reply(w, http.StatusBadRequest, failure)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		select {
		case n := <-s.notifications:
			event(w, n)
			continue
		default:
		}
		event(w, answer)
		return
	}
}

// event writes one event of a stream.
func event(w http.ResponseWriter, message any) {
	text, err := json.Marshal(message)
	if err != nil {
		return
	}
	_, _ = w.Write(append(append([]byte("event: message\ndata: "), text...), '\n', '\n')) // the client is gone if this fails
}

// headersAgree applies the rules of 2026-07-28 for its headers. When it is
// false mcp-go says what is wrong.
func headersAgree(r *http.Request, m envelope.Message) bool {
	version := r.Header.Get(mcp.HeaderProtocolVersion)
	return version == string(m.Version) && r.Header.Get(mcp.HeaderLastEventID) == "" &&
		mcp.ValidateStandardHeaders(r.Header.Get, version, mcp.MCPMethod(m.Method), json.RawMessage(m.Params)) == nil
}

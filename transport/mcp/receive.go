package mcp

import (
	"errors"
	"io"
	"net/http"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
)

// receive reads the message that a POST carries. What is wrong with it is
// answered here; then ok is false.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) (m envelope.Message, text []byte, ok bool) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.MaxMessageBytes)))
	if long := (*http.MaxBytesError)(nil); errors.As(err, &long) {
		reply(w, http.StatusRequestEntityTooLarge, rpcError(nil, envelope.InvalidRequest, "the message is too long"))
		return m, nil, false
	}
	if err != nil {
		reply(w, http.StatusBadRequest, rpcError(nil, envelope.ParseError, "the message ends early"))
		return m, nil, false
	}
	m, bad := envelope.Check(text)
	if bad != nil {
		reply(w, http.StatusBadRequest, refused(bad))
		return m, nil, false
	}
	return m, text, true
}

// recovered, deferred by a door, ends a request after a panic outside of a call.
// A stream is cut: an answer would be read as an event.
func (s *Server) recovered(w http.ResponseWriter, r *http.Request, door string) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v) // net/http's own
	}
	failure := tools.Broken()
	s.panicked(r.Context(), failure.Reference, door, v)
	if w.Header().Get("Content-Type") == eventStream {
		panic(http.ErrAbortHandler)
	}
	reply(w, http.StatusInternalServerError, rpcError(nil, mcp.INTERNAL_ERROR, "internal error, reference "+failure.Reference))
}

package mcp

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
)

// legacy is every revision before 2026-07-28: initialize opens a session, and all
// else happens in one.
func (e *endpoint) legacy(w http.ResponseWriter, r *http.Request, who identity.Principal, m envelope.Message, text []byte) {
	if m.Kind == envelope.Request && string(m.Method) == string(mcp.MethodInitialize) {
		e.initialize(w, r, who, m, text)
		return
	}
	id, _ := only(r, headerSession)
	if id == "" {
		reply(w, http.StatusBadRequest, rpcError(m.ID, envelope.InvalidRequest, "no session: send initialize first, then its "+headerSession+" with everything"))
		return
	}
	s, done := e.sessions.use(id, who.SessionOwner())
	if s == nil {
		reply(w, http.StatusNotFound, rpcError(m.ID, envelope.InvalidRequest, "no such session: send initialize again"))
		return
	}
	defer done()
	switch m.Kind {
	case envelope.Request:
		e.request(w, r, who, s, m, text)
	case envelope.Batch:
		e.batch(w, r, who, s, text)
	case envelope.Notification, envelope.Response:
		s.told(m, text)
		w.WriteHeader(http.StatusAccepted)
	}
}

// initialize agrees with a client on a revision and opens its session.
func (e *endpoint) initialize(w http.ResponseWriter, r *http.Request, who identity.Principal, m envelope.Message, text []byte) {
	inner := newQuietSession(newID())
	answer := e.handle(e.core.WithContext(withPrincipal(r.Context(), who), inner), m, text)
	if _, fine := answer.(mcp.JSONRPCResponse); fine {
		w.Header().Set(headerSession, e.sessions.start(who.SessionOwner(), inner).id)
	}
	reply(w, http.StatusOK, answer)
}

// told takes what needs no answer.
func (s *httpSession) told(m envelope.Message, text []byte) {
	switch {
	case m.Kind == envelope.Response:
		s.asks.answer(m.ID, text)
	case string(m.Method) == string(mcp.MethodNotificationCancelled):
		s.calls.cancel(m.RequestID)
	}
}

// request answers one request of a session.
func (e *endpoint) request(w http.ResponseWriter, r *http.Request, who identity.Principal, s *httpSession, m envelope.Message, text []byte) {
	ctx, out := r.Context(), newResponse(w, r, e.Heartbeat)
	defer out.end()
	if answer, twice := e.answer(e.within(ctx, who, s, out), who, s, m, text); twice {
		reply(w, http.StatusBadRequest, answer)
	} else {
		out.finish(ctx, e.Log, http.StatusOK, encoded(answer))
	}
}

// within is the context of a call in a session.
func (e *endpoint) within(ctx context.Context, who identity.Principal, s *httpSession, out *response) context.Context {
	return withPeer(e.core.WithContext(withPrincipal(ctx, who), s.session), exchange{s, out})
}

// answer answers one request of a session: with text or with what encodes to it.
// twice says that one with the same id has no answer yet.
func (e *endpoint) answer(ctx context.Context, who identity.Principal, s *httpSession, m envelope.Message, text []byte) (answer any, twice bool) {
	ctx, one, ok := s.calls.start(ctx, m.ID)
	if !ok {
		return rpcError(m.ID, envelope.InvalidRequest, "a request with this id is not yet answered"), true
	}
	if who.Client == "" {
		who.Client = load(&s.label)
	}
	direct, done := e.direct(ctx, who, m)
	if answer = direct; !done {
		answer = e.handle(ctx, m, text)
	}
	if !s.calls.finish(m.ID, one) { // HTTP wants an answer all the same
		answer = rpcError(m.ID, mcp.REQUEST_INTERRUPTED, "the request was cancelled")
	}
	return answer, false
}

// batch answers the messages of a batch one after the other: only revision
// 2025-03-26 has batches.
func (e *endpoint) batch(w http.ResponseWriter, r *http.Request, who identity.Principal, s *httpSession, text []byte) {
	if s.ProtocolVersion() != mcp.ProtocolVersion20250326 {
		reply(w, http.StatusBadRequest, rpcError(nil, envelope.InvalidRequest, noBatches))
		return
	}
	parts, bad := envelope.Split(text)
	if bad != nil {
		reply(w, http.StatusBadRequest, refused(bad))
		return
	}
	ctx, out := r.Context(), newResponse(w, r, e.Heartbeat)
	out.batch = true
	defer out.end()
	inner := e.within(ctx, who, s, out)
	var answers [][]byte
	for _, part := range parts {
		m, refusal := member(part)
		switch {
		case refusal != nil:
			answers = append(answers, encoded(*refusal))
		case m.Kind == envelope.Request:
			answer, _ := e.answer(inner, who, s, m, part)
			answers = append(answers, encoded(answer))
		default:
			s.told(m, part)
		}
	}
	out.finish(ctx, e.Log, http.StatusOK, answers...)
}

// encoded is an answer as text.
func encoded(answer any) []byte {
	if text, done := answer.([]byte); done {
		return text
	}
	text, err := json.Marshal(answer)
	if err != nil { // a result that does not encode: none of ours
		text, _ = json.Marshal(rpcError(nil, mcp.INTERNAL_ERROR, "internal error, reference "+tools.Broken().Reference))
	}
	return text
}

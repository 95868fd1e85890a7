package mcp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
)

// headerSession is the session id of the revisions before 2026-07-28.
const headerSession = "Mcp-Session-Id"

// HTTPHandler returns the Streamable HTTP endpoint. authenticate says who a
// request comes from; false answers 401. It is asked for every request, so that
// a revoked agent is out at once. Nothing runs in the background.
func (s *Server) HTTPHandler(authenticate func(*http.Request) (identity.Principal, bool)) http.Handler {
	return &endpoint{
		Server: s, authenticate: authenticate, sessions: newSessions(&s.Options),
		protocol: server.NewStreamableHTTPServer(s.core,
			server.WithStateLess(true),                                     // sessions are kept here
			server.WithDisableStreaming(true),                              // nothing is pushed
			server.WithDisableLocalhostProtection(true),                    // transport/httpd checks Host, on every route
			server.WithStreamableHTTPLogger(slog.New(slog.DiscardHandler)), // its lines hold session ids
		),
	}
}

type endpoint struct {
	*Server
	authenticate func(*http.Request) (identity.Principal, bool)
	sessions     *sessions
	protocol     *server.StreamableHTTPServer
}

// ServeHTTP answers POST with a message or a batch, and DELETE of a session.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer e.recovered(w, r)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	who, ok := e.authenticate(r)
	switch {
	case !ok:
		w.Header().Set("WWW-Authenticate", `Bearer realm="coatcheck"`)
		http.Error(w, "who are you? send an agent key", http.StatusUnauthorized)
	case r.Method == http.MethodPost:
		e.post(w, r, who)
	case r.Method == http.MethodDelete && !mcp.IsModernProtocol(r.Header.Get(mcp.HeaderProtocolVersion)):
		e.delete(w, r, who)
	default:
		w.Header().Set("Allow", "POST, DELETE")
		http.Error(w, "only POST, and DELETE of a session: nothing is pushed", http.StatusMethodNotAllowed)
	}
}

// recovered answers after a panic outside of a tool.
func (e *endpoint) recovered(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v) // net/http's own
	}
	failure := tools.Broken()
	e.panicked(r.Context(), failure.Reference, "http", v)
	reply(w, http.StatusInternalServerError, rpcError(nil, mcp.INTERNAL_ERROR, "internal error, reference "+failure.Reference))
}

func (e *endpoint) delete(w http.ResponseWriter, r *http.Request, who identity.Principal) {
	switch id, ok := only(r, headerSession); {
	case !ok || id == "":
		http.Error(w, "no session id", http.StatusBadRequest)
	case !e.sessions.end(id, who.ID()):
		http.Error(w, "no such session", http.StatusNotFound)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// post checks everything that can be told from the outside, then goes on by era.
func (e *endpoint) post(w http.ResponseWriter, r *http.Request, who identity.Principal) {
	if !plainJSON(r.Header) {
		http.Error(w, "the content type must be application/json in UTF-8, without encoding", http.StatusUnsupportedMediaType)
		return
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(e.MaxMessageBytes)))
	if long := (*http.MaxBytesError)(nil); errors.As(err, &long) {
		reply(w, http.StatusRequestEntityTooLarge, rpcError(nil, envelope.InvalidRequest, "the message is too long"))
		return
	}
	if err != nil {
		reply(w, http.StatusBadRequest, rpcError(nil, envelope.ParseError, "the message ends early"))
		return
	}
	m, bad := envelope.Check(text)
	if bad != nil {
		reply(w, http.StatusBadRequest, refused(bad))
		return
	}
	version, fine := only(r, mcp.HeaderProtocolVersion)
	for _, name := range []string{headerSession, mcp.HeaderMethod, mcp.HeaderName} {
		_, one := only(r, name)
		fine = fine && one
	}
	known := version == "" || mcp.IsValidProtocolVersion(version) || mcp.IsModernProtocol(version) && isDate(version)
	switch {
	case !fine:
		reply(w, http.StatusBadRequest, rpcError(m.ID, envelope.InvalidRequest, "a header stands twice"))
	case !known:
		reply(w, http.StatusBadRequest, rpcError(m.ID, envelope.InvalidRequest, "unknown protocol version in the header"))
	case mcp.IsModernProtocol(version) || mcp.IsModernProtocol(string(m.Version)):
		e.modern(w, r, who, m, text)
	default:
		e.legacy(w, r, who, m, text)
	}
}

// modern is 2026-07-28: no sessions, no batches, no answers from the client. A
// request is cancelled by closing the connection, never by a notification, which
// could name anybody's request.
func (e *endpoint) modern(w http.ResponseWriter, r *http.Request, who identity.Principal, m envelope.Message, text []byte) {
	switch m.Kind {
	case envelope.Request:
		ctx := withPrincipal(r.Context(), who)
		if string(m.Method) == string(mcp.MethodSubscriptionsListen) && headersAgree(r, m) {
			e.listen(ctx, w, m, text)
			return
		}
		e.forward(w, r, ctx, m, text)
	case envelope.Notification:
		w.WriteHeader(http.StatusAccepted)
	case envelope.Batch:
		reply(w, http.StatusBadRequest, rpcError(nil, envelope.InvalidRequest, noBatches))
	case envelope.Response:
		reply(w, http.StatusBadRequest, rpcError(nil, envelope.InvalidRequest, "nothing was asked that could be answered"))
	}
}

// legacy is every revision before: initialize opens a session, and all else
// happens in one.
func (e *endpoint) legacy(w http.ResponseWriter, r *http.Request, who identity.Principal, m envelope.Message, text []byte) {
	ctx := withPrincipal(r.Context(), who)
	if m.Kind == envelope.Request && string(m.Method) == string(mcp.MethodInitialize) {
		open := func(version, client string) {
			w.Header().Set(headerSession, e.sessions.open(who.ID(), version, client))
		}
		e.forward(w, r, context.WithValue(ctx, openKey{}, open), m, text)
		return
	}
	id, _ := only(r, headerSession)
	if id == "" {
		reply(w, http.StatusBadRequest, rpcError(m.ID, envelope.InvalidRequest, "no session: send initialize first, then its "+headerSession+" with everything"))
		return
	}
	s := e.sessions.use(id, who.ID())
	if s == nil {
		reply(w, http.StatusNotFound, rpcError(m.ID, envelope.InvalidRequest, "no such session: send initialize again"))
		return
	}
	if who.Client == "" {
		who.Client = s.client
	}
	ctx = withPrincipal(ctx, who)
	switch m.Kind {
	case envelope.Request:
		ctx, one, ok := s.calls.start(ctx, m.ID)
		if !ok {
			reply(w, http.StatusBadRequest, rpcError(m.ID, envelope.InvalidRequest, "a request with this id is not yet answered"))
			return
		}
		defer s.calls.finish(m.ID, one)
		e.forward(w, r, ctx, m, text)
	case envelope.Batch:
		e.batch(ctx, w, s, text)
	case envelope.Notification, envelope.Response:
		if string(m.Method) == string(mcp.MethodNotificationCancelled) {
			s.calls.cancel(m.RequestID)
		}
		w.WriteHeader(http.StatusAccepted)
	}
}

func (e *endpoint) batch(ctx context.Context, w http.ResponseWriter, s *httpSession, text []byte) {
	if s.version != mcp.ProtocolVersion20250326 {
		reply(w, http.StatusBadRequest, rpcError(nil, envelope.InvalidRequest, noBatches))
		return
	}
	inner := newSession(s.id)
	inner.SetProtocolVersion(s.version)
	answers, bad := e.each(e.core.WithContext(ctx, inner), s.calls, text)
	switch {
	case bad != nil:
		reply(w, http.StatusBadRequest, refused(bad))
	case len(answers) == 0:
		w.WriteHeader(http.StatusAccepted)
	default:
		reply(w, http.StatusOK, answers)
	}
}

// openKey is the context key of the function that opens a session.
type openKey struct{}

// initialized opens the HTTP session of an initialize that went well, if ctx
// says so. mcp-go has not begun to answer yet.
func initialized(ctx context.Context, _ any, request *mcp.InitializeRequest, result *mcp.InitializeResult) {
	if open, ok := ctx.Value(openKey{}).(func(version, client string)); ok {
		open(result.ProtocolVersion, label(request.Params.ClientInfo))
	}
}

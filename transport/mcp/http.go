package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"

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
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares like this
				panic(v)
			}
			failure := tools.Broken()
			e.panicked(r.Context(), failure.Reference, "http", v)
			reply(w, http.StatusInternalServerError, rpcError(nil, mcp.INTERNAL_ERROR, "internal error, reference "+failure.Reference))
		}
	}()
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
	default:
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
	default:
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

// forward gives the request to mcp-go and makes its errors fit to send.
func (e *endpoint) forward(w http.ResponseWriter, r *http.Request, ctx context.Context, m envelope.Message, text []byte) { //nolint:revive // r is older than ctx
	inner := r.WithContext(ctx)
	inner.Body = io.NopCloser(bytes.NewReader(text))
	held := &answerWriter{ResponseWriter: w}
	e.protocol.ServeHTTP(held, inner)
	if held.status == 0 { // mcp-go says nothing once ctx has ended
		reply(w, http.StatusOK, rpcError(m.ID, mcp.REQUEST_INTERRUPTED, "the request was cancelled"))
		return
	}
	if held.body == nil {
		return
	}
	body := held.body.Bytes()
	if bytes.Contains(body[:min(len(body), 8*envelope.MaxIDBytes)], []byte(`"error":`)) {
		body = e.plainBody(ctx, m, body)
	}
	w.WriteHeader(held.status)
	if _, err := w.Write(body); err != nil {
		e.Log.DebugContext(ctx, "answer not sent", slog.String("cause", kinds(err)))
	}
}

// plainBody is [Server.plain] for an encoded answer.
func (e *endpoint) plainBody(ctx context.Context, m envelope.Message, body []byte) []byte {
	var said struct {
		Error *struct {
			Code    int             `json:"code"`
			Message string          `json:"message"`
			Data    json.RawMessage `json:"data"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &said) != nil || said.Error == nil {
		return body
	}
	failed := rpcError(nil, said.Error.Code, said.Error.Message)
	var versions mcp.UnsupportedProtocolVersionData
	if json.Unmarshal(said.Error.Data, &versions) == nil {
		failed.Error.Data = versions
	}
	out, err := json.Marshal(e.plain(ctx, m, failed))
	if err != nil {
		return nil
	}
	return append(out, '\n')
}

// reply sends v as JSON.
func reply(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the client is gone if this fails
}

// only returns the one value of a header, "" when it is absent, and false when
// it stands twice, so that everybody on the way reads the same.
func only(r *http.Request, name string) (string, bool) {
	values := r.Header.Values(name)
	switch len(values) {
	case 0:
		return "", true
	case 1:
		return values[0], true
	default:
		return "", false
	}
}

// plainJSON admits application/json in UTF-8 as it is. Forms and text, which a
// web page may send without asking, are refused with all else.
func plainJSON(h http.Header) bool {
	if len(h.Values("Content-Type")) != 1 || h.Get("Content-Encoding") != "" {
		return false
	}
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
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

// answerWriter holds back a JSON answer and lets all else through, event streams
// above all.
type answerWriter struct {
	http.ResponseWriter
	status int
	body   *bytes.Buffer
}

// WriteHeader decides which it is.
func (a *answerWriter) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	a.status = status
	if kind, _, err := mime.ParseMediaType(a.Header().Get("Content-Type")); err == nil && kind == "application/json" {
		a.body = &bytes.Buffer{}
		return
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write writes to where WriteHeader decided.
func (a *answerWriter) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if a.body != nil {
		return a.body.Write(p)
	}
	return a.ResponseWriter.Write(p)
}

// Flush sends what was written of an event stream.
func (a *answerWriter) Flush() {
	if f, ok := a.ResponseWriter.(http.Flusher); ok && a.body == nil {
		f.Flush()
	}
}

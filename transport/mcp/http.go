package mcp

import (
	"encoding/json"
	"net/http"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
)

// headerSession is the session id of the revisions before 2026-07-28.
const headerSession = "Mcp-Session-Id"

// HTTPHandler returns the Streamable HTTP endpoint. authenticate says who a
// request comes from; false answers 401. It is asked for every request, so that
// a revoked agent is out at once. Nothing runs in the background: idle sessions
// end when the next request comes in.
//
// It relies on the server in front for the time that one write may take: that is
// what cuts a client that does not read.
func (s *Server) HTTPHandler(authenticate func(*http.Request) (identity.Principal, bool)) http.Handler {
	return &endpoint{Server: s, authenticate: authenticate, sessions: newSessions(&s.Options)}
}

type endpoint struct {
	*Server
	authenticate func(*http.Request) (identity.Principal, bool)
	sessions     *sessions
}

// ServeHTTP answers POST with a message or a batch, GET with the stream of a
// session, and DELETE of a session.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer e.recovered(w, r, "http")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	who, ok := e.authenticate(r)
	modern := mcp.IsModernProtocol(r.Header.Get(mcp.HeaderProtocolVersion))
	switch {
	case !ok:
		w.Header().Set("WWW-Authenticate", `Bearer realm="coatcheck"`)
		http.Error(w, "who are you? send an agent key", http.StatusUnauthorized)
	case r.Method == http.MethodPost:
		e.post(w, r, who)
	case r.Method == http.MethodGet && !modern:
		e.get(w, r, who)
	case r.Method == http.MethodDelete && !modern:
		e.delete(w, r, who)
	case modern:
		w.Header().Set("Allow", "POST")
		http.Error(w, "this protocol revision has POST alone", http.StatusMethodNotAllowed)
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		http.Error(w, "only POST, and GET and DELETE of a session", http.StatusMethodNotAllowed)
	}
}

func (e *endpoint) delete(w http.ResponseWriter, r *http.Request, who identity.Principal) {
	switch id, ok := only(r, headerSession); {
	case !ok || id == "":
		http.Error(w, "no session id", http.StatusBadRequest)
	case !e.sessions.end(id, who.SessionOwner()):
		http.Error(w, "no such session", http.StatusNotFound)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// get opens the stream of a session. What a client names in Last-Event-ID means
// nothing: events have no ids here, and none is ever sent again.
func (e *endpoint) get(w http.ResponseWriter, r *http.Request, who identity.Principal) {
	id, ok := only(r, headerSession)
	switch {
	case !ok || id == "":
		http.Error(w, "no session id", http.StatusBadRequest)
		return
	case !accepts(r):
		http.Error(w, "a session has an event stream: accept text/event-stream", http.StatusNotAcceptable)
		return
	}
	s, done := e.sessions.use(id, who.SessionOwner())
	if s == nil {
		http.Error(w, "no such session", http.StatusNotFound)
		return
	}
	defer done()
	e.session(w, r, s)
}

// post checks everything that can be told from the outside, then goes on by era.
func (e *endpoint) post(w http.ResponseWriter, r *http.Request, who identity.Principal) {
	if !plainJSON(r.Header) {
		http.Error(w, "the content type must be application/json in UTF-8, without encoding", http.StatusUnsupportedMediaType)
		return
	}
	m, text, ok := e.receive(w, r)
	if !ok {
		return
	}
	version, fine := only(r, mcp.HeaderProtocolVersion)
	for _, name := range []string{headerSession, mcp.HeaderMethod, mcp.HeaderName} {
		_, one := only(r, name)
		fine = fine && one
	}
	stated := string(m.Version)
	switch {
	case !fine:
		reply(w, http.StatusBadRequest, rpcError(m.ID, envelope.InvalidRequest, "a header stands twice"))
	case mcp.IsModernProtocol(stated), stated != "" && !mcp.IsValidProtocolVersion(stated), mcp.IsModernProtocol(version) && isDate(version):
		e.modern(w, r, who, m, text)
	case version != "" && !mcp.IsValidProtocolVersion(version):
		reply(w, http.StatusBadRequest, rpcError(m.ID, envelope.InvalidRequest, "unknown protocol version in the header"))
	default:
		e.legacy(w, r, who, m, text)
	}
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

package mcp

import (
	"context"
	"crypto/rand"
	"net/http"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/mcp/lines"
)

// Paths of the SSE door. The first event of a stream names the second, as a
// reference that clients resolve against the address they asked.
const (
	SSEPath      = "/sse"
	MessagesPath = "/messages"
)

// sessionParam is the query field that names the stream a message is for.
const sessionParam = "sessionId"

// SSEHandler returns the door of protocol revision 2024-11-05, for [SSEPath] and
// [MessagesPath]: a GET opens a stream of events, POSTs carry messages, and the
// answers are events of the stream. Clients may negotiate any later revision
// that has sessions; 2026-07-28 has none and is refused.
//
// authenticate is as for [Server.HTTPHandler]. stopping returns a channel that
// is closed when the server of a request stops: a stream then takes no more
// messages and ends once its calls are answered, or when the context of its
// request ends. Nil, and a nil channel, never stop.
//
// The stream is the session: it belongs to the principal that opened it, ends
// its calls when the client goes away, and leaves nothing behind.
func (s *Server) SSEHandler(authenticate func(*http.Request) (identity.Principal, bool), stopping func(*http.Request) <-chan struct{}) http.Handler {
	if stopping == nil {
		stopping = func(*http.Request) <-chan struct{} { return nil }
	}
	return &sse{Server: s, authenticate: authenticate, stopping: stopping, streams: newStreams(ownerStreams * s.MaxCalls)}
}

type sse struct {
	*Server
	authenticate func(*http.Request) (identity.Principal, bool)
	stopping     func(*http.Request) <-chan struct{}
	streams      *streams
}

// ServeHTTP serves both paths. What waits for a stream to end stands in small
// functions of its own, because thousands may wait and each holds its stack.
func (e *sse) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer e.recovered(w, r, "sse")
	if s := e.serve(w, r); s != nil { //nolint:contextcheck // a call belongs to its stream, not to the POST that brings it
		e.follow(s, e.stopping(r))
	}
}

// serve answers all but a request for a stream, which it returns.
func (e *sse) serve(w http.ResponseWriter, r *http.Request) *stream {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	who, ok := e.authenticate(r)
	want := http.MethodGet
	switch {
	case !ok:
		w.Header().Set("WWW-Authenticate", `Bearer realm="coatcheck"`)
		http.Error(w, "who are you? send an agent key", http.StatusUnauthorized)
		return nil
	case r.URL.Path == MessagesPath:
		want = http.MethodPost
	case r.URL.Path != SSEPath:
		http.NotFound(w, r)
		return nil
	}
	switch {
	case r.Method != want:
		w.Header().Set("Allow", want)
		http.Error(w, "only "+want, http.StatusMethodNotAllowed)
	case want == http.MethodGet:
		return e.open(w, r, who)
	default:
		e.post(w, r, who)
	}
	return nil
}

// open begins a stream. Its caller follows it.
func (e *sse) open(w http.ResponseWriter, r *http.Request, who identity.Principal) *stream {
	ctx, cancel := context.WithCancel(r.Context())
	out := &events{w: w, flush: http.NewResponseController(w).Flush, failed: cancel}
	id := rand.Text()
	s := &stream{
		connection: connection{Server: e.Server, who: who, out: lines.NewWriter(out), calls: newInflight(), asks: &asks{}, session: newQuietSession(id)},
		id:         id, owner: who.SessionOwner(), ctx: ctx, stop: cancel,
		turns: make(chan struct{}, e.MaxCalls), quiet: make(chan struct{}),
	}
	s.out.KeepNothing()
	e.streams.add(s)
	w.Header().Set("Content-Type", eventStream)
	w.Header().Set("X-Accel-Buffering", "no") // what is in front passes events on as they come
	if err := s.out.Send([]byte(MessagesPath + "?" + sessionParam + "=" + s.id + "\n")); err != nil {
		s.failed(ctx, err) // and ends at once
	}
	return s
}

// follow returns once the client has gone away or does not take what it is sent,
// or the server has stopped and the calls under way are answered.
func (e *sse) follow(s *stream, stopping <-chan struct{}) {
	defer e.end(s)
	beat := time.NewTicker(e.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-stopping:
			select {
			case <-e.streams.close(s):
			case <-s.ctx.Done():
			}
			return
		case <-beat.C:
			e.beat(s)
		}
	}
}

// end has the calls of a stream end, and waits for them: nobody may write once
// its handler has returned.
func (e *sse) end(s *stream) {
	quiet := e.streams.end(s)
	s.stop()
	<-quiet
}

func (e *sse) beat(s *stream) {
	if s.out.Idle() {
		s.failed(s.ctx, s.out.Send([]byte(heartbeat)))
	}
}

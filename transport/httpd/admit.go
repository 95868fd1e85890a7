package httpd

import (
	"context"
	"net/http"
)

type stoppingKey struct{}

// Stopping returns a channel that is closed when the server of a request stops,
// and nil, which is never ready, outside of a mounted handler.
func Stopping(ctx context.Context) <-chan struct{} {
	stopping, _ := ctx.Value(stoppingKey{}).(chan struct{})
	return stopping
}

// admit authenticates and bounds a request, and returns it as a handler may
// have it. done ends what admit began.
func (s *Server) admit(w *writer, r *http.Request) (_ *http.Request, done func(), no *refusal) {
	who, no := s.who(w, r)
	if no != nil {
		return nil, nil, no
	}
	s.conns.busy(r.Context())
	id, of := who.ID(), s.quota
	if r.Method == http.MethodGet {
		of = s.streams
	}
	if !of.take(id) {
		no := tooMany
		no.RetryAfter = s.limits.RetryAfter
		return nil, nil, &no
	}
	done = func() { of.give(id) }
	data, no := s.body(w, r)
	if no != nil {
		done()
		return nil, nil, no
	}
	ctx := context.WithValue(context.WithValue(r.Context(), principalKey{}, who), stoppingKey{}, s.stopping)
	ctx, cancel := context.WithCancel(ctx)
	unwatch, forget := s.watch.add(who, cancel), func() {}
	if r.Method == http.MethodGet && route(r) == "/mcp" {
		forget = s.active.stream(cancel)
	}
	done = func() {
		forget()
		unwatch()
		cancel()
		of.give(id)
	}
	r = r.WithContext(ctx)
	dropCredentials(r.Header) // of a copy it would be thousands of copies
	withBody(r, data)
	return r, done, nil
}

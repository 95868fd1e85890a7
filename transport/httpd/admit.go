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
	id := string(who.Kind) + ":" + who.Name // an agent's tokens share what one may have
	if wait := s.rate.take(id); wait > 0 {
		return nil, nil, later(tooFast, wait)
	}
	of := s.quota
	if r.Method == http.MethodGet && route(r) != restRoute {
		of = s.streams
	}
	if !of.take(id) {
		return nil, nil, later(tooMany, s.limits.RetryAfter)
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
	return hand(r.WithContext(ctx), data), done, nil
}

// admitOpen bounds a request that needs no credential, and returns it as a
// handler may have it: without a principal, whatever credential it brings.
func (s *Server) admitOpen(w *writer, r *http.Request) (*http.Request, *refusal) {
	if wait := s.open.take(s.source(r).payer); wait > 0 {
		return nil, later(tooFast, wait)
	}
	data, no := s.body(w, r)
	if no != nil {
		return nil, no
	}
	return hand(r.WithContext(context.WithValue(r.Context(), stoppingKey{}, s.stopping)), data), nil
}

// hand makes r ready to be handed over.
func hand(r *http.Request, body []byte) *http.Request {
	dropCredentials(r.Header) // of a copy it would be thousands of copies
	withBody(r, body)
	return r
}

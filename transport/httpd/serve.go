package httpd

import (
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// serve is the way of every request.
func (s *Server) serve(raw http.ResponseWriter, r *http.Request) {
	start := time.Now()
	w := newWriter(raw, s.limits.WriteTime)
	if r.Body != nil && r.Body != http.NoBody {
		// From here on, so that a refused body that never arrives holds its
		// connection no longer than an accepted one: net/http wants to read on.
		_ = w.rc.SetReadDeadline(start.Add(s.limits.BodyTime))
	}
	if !s.active.enter() {
		send(w, &closing)
		return
	}
	defer s.active.leave()
	defer w.finish()
	defer func() {
		if v := recover(); v != nil {
			s.caught(w, r, v)
		}
	}()
	no := s.answer(w, r)
	if no != nil {
		send(w, told(no, route(r)))
	}
	s.record(w, r, no, time.Since(start))
}

// answer guards and routes.
func (s *Server) answer(w *writer, r *http.Request) *refusal {
	origin, no := s.guardOf(r).check(r)
	if no != nil {
		return no
	}
	w.origin = origin
	var mounted http.Handler
	switch route(r) {
	case "/healthz":
		return s.serveHealth(w, r)
	case "/readyz":
		return s.serveReady(w, r)
	case "/mcp":
		mounted = s.mcp
	case "/sse", "/messages":
		mounted = s.sse
	case restRoute:
		mounted = s.rest
	}
	if mounted != nil {
		if r.Method == http.MethodOptions && origin != "" && r.Header.Get("Access-Control-Request-Method") != "" {
			w.preflight = true // a browser sends no credential with it
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		if slices.Contains(s.restOpen, rawPath(r)) {
			return s.serveOpen(w, r)
		}
		return s.serveMounted(w, r, mounted)
	}
	return &notFound
}

func (s *Server) serveHealth(w *writer, r *http.Request) *refusal {
	if no := readOnly(w, r); no != nil {
		return no
	}
	text := s.health
	if viaSocket(r) {
		text = s.localHealth
	}
	plainAnswer(w, text)
	return nil
}

// readOnly admits GET and HEAD.
func readOnly(w *writer, r *http.Request) *refusal {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	w.Header().Set("Allow", "GET, HEAD")
	return &badMethod
}

func plainAnswer(w *writer, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// serveMounted admits a request and hands it over. It is small, because
// thousands of streams may wait in it and each holds its stack.
func (s *Server) serveMounted(w *writer, r *http.Request, h http.Handler) *refusal {
	r, done, no := s.admit(w, r)
	if no != nil {
		return no
	}
	defer done()
	h.ServeHTTP(w, r)
	return nil
}

// serveOpen hands over a request of the REST door that needs no credential.
func (s *Server) serveOpen(w *writer, r *http.Request) *refusal {
	r, no := s.admitOpen(w, r)
	if no != nil {
		return no
	}
	s.rest.ServeHTTP(w, r)
	return nil
}

// record logs what became of a request. What a web page tried is worth a
// warning; the rest is for whoever looks.
func (s *Server) record(w *writer, r *http.Request, no *refusal, took time.Duration) {
	level, code := slog.LevelDebug, ""
	if no != nil {
		code = no.Code
		if code == refusedHost.Code || code == refusedOrigin.Code {
			level = slog.LevelWarn
		}
	}
	if !s.log.Enabled(r.Context(), level) {
		return
	}
	s.log.LogAttrs(r.Context(), level, "request", slog.String("method", method(r)), slog.String("route", route(r)),
		slog.Int("status", w.status), slog.String("code", code), slog.String("addr", s.source(r).addr), slog.Duration("took", took))
}

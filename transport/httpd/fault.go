package httpd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
)

// internal logs what is not in the table under a reference, and returns the
// answer that carries the reference and nothing else.
func (s *Server) internal(r *http.Request, cause string, attrs ...slog.Attr) *refusal {
	var raw [6]byte
	_, _ = rand.Read(raw[:]) // never fails
	ref := hex.EncodeToString(raw[:])
	attrs = append(attrs, slog.String("cause", cause), slog.String("reference", ref), slog.String("route", route(r)), slog.String("method", method(r)))
	s.log.LogAttrs(r.Context(), slog.LevelError, "internal error", attrs...)
	no := broken
	no.Message += "; reference " + ref
	return &no
}

// caught answers for a handler that panicked. Of the panic only its type and
// the functions it passed are logged: its text may hold anything.
func (s *Server) caught(w *writer, r *http.Request, panicked any) {
	if panicked == http.ErrAbortHandler { //nolint:errorlint // a panic value, compared as net/http does
		panic(http.ErrAbortHandler)
	}
	no := s.internal(r, "handler panicked", slog.String("panic_type", fmt.Sprintf("%T", panicked)), slog.Any("at", callers()))
	if w.status != 0 {
		panic(http.ErrAbortHandler) // part of an answer is out: cut it, so that it is not taken for whole
	}
	send(w, no)
}

// callers lists the functions below a recovered panic, innermost first.
func callers() []string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var at []string
	for {
		f, more := frames.Next()
		if f.Function != "" && !strings.HasPrefix(f.Function, "runtime.") {
			at = append(at, fmt.Sprintf("%s:%d", f.Function, f.Line))
		}
		if !more || len(at) == 12 {
			return at
		}
	}
}

// restRoute names all that lies below it: the rest of the path is a secret's.
const restRoute = "/v1"

// route and method name what was asked without repeating it.
func route(r *http.Request) string {
	switch p := rawPath(r); {
	case p == "/mcp", p == "/sse", p == "/messages", p == "/healthz", p == "/readyz":
		return p
	case strings.HasPrefix(p, restRoute+"/"):
		return restRoute
	}
	return "other"
}

// rawPath is the path as it was sent. That of url.URL is decoded, and its
// EscapedPath is encoded anew, %2F lost, where the sender left a character as it
// is that has to be encoded.
func rawPath(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	return path
}

func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// errorLog takes net/http's own messages, which hold addresses, header text and
// panic values, and lets through which kind each is.
type errorLog struct{ slog.Handler }

var errorKinds = [...]string{
	"TLS handshake error", "panic serving", "Accept error", "superfluous response.WriteHeader", "invalid Read on closed Body",
	"response.Write on hijacked connection", "Request.Body", "URL query contains semicolon",
}

// Handle implements [slog.Handler].
func (h errorLog) Handle(ctx context.Context, r slog.Record) error {
	kind := "other"
	for _, k := range errorKinds {
		if strings.Contains(r.Message, k) {
			kind = k
			break
		}
	}
	clean := slog.NewRecord(r.Time, r.Level, "http server", 0)
	clean.AddAttrs(slog.String("kind", kind))
	return h.Handler.Handle(ctx, clean)
}

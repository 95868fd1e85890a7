package httpd

import (
	"net/http"
	"time"
)

// writer is the ResponseWriter that handlers get. It hardens the header at the
// moment it is sent, so that no handler can loosen it, and gives each write its
// own time, so that a stream may last while a client that stops reading may
// not.
type writer struct {
	http.ResponseWriter
	rc        *http.ResponseController
	writeTime time.Duration
	extended  time.Time // when a write last got its time
	origin    string    // the allowed Origin of the request
	preflight bool
	status    int    // 0 until the header is sent
	unknown   func() // called when the answer is that the caller is not known; nil: nothing is
}

func newWriter(w http.ResponseWriter, writeTime time.Duration) *writer {
	return &writer{ResponseWriter: w, rc: http.NewResponseController(w), writeTime: writeTime}
}

// WriteHeader implements [http.ResponseWriter].
func (w *writer) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
		if status == http.StatusUnauthorized && w.unknown != nil {
			w.unknown()
		}
		harden(w.Header())
		if w.origin != "" {
			share(w.Header(), w.origin)
		}
		if w.preflight {
			preflightFields(w.Header())
		}
	}
	w.extend()
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *writer) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.extend()
	return w.ResponseWriter.Write(b)
}

// Flush implements [http.Flusher], which the MCP library asks for.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is what [http.ResponseController] calls.
func (w *writer) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.extend()
	return w.rc.Flush()
}

// Unwrap lets [http.ResponseController] set deadlines.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// finish sends the header of an answer that has none yet, and gives what
// net/http writes after the handler its time. Without that, the deadline of an
// earlier request of the connection would hold.
func (w *writer) finish() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	w.extend()
}

// extend gives a write its time, or leaves it what another one got a moment ago.
func (w *writer) extend() {
	now := time.Now()
	if now.Sub(w.extended) < w.writeTime/64 {
		return
	}
	w.extended = now
	_ = w.rc.SetWriteDeadline(now.Add(w.writeTime))
}

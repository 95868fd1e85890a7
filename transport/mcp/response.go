package mcp

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// response is the answer to one HTTP request: one JSON message, or an event stream
// from the moment that something is sent before the answer.
//
// Nothing waits in it: who sends, writes, and is held up by a client that reads
// slowly. One that does not read runs into the time that transport/httpd gives
// each write, and is cut; net/http then ends the context of its request.
type response struct {
	w    http.ResponseWriter
	beat time.Duration // of an idle event stream

	mu    sync.Mutex
	taken bool // an event stream is acceptable
	batch bool // the answers belong together
	begun bool // its header is sent
	ended bool
	err   error // the first of the connection
	idle  *time.Timer
}

// newResponse returns the answer to r.
func newResponse(w http.ResponseWriter, r *http.Request, beat time.Duration) *response {
	return &response{w: w, beat: beat, taken: accepts(r)}
}

// accepts reports whether the client takes an event stream.
func accepts(r *http.Request) bool {
	for _, field := range r.Header.Values("Accept") {
		for kind := range strings.SplitSeq(field, ",") {
			kind, _, _ = strings.Cut(kind, ";")
			switch strings.ToLower(strings.TrimSpace(kind)) {
			case eventStream, "text/*", "*/*":
				return true
			}
		}
	}
	return false
}

// event sends one message before the answer. Errors: errNoStream, errEnded,
// those of the connection.
func (o *response) event(message []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.ended:
		return errEnded
	case !o.taken:
		return errNoStream
	}
	o.begin()
	return o.write(framed(message))
}

// framed is one message as an event, which has no line breaks: JSON escapes them.
func framed(message []byte) []byte {
	return append(append(append(make([]byte, 0, len(message)+32), "event: message\ndata: "...), message...), "\n\n"...)
}

// open sends the header of an event stream, so that the client knows that it is.
func (o *response) open() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.begin()
	return o.write([]byte(":\n\n"))
}

// begin makes it an event stream. A comment now and then keeps those on the way
// from closing it, and notices a client that is gone.
func (o *response) begin() {
	if o.begun {
		return
	}
	o.begun = true
	h := o.w.Header()
	h.Set("Content-Type", eventStream)
	h.Set("X-Accel-Buffering", "no") // a proxy that holds events back would hold up calls
	o.w.WriteHeader(http.StatusOK)
	o.idle = time.AfterFunc(o.beat, o.comment)
}

func (o *response) comment() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.ended {
		_ = o.write([]byte(":\n\n"))
	}
}

// write sends part of an event stream.
func (o *response) write(text []byte) error {
	if o.err != nil {
		return o.err
	}
	if _, o.err = o.w.Write(text); o.err == nil {
		o.err = http.NewResponseController(o.w).Flush()
	}
	if o.err == nil && !o.ended {
		o.idle.Reset(o.beat)
	}
	return o.err
}

// finish sends the answers and ends the stream: as events if it is one, else as
// one JSON text with that status. No answer is 202. The stream may append to the
// answers.
func (o *response) finish(ctx context.Context, log *slog.Logger, status int, answers ...[]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return
	}
	o.ended = true
	switch {
	case o.begun:
		o.idle.Stop()
		for _, answer := range answers {
			_ = o.write(framed(answer))
		}
	case len(answers) == 0:
		o.w.WriteHeader(http.StatusAccepted)
	default:
		o.w.Header().Set("Content-Type", "application/json")
		o.w.WriteHeader(status)
		text := answers[0]
		if o.batch {
			text = append(append([]byte{'['}, bytes.Join(answers, []byte{','})...), ']')
		}
		_, o.err = o.w.Write(append(text, '\n'))
	}
	if o.err != nil {
		log.DebugContext(ctx, "answer not sent", slog.String("cause", kinds(o.err)))
	}
}

// end ends a stream that has no answer. Nothing is written after it.
func (o *response) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	if o.idle != nil {
		o.idle.Stop()
	}
}

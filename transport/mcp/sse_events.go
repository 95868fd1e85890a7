package mcp

import (
	"bytes"
	"io"
	"net/http"
)

const eventStream = "text/event-stream"

// heartbeat is an empty line: events makes a comment of it, which keeps what is
// between here and the client from closing a connection that says nothing.
const heartbeat = "\n"

// events writes lines as events to an answer that has no end (WHATWG HTML
// §9.2.5): a message, a heartbeat, or the path to post to, which is the only one
// that begins with a slash. No line has a line break in it, so one data field
// holds it. One goroutine writes at a time; [lines.Writer] sees to that.
type events struct {
	w      http.ResponseWriter
	flush  func() error
	failed func() // told about the first error, and those after it
}

var _ io.Writer = (*events)(nil)

// Write implements [io.Writer] for whole lines.
func (e *events) Write(lines []byte) (int, error) {
	framed := make([]byte, 0, len(lines)+32*(1+bytes.Count(lines, []byte{'\n'})))
	for line := range bytes.Lines(lines) {
		switch line[0] {
		case '\n':
			framed = append(framed, ":\n\n"...)
			continue
		case '/':
			framed = append(framed, "event: endpoint\ndata: "...)
		default:
			framed = append(framed, "event: message\ndata: "...)
		}
		framed = append(append(framed, line...), '\n')
	}
	_, err := e.w.Write(framed)
	if err == nil {
		err = e.flush()
	}
	if err != nil {
		e.failed()
		return 0, err
	}
	return len(lines), nil
}

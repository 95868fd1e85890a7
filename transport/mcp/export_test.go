package mcp

import (
	"errors"
	"io"
)

// AppendQuoted is appendQuoted.
var AppendQuoted = appendQuoted

// Writer is a writer.
type Writer struct{ w *writer }

// NewWriter returns a writer.
func NewWriter(out io.Writer) Writer { return Writer{newWriter(out)} }

// Send is writer.send.
func (w Writer) Send(p []byte) error { return w.w.send(p) }

// Waiting tells how many bytes wait.
func (w Writer) Waiting() int {
	w.w.mu.Lock()
	defer w.w.mu.Unlock()
	return len(w.w.waiting)
}

// TooLong stands for a line over the limit.
const TooLong = "TOO LONG"

// ReadLines reads all lines of in.
func ReadLines(in io.Reader, limit int) (out []string, err error) {
	l := newLines(in, limit)
	for {
		line, err := l.next()
		switch {
		case err == nil:
			out = append(out, string(line))
		case errors.Is(err, errLineTooLong):
			out = append(out, TooLong)
		default:
			return out, err
		}
	}
}

// Pool is a pool.
type Pool struct{ p *pool }

// NewPool returns a pool of so many workers.
func NewPool(most int) Pool { return Pool{newPool(most)} }

// Do is pool.do.
func (p Pool) Do(size int, run func()) bool { return p.p.do(size, run) }

// Close is pool.close and pool.wait.
func (p Pool) Close() {
	p.p.close()
	p.p.wait()
}

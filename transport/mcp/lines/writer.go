package lines

import (
	"io"
	"sync"
)

// maxWaiting is how many bytes may wait for a slow reader before those who
// write more have to wait too.
const maxWaiting = 1 << 20

// Writer puts whole messages on a stream, one after the other. Whoever finds it
// idle writes at once; what comes in meanwhile goes out together in the next
// write. There is no goroutine and no timer.
type Writer struct {
	out  io.Writer
	keep int // bytes of the largest buffer that is kept for the next message

	mu      sync.Mutex
	room    sync.Cond // waiting has become shorter
	waiting []byte
	spare   []byte // the other buffer
	busy    bool   // somebody is writing
	err     error  // the first error; nothing is written after it
}

// NewWriter returns a Writer on out.
func NewWriter(out io.Writer) *Writer {
	w := &Writer{out: out, keep: maxWaiting}
	w.room.L = &w.mu
	return w
}

// KeepNothing has w hold no buffer between messages: for streams that are many
// and mostly idle. Call it before the first message.
func (w *Writer) KeepNothing() { w.keep = 0 }

// Send puts message, which ends with its newline, on the stream, or leaves it with the one who is writing.
// The error is the first one the stream had.
func (w *Writer) Send(message []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.busy && len(w.waiting) > maxWaiting && w.err == nil {
		w.room.Wait()
	}
	if w.err != nil {
		return w.err
	}
	w.waiting = append(w.waiting, message...)
	if w.busy {
		return nil
	}
	w.busy = true
	for len(w.waiting) > 0 && w.err == nil {
		batch := w.waiting
		w.waiting = w.spare[:0]
		w.room.Broadcast()
		w.mu.Unlock()
		_, err := w.out.Write(batch)
		w.mu.Lock()
		if w.spare = batch; cap(batch) > w.keep {
			w.spare = nil
		}
		if err != nil {
			w.err = err
		}
	}
	w.busy = false
	if cap(w.waiting) > w.keep {
		w.waiting = nil
	}
	w.room.Broadcast()
	return w.err
}

// Idle reports whether a message would go out at once.
func (w *Writer) Idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.busy && w.err == nil
}

// Broken returns the first error the stream had.
func (w *Writer) Broken() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Flush waits until nothing is waiting and nobody is writing.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.busy {
		w.room.Wait()
	}
	return w.err
}

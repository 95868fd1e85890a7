package redact

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Stream scrubs what is written to it and passes it on. How the text is split
// over the writes makes no difference. It is not safe for concurrent use.
//
// A stream holds back what may be the beginning of a value. Only [Stream.Close]
// lets go of that; a stream that is left without it has passed on nothing of a
// value that was cut off. It looks for what was in the principal's scope when it
// was made.
type Stream struct {
	w     io.Writer
	scope *scope // nil: nothing to look for
	pool  *sync.Pool
	hold  int
	// buf is the text from some bytes on that were passed on: open is how many
	// these are. at is the index up to which it is passed on or masked; last is
	// the item of the mask that ends there.
	buf    []byte
	open   int
	at     int
	last   *item
	out    bytes.Buffer
	masked int
	names  map[vault.Path]bool // of what was masked
	err    error
}

// Sizes of what a stream searches at once, bytes.
const (
	chunk = 64 << 10
	// behind is how much of what was passed on is searched again, for what it
	// says about the bytes that follow.
	behind = 256
)

// Stream returns a Stream for the principal that writes to w. Memory: about
// twice 64 KiB or, if that is more, 64 times the longest value in the scope,
// and up to a hundred times the text that is searched at once while it has
// encodings in it.
func (s *Scrubber) Stream(principal string, w io.Writer) (t *Stream) {
	t = &Stream{w: w, pool: &s.searches}
	defer t.guard()
	if t.scope = s.scope(principal); t.scope != nil {
		t.hold = t.scope.hold()
	}
	return t
}

// guard turns a panic into an error.
func (t *Stream) guard() {
	if recover() != nil {
		t.err = ErrWithheld
	}
}

// Masked returns how many masks were passed on.
func (t *Stream) Masked() int { return t.masked }

// Names returns the names of the secrets that were masked, in order.
func (t *Stream) Names() []vault.Path { return slices.Sorted(maps.Keys(t.names)) }

// Write takes text in and passes on what is certain. It returns [ErrWithheld]
// when it cannot be scrubbed, and the errors of the writer behind; either is
// final.
func (t *Stream) Write(p []byte) (int, error) {
	n := len(p)
	for t.err == nil && len(p) > 0 {
		if t.scope == nil {
			_, t.err = t.w.Write(p)
			break
		}
		size := max(chunk, t.hold)
		part := p[:min(len(p), t.open+size+t.hold-len(t.buf))]
		p, t.buf = p[len(part):], append(t.buf, part...)
		if len(t.buf) == t.open+size+t.hold {
			t.pass(t.open + size)
		}
	}
	if t.err != nil {
		return 0, t.err
	}
	return n, nil
}

// Close says that the text is complete, and passes on the rest of it.
func (t *Stream) Close() error {
	if t.err == nil && t.scope != nil {
		t.pass(len(t.buf))
	}
	return t.err
}

// Cut says that the text was cut off here. It passes on what is certain: all
// but as many bytes at the end as a value may take, 64 times the longest,
// rounded up to 4 KiB.
func (t *Stream) Cut() error {
	if t.err == nil && t.scope != nil {
		if to := len(t.buf) - t.hold; to > t.open {
			t.pass(to)
		}
	}
	return t.err
}

// pass passes on the buffer up to an index.
func (t *Stream) pass(to int) {
	t.out.Reset()
	t.scrub(to)
	if t.err == nil && t.out.Len() > 0 {
		_, t.err = t.w.Write(t.out.Bytes())
	}
	gone := max(0, to-behind)
	gone -= apart(t.buf[:gone])
	t.buf = append(t.buf[:0], t.buf[gone:]...)
	t.open, t.at = to-gone, t.at-gone
}

// apart returns by how many bytes of a run of backslashes that text ends in it
// must be shorter, so that they are escapes of their own, in each layer of them:
// what is between two of a pair would be read otherwise than the whole.
func apart(text []byte) int {
	return (len(text) - len(bytes.TrimRight(text, `\\`))) % (1 << depth)
}

// scrub puts the buffer up to an index into out, masked.
func (t *Stream) scrub(to int) {
	defer t.guard()
	t.scope.mu.RLock()
	defer t.scope.mu.RUnlock()
	x, _ := t.pool.Get().(*search)
	for _, s := range x.find(&t.scope.set, t.buf) {
		if s.start < t.open || s.start >= to || s.end <= t.at {
			continue
		}
		if s.start >= t.at {
			t.out.Write(t.buf[t.at:s.start])
			t.last = nil
		}
		if it := t.scope.items[s.item]; it != t.last { // copies of a value that overlap share a mask
			t.out.WriteString(t.scope.mask(s.item))
			t.masked++
			if t.names == nil {
				t.names = map[vault.Path]bool{}
			}
			t.names[it.name] = true
			t.last = it
		}
		t.at = s.end
	}
	if t.at < to {
		t.out.Write(t.buf[t.at:to])
		t.at, t.last = to, nil
	}
	t.pool.Put(x)
}

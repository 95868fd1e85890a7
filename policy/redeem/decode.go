package redeem

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// acceptEncoding is what decode undoes (RFC 9110 §12.5.3).
const acceptEncoding = "gzip, deflate, br, zstd"

// Bounds of a body that is encoded.
const (
	maxCodings = 3
	// freeBytes may come out of any few bytes, and maxRatio bytes of each that
	// came over the wire. JSON and HTML stay below 50; deflate can do 1,032.
	freeBytes = 64 << 10
	maxRatio  = 200
	// maxWindow is how far back zstd may reach (RFC 8878 §3.1.1.1.2 asks for 8
	// MiB); brotli and deflate have windows of 16 MiB and 32 KiB at most.
	maxWindow = 8 << 20
)

// codings returns the encodings of a body in the order they are undone, and
// whether all of them are known here.
func codings(h http.Header) (out []string, known bool) {
	for _, line := range h.Values("Content-Encoding") {
		for name := range strings.SplitSeq(line, ",") {
			switch name = strings.ToLower(strings.TrimSpace(name)); name {
			case "", "identity":
			case "x-gzip":
				out = append(out, "gzip")
			case "gzip", "deflate", "br", "zstd":
				out = append(out, name)
			default:
				return nil, false
			}
		}
	}
	slices.Reverse(out)
	return out, len(out) <= maxCodings
}

// readBody returns at most limit bytes of body with its encodings undone, and
// whether there was more. It reads no further than it must. The error is an
// *[Upstream].
func readBody(ctx context.Context, body io.Reader, codings []string, limit int) (text []byte, more bool, err error) {
	w := &wire{from: body}
	in := bufio.NewReader(w)
	var out io.Reader = w
	if _, err := in.Peek(1); errors.Is(err, io.EOF) {
		codings = nil // no body, as in the answer to HEAD
	}
	if len(codings) > 0 {
		w.most = int64(limit) + freeBytes
	} else {
		out = in
	}
	for _, coding := range codings {
		undone, end, err := undo(coding, in)
		if err != nil {
			return nil, false, w.explain(ctx)
		}
		defer end()
		out = &layer{from: undone, in: in, wire: w}
		in = bufio.NewReader(out)
	}
	text, err = io.ReadAll(io.LimitReader(out, int64(limit)+1))
	if err != nil {
		return nil, false, w.explain(ctx)
	}
	if len(text) > limit {
		return text[:limit], true, nil
	}
	return text, false, nil
}

// undo returns a reader of what in encodes, and what ends it.
func undo(coding string, in *bufio.Reader) (io.Reader, func(), error) {
	switch coding {
	case "gzip":
		r, err := gzip.NewReader(in)
		return r, func() {}, err
	case "br":
		return brotli.NewReader(in), func() {}, nil
	case "zstd":
		r, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		return r, r.Close, nil
	default: // deflate is a zlib stream, but some servers send it bare (RFC 9110 §8.4.1.2)
		if start, err := in.Peek(2); err == nil && start[0]&0x0f == 8 && (int(start[0])<<8|int(start[1]))%31 == 0 {
			r, err := zlib.NewReader(in)
			return r, func() {}, err
		}
		return flate.NewReader(in), func() {}, nil
	}
}

var (
	errExpands  = errors.New("expands beyond the bound")
	errTrailing = errors.New("something follows the encoded body")
)

// wire counts what came, and remembers how that ended.
type wire struct {
	from    io.Reader
	n       int64
	most    int64 // 0: any number
	err     error
	expands bool // what it encodes grew beyond the bound
}

func (w *wire) Read(p []byte) (int, error) {
	if w.most > 0 && w.n > w.most { // more than would hold the longest body, and yet it is not full
		w.expands = true
		return 0, errExpands
	}
	n, err := w.from.Read(p)
	w.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

// explain says why reading failed. It asks no decoder, whose errors differ.
func (w *wire) explain(ctx context.Context) *Upstream {
	switch {
	case w.err != nil:
		return failed(ctx, CodeCut)
	case w.expands:
		return failed(ctx, CodeExpands)
	default:
		return failed(ctx, CodeEncoding)
	}
}

// layer is one encoding undone.
type layer struct {
	from io.Reader
	in   *bufio.Reader // what from reads
	wire *wire
	n    int64
}

func (l *layer) Read(p []byte) (int, error) {
	n, err := l.from.Read(p)
	l.n += int64(n)
	if l.n > freeBytes+maxRatio*l.wire.n {
		l.wire.expands = true
		return 0, errExpands
	}
	if errors.Is(err, io.EOF) {
		if _, end := l.in.Peek(1); end == nil {
			return n, errTrailing
		}
	}
	return n, err
}

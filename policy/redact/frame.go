package redact

import "sort"

// frame is a text made from another one, its parent, by undoing something.
// The frame without a parent is the text itself.
type frame struct {
	parent *frame
	number int // of the frames of a search
	text   []byte
	view   bool    // the parent's text, but for some escapes
	pieces []piece // which part of the text comes from where, by at
	lines  []line
	joined []byte // the last word, when it has several lines
}

// piece says where the text from at to the next piece comes from.
type piece struct {
	at   int32
	from int32 // in the parent's text, or in the word
	// n is, with a whole, the length in the parent; with a word the number of its
	// first line, or -1 for a word that stands in one piece in the parent.
	n int32
	ratio
	// first begins a part of the text that has nothing to do with the part
	// before it: a form does not go from one to the other.
	first bool
}

// add begins a piece here. What is searched at once is some MiB at most, and
// there may be a piece for each two bytes of it.
func (f *frame) add(from int, r ratio, n int, first bool) {
	f.pieces = append(f.pieces, piece{int32(len(f.text)), int32(from), int32(n), r, first}) //nolint:gosec // see above
}

// ratio is how many bytes of the parent make how many bytes of the text:
// parent/own. 0/0 stands for a whole, an escape that is not to be split.
type ratio struct{ parent, own uint8 }

var (
	same     = ratio{1, 1}
	double   = ratio{2, 1} // UTF-16
	whole    = ratio{0, 0}
	fromHex  = ratio{2, 1}
	from64   = ratio{4, 3}
	from32   = ratio{8, 5}
	separate = byte(0xff) // stands between parts; no escape and no word goes over it, and UTF-8 does not have it
)

// line is a part of a word that is broken into lines: the word from at on
// stands in the parent from that index on.
type line struct{ at, from int }

// source returns where text[start:end] comes from in the text at the bottom of
// the frames, and false when it goes over parts that do not belong together.
func (f *frame) source(start, end int) (int, int, bool) {
	for ; f.parent != nil; f = f.parent {
		i, j := f.piece(start), f.piece(end-1)
		for k := i + 1; k <= j; k++ {
			if f.pieces[k].first {
				return 0, 0, false
			}
		}
		from, to := &f.pieces[i], &f.pieces[j]
		start, end = f.begin(from, start-int(from.at)), f.finish(to, end-int(to.at))
		if to.ratio == from64 || to.ratio == from32 {
			end = padded(f.parent.text, end, to.ratio)
		}
	}
	return start, end, true
}

func (f *frame) piece(at int) int {
	return sort.Search(len(f.pieces), func(i int) bool { return int(f.pieces[i].at) > at }) - 1
}

func (f *frame) begin(p *piece, i int) int {
	if p.ratio == whole {
		return int(p.from)
	}
	return f.place(p, int(p.from)+i*int(p.parent)/int(p.own))
}

// finish returns the end in the parent of the first i bytes of the piece.
func (f *frame) finish(p *piece, i int) int {
	if p.ratio == whole {
		return int(p.from + p.n)
	}
	return f.place(p, int(p.from)+(i*int(p.parent)+int(p.own)-1)/int(p.own)-1) + 1
}

// place turns an index in a word of several lines into one in the parent.
func (f *frame) place(p *piece, i int) int {
	if p.n < 0 {
		return i
	}
	k := int(p.n)
	for k+1 < len(f.lines) && f.lines[k+1].at != 0 && f.lines[k+1].at <= i {
		k++
	}
	return f.lines[k].from + i - f.lines[k].at
}

// padded takes in the padding behind a word.
func padded(text []byte, end int, r ratio) int {
	most := 2
	if r == from32 {
		most = 6
	}
	for range most {
		if end < len(text) && text[end] == '=' {
			end++
		}
	}
	return end
}

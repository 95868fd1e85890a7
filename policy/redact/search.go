package redact

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
)

// search looks for a set in one text after the other. It is not safe for
// concurrent use.
type search struct {
	set    *set
	spans  []span
	left   int // work that may still be done for this text
	free   []*frame
	word   word
	folded folded // for matchFolded
	// spelled is the pattern that was last spelled, and spelling its text.
	spelled  *pattern
	spelling []byte
	// seen are the views that were searched; frames are numbered for it.
	seen   map[seenKey]int
	seed   maphash.Seed
	frames int
}

type seenKey struct {
	frame int
	hash  uint64
}

func newSearch() *search {
	return &search{seen: map[seenKey]int{}, seed: maphash.MakeSeed()}
}

// span is a form found in a text.
type span struct {
	start, end, item int
	folded           bool
}

// Bounds of a search.
const (
	depth = 3 // words in words that are decoded, and escapes in escapes that are undone
	// work is how many bytes may be made and compared for each byte of a text,
	// and for a text at least. The worst of TestHostileText takes 76; one made
	// to take more is withheld.
	work      = 200
	leastWork = 1 << 20
	// batch is how much decoded text is searched at once.
	batch = 128 << 10
)

// tooMuchWork is the panic for a text that decodes to too much.
const tooMuchWork = "redact: too much work"

// find returns the forms in text, sorted by start and the longer first.
func (x *search) find(set *set, text []byte) []span {
	x.set, x.spans, x.left = set, x.spans[:0], max(leastWork, work*len(text))
	clear(x.seen)
	x.frames, x.spelled = 0, nil
	x.level(&frame{text: text}, 0)
	slices.SortFunc(x.spans, func(a, b span) int {
		if c := cmp.Or(a.start-b.start, b.end-a.end); c != 0 || a == b {
			return c
		}
		if a.folded != b.folded {
			if a.folded {
				return 1
			}
			return -1
		}
		return strings.Compare(string(x.set.items[a.item].name), string(x.set.items[b.item].name))
	})
	return x.spans
}

func (x *search) pay(n int) {
	if x.left -= n; x.left < 0 {
		panic(tooMuchWork)
	}
}

// level searches a text that so many words deep was decoded.
func (x *search) level(f *frame, level int) {
	x.look(f, level)
	if level == 0 {
		x.matchFolded(f)
		x.escapes(f, level, depth)
		return
	}
	g := x.readable(f)
	x.escapes(g, level, depth)
	x.drop(g)
}

// look searches a text without undoing its escapes.
func (x *search) look(f *frame, level int) {
	x.match(f)
	if level < depth {
		x.words(f, level)
	}
}

// escapes undoes the escapes of a text, so many layers of them. Those that
// begin alike in most languages are undone together, and each family alone too,
// since an escape may have one of another family in it or beside it. The others
// are undone apart: they begin with what stands in every text.
func (x *search) escapes(f *frame, level, layers int) {
	if layers == 0 {
		return
	}
	undone := x.layer(f, level, layers, common)
	if undone&(undone-1) != 0 {
		for _, one := range [...]escapes{percent, backslash, entity} {
			if undone&one != 0 {
				x.layer(f, level, layers, one)
			}
		}
	}
	x.layer(f, level, layers, quotedPrintable)
	if x.set.quotes {
		x.layer(f, level, layers, quotes)
	}
	if bytes.IndexByte(f.text, '+') >= 0 && (x.set.spaces || bytes.IndexByte(f.text, '%') >= 0) {
		x.layer(f, level, layers, plusForm)
	}
}

// layer undoes one layer of escapes and searches what is there then, unless it
// was there before. It returns what it undid.
func (x *search) layer(f *frame, level, layers int, kinds escapes) escapes {
	g, undone := x.undo(f, kinds)
	if g == nil {
		return 0
	}
	switch seen := x.searched(g, layers); {
	case seen == 0:
		x.look(g, level)
		if level == 0 && kinds == common {
			x.matchFolded(g)
		}
		fallthrough
	case seen < layers:
		x.escapes(g, level, layers-1)
	}
	x.drop(g)
	return undone
}

// searched notes that a view is searched for so many layers and returns for how
// many it was before, as one of the same frame: escapes undone in another order
// come to the same.
func (x *search) searched(view *frame, layers int) int {
	f := view
	for f.view {
		f = f.parent
	}
	key := seenKey{f.number, maphash.Bytes(x.seed, view.text)}
	before := x.seen[key]
	x.seen[key] = max(before, layers)
	return before
}

// match adds the places where a value stands in f as it is.
func (x *search) match(f *frame) {
	x.set.plain.scan(f.text, func(at int, hash uint64) {
		x.set.plain.each(hash, func(ref uint64) {
			p, start := x.candidate(at, ref)
			if p != nil && start >= 0 && bytes.HasPrefix(f.text[start:], p.text) {
				x.add(f, start, start+p.size, p.item, false)
			}
		})
	})
}

// candidate returns the pattern of a reference, unless it is gone, and where it
// begins when the gram stands at that index.
func (x *search) candidate(at int, ref uint64) (*pattern, int) {
	p := &x.set.patterns[(ref-1)/stride]
	if x.set.items[p.item] == nil {
		return nil, 0
	}
	x.pay(16 + p.size/16)
	return p, at - p.anchor - int((ref-1)%stride)
}

func (x *search) add(f *frame, start, end, item int, folded bool) {
	start, end, ok := f.source(start, end)
	if ok {
		x.spans = append(x.spans, span{start, end, item, folded})
	}
}

// frame returns an empty frame above f.
func (x *search) frame(f *frame) *frame {
	g := &frame{}
	if n := len(x.free); n > 0 {
		g, x.free = x.free[n-1], x.free[:n-1]
	}
	x.frames++
	*g = frame{parent: f, number: x.frames, text: g.text[:0], pieces: g.pieces[:0], lines: g.lines[:0], joined: g.joined[:0]}
	return g
}

// drop takes a frame back.
func (x *search) drop(f *frame) { x.free = append(x.free, f) }

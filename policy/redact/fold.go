package redact

import (
	"bytes"
	"encoding/base64"
	"sort"
	"strings"
	"unicode/utf8"
)

// Folded text is the letters and digits of a text, in lower case, and nothing
// else: whatever stands between the letters of a value is gone. Letters and
// digits of full width count as their plain ones, and escape sequences of
// terminals do not count.
type folded struct {
	text  []byte
	marks []mark
}

// mark says that text[at:] comes from the source from that index on.
type mark struct{ at, from int }

// markEvery is how many bytes of the source lie between marks, about.
const markEvery = 1 << 7

var lowered = func() (out [256]byte) {
	for i := range out {
		switch c := byte(i); {
		case c >= 'A' && c <= 'Z':
			out[i] = c - 'A' + 'a'
		case symbols[c].letter || c >= '0' && c <= '9':
			out[i] = c
		}
	}
	return out
}()

// fold makes the folded text of a source.
func (d *folded) fold(source []byte) {
	if cap(d.text) < len(source) {
		d.text = make([]byte, len(source))
	}
	out, n := d.text[:len(source)], 0
	d.marks = d.marks[:0]
	odd := bytes.IndexByte(source, escapeByte) >= 0 || bytes.IndexByte(source, wideByte) >= 0
	for from := 0; from < len(source); {
		d.marks = append(d.marks, mark{n, from})
		to := min(from+markEvery, len(source))
		if !odd {
			for _, c := range source[from:to] {
				c = lowered[c]
				out[n] = c
				if c != 0 {
					n++
				}
			}
			from = to
			continue
		}
		for from < to {
			c, size := foldOne(source[from:])
			if from += size; c != 0 {
				out[n] = c
				n++
			}
		}
	}
	d.text = out[:n]
}

// source returns the index in the source of text[at].
func (d *folded) source(source []byte, at int) int {
	m := d.marks[sort.Search(len(d.marks), func(i int) bool { return d.marks[i].at > at })-1]
	for n, i := m.at, m.from; ; {
		c, size := foldOne(source[i:])
		if c != 0 {
			if n == at {
				return i
			}
			n++
		}
		i += size
	}
}

const (
	escapeByte = 0x1b
	wideByte   = 0xef // the first of a letter of full width
	// longestControl is how long a control sequence of a terminal is at most.
	longestControl = 32
)

// foldOne returns the folded letter that s begins with, or 0 for what is left
// out, and its size.
func foldOne(s []byte) (byte, int) {
	switch {
	case s[0] == escapeByte && len(s) > 1 && s[1] == '[':
		for i := 2; i < len(s) && i < longestControl; i++ {
			if s[i] >= '@' && s[i] <= '~' { // ECMA-48 §5.4
				return 0, i + 1
			}
		}
	case s[0] == wideByte && len(s) > 2 && s[1] >= 0xbc && s[1] <= 0xbd && s[2] >= 0x80 && s[2] <= 0xbf:
		if c := rune(s[1]&0x3f)<<6 | rune(s[2]&0x3f) - 0xf00 + ' '; c > ' ' && c < 0x7f { // U+FF00 is a space of full width
			return lowered[c], 3
		}
	}
	return lowered[s[0]], 1
}

// foldAll returns the folded text of a source.
func foldAll(source []byte) []byte {
	var d folded
	d.fold(source)
	return d.text
}

// matchFolded adds the places where a value stands in f with other characters
// between its letters, in other case, reversed and so on.
func (x *search) matchFolded(f *frame) {
	d := &x.folded
	d.fold(f.text)
	x.set.folded.scan(d.text, func(at int, hash uint64) {
		x.set.folded.each(hash, func(ref uint64) {
			p, start := x.candidate(at, ref)
			if p == nil || start < 0 || start+p.size > len(d.text) {
				return
			}
			// Grams of digits are few: most that seem to be there are seen not to be
			// without spelling the pattern.
			if there := d.text[start : start+p.size]; tail(there) != p.tail || !bytes.Equal(there, x.spell(p)) {
				return
			}
			from, to := d.source(f.text, start), d.source(f.text, start+p.size-1)
			_, size := foldOne(f.text[to:])
			if p.kind == base64Letters && !x.sameCase(p, f.text[from:to+size]) {
				return
			}
			x.add(f, from, to+size, p.item, true)
		})
	})
}

// spell returns the text of a pattern that is folded.
func (x *search) spell(p *pattern) []byte {
	if x.spelled != p {
		x.pay(p.size)
		x.spelled, x.spelling = p, x.set.spell(p)
	}
	return x.spelling
}

// sameCase reports whether text has the letters of the base64 of a value in
// their case, without which they stand for other bytes.
func (x *search) sameCase(p *pattern, text []byte) bool {
	letter := func(r rune) rune {
		if r < utf8.RuneSelf && lowered[r] != 0 {
			return r
		}
		return -1
	}
	want := base64.StdEncoding.EncodeToString(x.set.items[p.item].value.Reveal())
	return string(bytes.Map(letter, text)) == strings.Map(letter, want)
}

// unescaped returns value with its escapes undone once.
func unescaped(value []byte) []byte {
	x := search{left: leastWork}
	f, _ := x.undo(&frame{text: value}, common)
	if f == nil {
		return value
	}
	return f.text
}

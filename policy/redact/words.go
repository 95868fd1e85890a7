package redact

import (
	"bytes"
	"slices"
)

// A word is a run of letters of the base64 alphabet, which has those of
// hexadecimal and base32 in it. It may be broken into lines: a line of
// wrapColumns or more goes on in the next one, behind the space that indents
// it. So does the first line, which may have something else before the word, and
// then few letters of it.
const (
	wrapColumns = 16
	maxIndent   = 32
)

// word is one word in a text, as its lines.
type word struct {
	lines []bounds
	size  int
}

type bounds struct{ start, end int }

// shortest lengths of a word that can hold a pattern.
func (s *set) shortest64() int { return (s.shortest*8 + 5) / 6 }
func (s *set) shortest32() int { return (s.shortest*8 + 4) / 5 }

// words searches what the words of f decode to. In a view these are the words
// that an escape is a letter of or joins: the others stand in its parent too.
func (x *search) words(f *frame, level int) {
	least := x.set.shortest64()
	g := x.frame(f)
	done := 0 // no word begins before
	decode := func(at int) {
		x.word.around(f.text, done, at)
		done = x.word.end()
		if x.word.size < least {
			return
		}
		x.decode(f, g, level)
	}
	if f.view {
		for i, p := range f.pieces {
			if p.ratio != whole {
				continue
			}
			end := len(f.text)
			if i+1 < len(f.pieces) {
				end = int(f.pieces[i+1].at)
			}
			if at := touched(f.text, int(p.at), end); at >= done {
				decode(at)
			}
		}
	} else {
		run := min(least, wrapColumns)
		for at := nextRun(f.text, 0, run, in64); at < len(f.text); at = nextRun(f.text, done, run, in64) {
			decode(at)
		}
		for at := nextBreak(f.text, 0, run, least); at < len(f.text); at = nextBreak(f.text, at+1, run, least) {
			done = 0
			decode(at)
		}
	}
	x.wide(f, g)
	x.next(g, level)
	x.drop(g)
}

// touched returns an index in the word that the escape which became
// text[start:end] is a letter of, or joins with what it leaves out or with the
// break and the indent of a line; or -1.
func touched(text []byte, start, end int) int {
	letter := func(i int) bool { return i >= 0 && i < len(text) && symbols[text[i]].alphabets&in64 != 0 }
	if start < end && !isSpace(text[start]) {
		if letter(start) {
			return start
		}
		return -1
	}
	before, after := start-1, end
	for before >= 0 && before > start-maxIndent && isSpace(text[before]) {
		before--
	}
	for after < len(text) && after < end+maxIndent && isSpace(text[after]) {
		after++
	}
	joined := before+1 == after || bytes.IndexByte(text[before+1:after], '\n') >= 0
	if joined && letter(before) && letter(after) {
		return before
	}
	return -1
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// next searches what was decoded, and begins anew behind it, in the same word
// or another one.
func (x *search) next(g *frame, level int) {
	if len(g.text) > 0 {
		x.pay(len(g.text))
		x.level(g, level+1)
	}
	x.frames++
	g.number, g.text, g.pieces = x.frames, g.text[:0], g.pieces[:0]
}

// enough searches what was decoded if it is much.
func (x *search) enough(g *frame, level int) {
	if len(g.text) >= batch {
		x.next(g, level)
	}
}

// nextRun returns the index from from on where the next run begins of n or more
// bytes of an alphabet, or the length of the text. It looks at every n-th byte
// and goes back from there.
func nextRun(text []byte, from, n int, in alphabets) int {
	for i := from + n - 1; i < len(text); {
		j := i
		for j >= from && symbols[text[j]].alphabets&in != 0 {
			j--
		}
		if j < from {
			return from
		}
		from, i = j+1, j+n
	}
	return len(text)
}

// nextBreak returns the index from from on where the next word of n letters or
// more begins its last line but one, or the length of the text, if both lines
// have fewer than run: [nextRun] finds the others.
func nextBreak(text []byte, from, run, n int) int {
	for i := from; i < len(text); {
		next := bytes.IndexByte(text[i:], '\n')
		if next < 0 {
			break
		}
		i += next + 1
		before, after := lineEnd(text, from, i-1), lineAfter(text, i-1)
		start, end := before, after
		for start > from && before-start < run && symbols[text[start-1]].alphabets&in64 != 0 {
			start--
		}
		for end < len(text) && end-after < run && symbols[text[end]].alphabets&in64 != 0 {
			end++
		}
		if first, last := before-start, end-after; first > 0 && last > 0 && first < run && last < run && first+last >= n {
			return before - 1
		}
	}
	return len(text)
}

// around sets w to the word with the byte at that index, as far as it stands at
// from or behind it.
func (w *word) around(text []byte, from, at int) {
	inside := func(i int) bool { return i >= from && i < len(text) && symbols[text[i]].alphabets&in64 != 0 }
	start, end := at, at+1
	for inside(start - 1) {
		start--
	}
	for inside(end) {
		end++
	}
	w.lines = append(w.lines[:0], bounds{start, end})
	for first := start; ; {
		before := lineBefore(text, from, first)
		if !inside(before - 1) {
			break
		}
		for first = before - 1; inside(first - 1); {
			first--
		}
		w.lines = append(w.lines, bounds{first, before})
		if before-first < wrapColumns {
			break
		}
	}
	slices.Reverse(w.lines)
	for len(w.lines) == 1 || end-start >= wrapColumns {
		if start = lineAfter(text, end); !inside(start) {
			break
		}
		for end = start + 1; inside(end); {
			end++
		}
		w.lines = append(w.lines, bounds{start, end})
	}
	w.size = 0
	for _, l := range w.lines {
		w.size += l.end - l.start
	}
}

func (w *word) end() int { return w.lines[len(w.lines)-1].end }

// lineAfter returns where the line behind a word that ends at end begins,
// behind what indents it, or -1.
func lineAfter(text []byte, end int) int {
	most := end + maxIndent
	for end < len(text) && end < most && isSpace(text[end]) && text[end] != '\n' {
		end++
	}
	if end >= len(text) || text[end] != '\n' {
		return -1
	}
	at := end + 1
	for at < len(text) && at <= end+maxIndent && (text[at] == ' ' || text[at] == '\t') {
		at++
	}
	return at
}

// lineBefore returns where the line before a word that begins at start ends, or
// -1.
func lineBefore(text []byte, from, start int) int {
	at := start
	for at > from && at > start-maxIndent && (text[at-1] == ' ' || text[at-1] == '\t') {
		at--
	}
	if at <= from || text[at-1] != '\n' {
		return -1
	}
	return lineEnd(text, from, at-1)
}

// lineEnd returns where the line ends that a break at an index ends, without the
// space at its end.
func lineEnd(text []byte, from, at int) int {
	most := at - maxIndent
	for at > from && at > most && isSpace(text[at-1]) && text[at-1] != '\n' {
		at--
	}
	return at
}

// decode appends to g what the word in f decodes to, by each alphabet and from
// each of its bytes that makes a difference. Whenever that is much, it is
// searched, and [search.word] is another one then.
func (x *search) decode(f, g *frame, level int) {
	w := &x.word
	sym, base, lines := f.text[w.lines[0].start:w.lines[0].end], w.lines[0].start, -1
	if len(w.lines) > 1 {
		lines, base, g.joined = len(g.lines), 0, g.joined[:0]
		for _, l := range w.lines {
			g.lines = append(g.lines, line{len(g.joined), l.start})
			g.joined = append(g.joined, f.text[l.start:l.end]...)
		}
		sym = g.joined
	}
	if len(sym) >= x.set.shortest64() {
		for phase := range 4 {
			g.part(base+phase, from64, lines)
			g.text = append64(g.text, sym[phase:])
			x.enough(g, level)
		}
	}
	for _, a := range [...]struct {
		in           alphabets
		least, every int
		ratio
		decode func(out, sym []byte) []byte
	}{
		{inHex, 2 * x.set.shortest, 2, fromHex, appendHex},
		{in32, x.set.shortest32(), 8, from32, append32},
		{in32Low, x.set.shortest32(), 8, from32, append32},
		{in32Hex, x.set.shortest32(), 8, from32, append32hex},
		{in32HexL, x.set.shortest32(), 8, from32, append32hex},
	} {
		for i := nextRun(sym, 0, a.least, a.in); i < len(sym); {
			end := i + a.least
			for end < len(sym) && symbols[sym[end]].alphabets&a.in != 0 {
				end++
			}
			for phase := range a.every {
				g.part(base+i+phase, a.ratio, lines)
				g.text = a.decode(g.text, sym[i+phase:end])
				x.enough(g, level)
			}
			i = nextRun(sym, end, a.least, a.in)
		}
	}
	g.seam()
}

// part begins a part of the text.
func (f *frame) part(from int, r ratio, lines int) {
	f.seam()
	f.add(from, r, lines, true)
}

// seam ends a part.
func (f *frame) seam() {
	f.add(0, whole, 0, true)
	f.text = append(f.text, separate)
}

func append64(out, sym []byte) []byte {
	for len(sym) >= 4 {
		v := uint(symbols[sym[0]].b64)<<18 | uint(symbols[sym[1]].b64)<<12 | uint(symbols[sym[2]].b64)<<6 | uint(symbols[sym[3]].b64)
		out = append(out, byte(v>>16&0xff), byte(v>>8&0xff), byte(v&0xff))
		sym = sym[4:]
	}
	if len(sym) >= 2 {
		v := uint(symbols[sym[0]].b64)<<18 | uint(symbols[sym[1]].b64)<<12
		out = append(out, byte(v>>16&0xff))
		if len(sym) > 2 {
			out = append(out, byte((v|uint(symbols[sym[2]].b64)<<6)>>8&0xff))
		}
	}
	return out
}

func appendHex(out, sym []byte) []byte {
	for ; len(sym) >= 2; sym = sym[2:] {
		out = append(out, symbols[sym[0]].hex<<4|symbols[sym[1]].hex)
	}
	return out
}

func append32(out, sym []byte) []byte { return appendBase32(out, sym, 0) }

func append32hex(out, sym []byte) []byte { return appendBase32(out, sym, 1) }

func appendBase32(out, sym []byte, kind int) []byte {
	for ; len(sym) >= 8; sym = sym[8:] {
		v := uint64(0)
		for _, c := range sym[:8] {
			v = v<<5 | uint64(symbols[c].b32[kind])
		}
		out = append(out, byte(v>>32&0xff), byte(v>>24&0xff), byte(v>>16&0xff), byte(v>>8&0xff), byte(v&0xff))
	}
	v, have := uint(0), 0
	for _, c := range sym {
		if v, have = v<<5|uint(symbols[c].b32[kind]), have+5; have >= 8 {
			have -= 8
			out = append(out, byte(v>>have&0xff))
		}
	}
	return out
}

package redact

import "bytes"

// escapes is a set of families of escapes that are undone together.
type escapes uint

const (
	percent escapes = 1 << iota
	backslash
	entity
	quotedPrintable
	plus
	quotes

	common   = percent | backslash | entity
	plusForm = percent | plus
)

// unescape tries to undo the escape at the start of s and appends what it
// stands for to out; n is 0 when there is none.
type unescape func(out, s []byte) (_ []byte, n int)

// beginnings says what the escapes of a family begin with.
var beginnings = [...]struct {
	family escapes
	first  byte
	undo   unescape
}{
	{percent, '%', undoPercent},
	{backslash, '\\', undoBackslash},
	{entity, '&', undoEntity},
	{quotedPrintable, '=', undoQuotedPrintable},
	{plus, '+', undoPlus},
	{quotes, '\'', undoQuotes},
	{quotes, '"', undoQuotes},
}

// undo returns f with the escapes of the families undone once, and the families
// that there were; nil when there were none.
func (x *search) undo(f *frame, kinds escapes) (*frame, escapes) {
	// next is where each of them begins next, in the order of kind.
	var next, kind [len(beginnings)]int
	n := 0
	after := func(k, from int) int {
		if from < len(f.text) && f.text[from] == beginnings[k].first { // where one follows the other
			return from
		}
		if i := bytes.IndexByte(f.text[from:], beginnings[k].first); i >= 0 {
			return from + i
		}
		return len(f.text)
	}
	for k, b := range beginnings {
		if kinds&b.family != 0 {
			next[n], kind[n] = after(k, 0), k
			n++
		}
	}
	var g *frame
	var used escapes
	var room [16]byte
	copied := 0
	for {
		k := 0
		for i := 1; i < n; i++ {
			if next[i] < next[k] {
				k = i
			}
		}
		at, b := next[k], &beginnings[kind[k]]
		if at == len(f.text) {
			break
		}
		out, size := b.undo(room[:0], f.text[at:])
		if size == 0 {
			next[k] = after(kind[k], at+1)
			continue
		}
		if g == nil {
			g = x.frame(f)
			g.view = true
		}
		g.literal(f.text, copied, at)
		g.add(at, whole, size, false)
		g.text = append(g.text, out...)
		copied, used = at+size, used|b.family
		for i := range n {
			if next[i] < copied {
				next[i] = after(kind[i], copied)
			}
		}
	}
	if g == nil {
		return nil, 0
	}
	g.literal(f.text, copied, len(f.text))
	x.pay(len(g.text))
	return g, used
}

// literal copies a part of the parent.
func (f *frame) literal(text []byte, from, to int) {
	if from < to {
		f.add(from, same, -1, false)
		f.text = append(f.text, text[from:to]...)
	}
}

// undoPercent knows %XX, and %uXXXX of JavaScript's escape.
func undoPercent(out, s []byte) ([]byte, int) {
	if c, ok := hexValue(s, 1, 2); ok {
		return append(out, byte(c)), 3 //nolint:gosec // two hexadecimal digits
	}
	if len(s) > 1 && s[1] == 'u' {
		return undoUnits(out, s)
	}
	return out, 0
}

func undoPlus(out, _ []byte) ([]byte, int) { return append(out, ' '), 1 }

// undoQuotedPrintable knows =XX and the soft break of a line (RFC 2045 §6.7).
func undoQuotedPrintable(out, s []byte) ([]byte, int) {
	if c, ok := hexValue(s, 1, 2); ok {
		return append(out, byte(c)), 3 //nolint:gosec // two hexadecimal digits
	}
	return out, lineBreak(s)
}

// lineBreak returns the length of the break behind s[0], with it, or 0.
func lineBreak(s []byte) int {
	switch {
	case len(s) > 1 && s[1] == '\n':
		return 2
	case len(s) > 2 && s[1] == '\r' && s[2] == '\n':
		return 3
	default:
		return 0
	}
}

// undoQuotes knows a quote inside of quotes: of shells, and doubled (SQL, CSV,
// YAML, PowerShell).
func undoQuotes(out, s []byte) ([]byte, int) {
	for _, in := range [...]string{`'\''`, `'"'"'`, `"'"'"`, `''`, `""`} {
		if bytes.HasPrefix(s, []byte(in)) {
			c := in[0]
			if len(in) > 2 {
				c = in[len(in)/2]
			}
			return append(out, c), len(in)
		}
	}
	return out, 0
}

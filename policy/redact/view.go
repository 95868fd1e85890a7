package redact

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// view is a text with one family of escapes undone.
type view struct {
	text []byte
	from []uint32 // index in the source where text[i] begins; one more at the end
}

// family is a set of escapes that are undone together.
type family struct {
	first, second byte // what its escapes begin with
	undo          unescape
}

// unescape tries to undo the escape at the start of s and appends what it
// stands for to out; n is 0 when there is none.
type unescape func(out, s []byte) (_ []byte, n int)

// families returns the escapes worth undoing in text. spaces tells that some
// value has a space in it.
func families(text []byte, spaces bool) []family {
	var out []family
	if bytes.IndexByte(text, '%') >= 0 {
		out = append(out, family{'%', '%', percent})
	}
	if spaces && bytes.IndexByte(text, '+') >= 0 {
		out = append(out, family{'%', '+', plusForm})
	}
	if bytes.IndexByte(text, '\\') >= 0 {
		out = append(out, family{'\\', '\\', backslash})
	}
	if bytes.IndexByte(text, '&') >= 0 {
		out = append(out, family{'&', '&', entity})
	}
	return out
}

func newView(source []byte, f family) view {
	v := view{text: make([]byte, 0, len(source)), from: make([]uint32, 0, len(source)+1)}
	for i := 0; i < len(source); {
		before, n := len(v.text), 0
		if source[i] == f.first || source[i] == f.second {
			v.text, n = f.undo(v.text, source[i:])
		}
		if n == 0 {
			v.text, n = append(v.text, source[i]), 1
		}
		for range len(v.text) - before {
			v.from = append(v.from, uint32(i))
		}
		i += n
	}
	v.from = append(v.from, uint32(len(source))) //nolint:gosec // texts are capped far below 4 GiB
	return v
}

// source returns the bounds in the source of text[start:end], whole escapes.
func (v view) source(start, end int) (int, int) {
	last := v.from[end-1]
	for v.from[end] == last {
		end++
	}
	return int(v.from[start]), int(v.from[end])
}

func percent(out, s []byte) ([]byte, int) {
	if c, ok := hexValue(s, 1, 2); ok {
		return append(out, byte(c)), 3 //nolint:gosec // two hexadecimal digits
	}
	return out, 0
}

func plusForm(out, s []byte) ([]byte, int) {
	if s[0] == '+' {
		return append(out, ' '), 1
	}
	return percent(out, s)
}

func backslash(out, s []byte) ([]byte, int) {
	if len(s) < 2 {
		return out, 0
	}
	switch c := s[1]; c {
	case '"', '\\', '/', '\'':
		return append(out, c), 2
	case 'b':
		return append(out, '\b'), 2
	case 'f':
		return append(out, '\f'), 2
	case 'n':
		return append(out, '\n'), 2
	case 'r':
		return append(out, '\r'), 2
	case 't':
		return append(out, '\t'), 2
	case 'x':
		if v, ok := hexValue(s, 2, 2); ok {
			return append(out, byte(v)), 4 //nolint:gosec // two hexadecimal digits
		}
	case 'u':
		return unicodeEscape(out, s)
	case 'U': // Go and Python
		if r, ok := hexValue(s, 2, 8); ok && utf8.ValidRune(r) {
			return utf8.AppendRune(out, r), 10
		}
	}
	return out, 0
}

// unicodeEscape undoes \uXXXX and a surrogate pair of them.
func unicodeEscape(out, s []byte) ([]byte, int) {
	high, ok := hexValue(s, 2, 4)
	if !ok {
		return out, 0
	}
	if !utf16.IsSurrogate(high) {
		return utf8.AppendRune(out, high), 6
	}
	if len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
		if low, ok := hexValue(s, 8, 4); ok {
			if r := utf16.DecodeRune(high, low); r != utf8.RuneError {
				return utf8.AppendRune(out, r), 12
			}
		}
	}
	return out, 0
}

// longestEscape is the most bytes that an escape for one byte takes:
// \U00000041. A pair of \uXXXX takes twelve, for four bytes.
const longestEscape = 10

// longestEntity is the longest HTML escape that is undone: &#x10FFFF;
const longestEntity = longestEscape

func entity(out, s []byte) ([]byte, int) {
	n := bytes.IndexByte(s[:min(len(s), longestEntity)], ';')
	if n < 3 {
		return out, 0
	}
	switch string(s[1:n]) {
	case "amp":
		return append(out, '&'), n + 1
	case "lt":
		return append(out, '<'), n + 1
	case "gt":
		return append(out, '>'), n + 1
	case "quot":
		return append(out, '"'), n + 1
	case "apos":
		return append(out, '\''), n + 1
	}
	if s[1] != '#' {
		return out, 0
	}
	r, ok := decimalValue(s[2:n])
	if s[2] == 'x' || s[2] == 'X' {
		r, ok = hexValue(s, 3, n-3)
	}
	if !ok || !utf8.ValidRune(r) {
		return out, 0
	}
	return utf8.AppendRune(out, r), n + 1
}

func decimalValue(s []byte) (rune, bool) {
	v := rune(0)
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + rune(c-'0')
	}
	return v, len(s) > 0
}

// hexValue reads n hexadecimal digits at s[at:].
func hexValue(s []byte, at, n int) (rune, bool) {
	if n == 0 || len(s) < at+n {
		return 0, false
	}
	v := rune(0)
	for _, c := range s[at : at+n] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		v = v<<4 | rune(c)
	}
	return v, true
}

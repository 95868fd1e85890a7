package redact

import (
	"unicode/utf16"
	"unicode/utf8"
)

// controls are the letters that stand for a control character behind a
// backslash, in one language or another.
var controls = map[byte]byte{'a': '\a', 'b': '\b', 'e': 0x1b, 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}

// undoBackslash knows the strings of JSON, JavaScript, Go, C, Python, Rust,
// Perl and of shells. A backslash before anything else stands for nothing.
func undoBackslash(out, s []byte) ([]byte, int) {
	if len(s) < 2 {
		return out, 0
	}
	if n := lineBreak(s); n > 0 {
		return out, n // a line that goes on
	}
	c := s[1]
	switch {
	case c >= '0' && c <= '7':
		return undoOctal(out, s)
	case c == 'x':
		if v, n := braced(s, 2); n > 0 {
			return utf8.AppendRune(out, v), n
		}
		for digits := 2; digits > 0; digits-- {
			if v, ok := hexValue(s, 2, digits); ok {
				return append(out, byte(v)), 2 + digits //nolint:gosec // two hexadecimal digits
			}
		}
	case c == 'u':
		if v, n := braced(s, 2); n > 0 {
			return utf8.AppendRune(out, v), n
		}
		if out, n := undoUnits(out, s); n > 0 {
			return out, n
		}
	case c == 'U':
		if v, ok := hexValue(s, 2, 8); ok && utf8.ValidRune(v) {
			return utf8.AppendRune(out, v), 10
		}
	}
	if control, ok := controls[c]; ok {
		c = control
	}
	return append(out, c), 2
}

func undoOctal(out, s []byte) ([]byte, int) {
	v, n := 0, 1
	for n < len(s) && n < 4 && s[n] >= '0' && s[n] <= '7' && v*8+int(s[n]-'0') < 256 {
		v = v*8 + int(s[n]-'0')
		n++
	}
	return append(out, byte(v)), n
}

// braced reads {XXXX} at s[at:] and returns the index behind it.
func braced(s []byte, at int) (rune, int) {
	if at >= len(s) || s[at] != '{' {
		return 0, 0
	}
	end := at + 1
	for end < len(s) && end < at+10 && s[end] != '}' {
		end++
	}
	v, ok := hexValue(s, at+1, end-at-1)
	if !ok || !utf8.ValidRune(v) || end == len(s) || s[end] != '}' {
		return 0, 0
	}
	return v, end + 1
}

// undoUnits undoes a character, a u and four digits, and a surrogate pair of
// them.
func undoUnits(out, s []byte) ([]byte, int) {
	high, ok := hexValue(s, 2, 4)
	if !ok {
		return out, 0
	}
	if !utf16.IsSurrogate(high) {
		return utf8.AppendRune(out, high), 6
	}
	if len(s) >= 12 && s[6] == s[0] && s[7] == 'u' {
		if low, ok := hexValue(s, 8, 4); ok {
			if r := utf16.DecodeRune(high, low); r != utf8.RuneError {
				return utf8.AppendRune(out, r), 12
			}
		}
	}
	return out, 0
}

// hexValue reads n hexadecimal digits at s[at:].
func hexValue(s []byte, at, n int) (rune, bool) {
	if n <= 0 || n > 8 || len(s) < at+n {
		return 0, false
	}
	v := rune(0)
	for _, c := range s[at : at+n] {
		d := symbols[c].hex
		if d == none {
			return 0, false
		}
		v = v<<4 | rune(d)
	}
	return v, true
}

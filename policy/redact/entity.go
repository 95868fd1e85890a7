package redact

import (
	"html"
	"unicode/utf8"
)

// longestName is the longest name of an HTML character, with & and ;
const longestName = 33

// undoEntity knows numbers with any zeros before them and the names of HTML,
// with and without their semicolon where HTML does.
func undoEntity(out, s []byte) ([]byte, int) {
	if len(s) > 2 && s[1] == '#' {
		return undoNumber(out, s)
	}
	end := 1
	for end < len(s) && end < longestName && (symbols[s[end]].letter || s[end] >= '0' && s[end] <= '9') {
		end++
	}
	if end < 3 {
		return out, 0
	}
	if end < len(s) && s[end] == ';' {
		end++
	}
	name := string(s[:end])
	plain := html.UnescapeString(name)
	if plain == name {
		return out, 0
	}
	if name[end-1] == ';' && (plain == ";" || plain[len(plain)-1] != ';') {
		return append(out, plain...), end
	}
	// Without its semicolon a name stands for one character and may be followed
	// by others.
	_, size := utf8.DecodeRuneInString(plain)
	return append(out, plain[:size]...), end - (len(plain) - size)
}

func undoNumber(out, s []byte) ([]byte, int) {
	base, at := rune(10), 2
	if s[2] == 'x' || s[2] == 'X' {
		base, at = 16, 3
	}
	v, end := rune(0), at
	for ; end < len(s) && v <= utf8.MaxRune; end++ {
		d := symbols[s[end]].hex
		if d == none || rune(d) >= base {
			break
		}
		v = v*base + rune(d)
	}
	if end == at || !utf8.ValidRune(v) {
		return out, 0
	}
	if end < len(s) && s[end] == ';' {
		end++
	}
	return utf8.AppendRune(out, v), end
}

package redact

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// kind is how a pattern spells its value.
type kind int

// A literal stands in the text as it is. The others stand in folded text: see
// [fold].
const (
	literal kind = iota
	letters
	reversed
	rot13
	hexPairs
	hexNumbers
	decimals
	base64Letters
	kinds
)

// patterns returns the patterns of a value, with their texts.
func patterns(item int, value []byte) []pattern {
	var out []pattern
	add := func(k kind, text []byte) {
		same := func(p pattern) bool { return (p.kind == literal) == (k == literal) && string(p.text) == string(text) }
		if len(text) >= MinBytes && estimate(text) >= MinBits && !slices.ContainsFunc(out, same) {
			out = append(out, pattern{item: item, kind: k, size: len(text), text: text})
		}
	}
	add(literal, value)
	// A value that looks escaped itself, as it reads when its escapes are undone
	// together with those of the text: as many layers as a text has.
	for plain, layer := value, 0; layer < depth; layer++ {
		plain = unescaped(plain)
		add(literal, plain)
	}
	if slices.ContainsFunc(value, func(c byte) bool { return c >= utf8.RuneSelf }) {
		add(literal, characters(value))
		if utf8.Valid(value) {
			add(literal, latin1(value))
			// UTF-16 is decoded where most of its units are ASCII; a value of others is
			// looked for as it is.
			add(literal, encode16(value, false))
			add(literal, encode16(value, true))
		}
	}
	for k := letters; k < kinds; k++ {
		add(k, spellFolded(k, value))
	}
	return out
}

// characters returns a value each of whose bytes was taken for a character of
// Latin-1, as in a binary string of JavaScript.
func characters(value []byte) []byte {
	var out []byte
	for _, c := range value {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}

// latin1 returns a value whose characters of Latin-1 are single bytes, as they
// are in the escapes of Python and of JavaScript's escape; the others have
// escapes of their own there.
func latin1(value []byte) []byte {
	var out []byte
	for _, r := range string(value) {
		if r <= 0xff {
			out = append(out, byte(r)) //nolint:gosec // at most 0xff
		} else {
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

func encode16(value []byte, bigEndian bool) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(string(value))) {
		low, high := byte(u&0xff), byte(u>>8)
		if bigEndian {
			low, high = high, low
		}
		out = append(out, low, high)
	}
	return out
}

// spellFolded returns a value in a folded spelling: lower-case letters and
// digits.
func spellFolded(k kind, value []byte) []byte {
	switch k {
	case letters, reversed, rot13:
		out := foldAll(value)
		if k == reversed {
			slices.Reverse(out)
		}
		for i, c := range out {
			if k == rot13 && c >= 'a' {
				out[i] = 'a' + (c-'a'+13)%26
			}
		}
		return out
	case hexPairs:
		return hex.AppendEncode(nil, value)
	case base64Letters:
		return foldAll([]byte(base64.RawStdEncoding.EncodeToString(value)))
	case hexNumbers:
		var out []byte
		for _, c := range value {
			out = append(out, '0', 'x')
			out = strconv.AppendUint(out, uint64(c), 16)
		}
		return out
	case literal, decimals, kinds:
	}
	var out []byte
	for _, c := range value {
		out = strconv.AppendUint(out, uint64(c), 10)
	}
	return out
}

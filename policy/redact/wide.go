package redact

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// foreign is how many units of UTF-16 that are not Latin may stand together
// between those that are.
const foreign = 8

// wide appends to g what the parts of f that are UTF-16 stand for. A part is
// known by two units in a row that are Latin; a unit stands for three bytes at most.
func (x *search) wide(f, g *frame) {
	text := f.text
	for from := 0; from < len(text); {
		n := bytes.IndexByte(text[from:], 0)
		if n < 0 {
			break
		}
		at := from + n
		if at+2 >= len(text) || text[at+2] != 0 {
			from = at + 1
			continue
		}
		start, end := at-2*min(foreign, (at-from)/2), at+2
		last := end
		for end+2 < len(text) && end-last <= 2*foreign {
			if end += 2; text[end] == 0 {
				last = end
			}
		}
		// Little endian has the upper byte of a unit behind the lower one.
		from = last + 1 // what follows may be another part, that begins at an odd byte
		if end-start < 2*x.set.shortest/3 {
			continue
		}
		if little := start - 1; little >= 0 {
			g.append16(text[little:end+1], little, false)
		} else {
			g.append16(text[start+1:end+1], start+1, false)
		}
		g.append16(text[start:min(end+2, len(text))], start, true)
		g.seam()
	}
}

// append16 appends a part of UTF-16, of which from is the place.
func (f *frame) append16(text []byte, from int, bigEndian bool) {
	f.part(from, double, -1)
	unit := func(i int) rune {
		if bigEndian {
			return rune(text[i])<<8 | rune(text[i+1])
		}
		return rune(text[i+1])<<8 | rune(text[i])
	}
	plain := true // the last piece goes on
	for i := 0; i+1 < len(text); {
		r, n := unit(i), 2
		if r < utf8.RuneSelf && plain {
			f.text = append(f.text, byte(r&0x7f))
			i += n
			continue
		}
		if utf16.IsSurrogate(r) && i+3 < len(text) {
			if pair := utf16.DecodeRune(r, unit(i+2)); pair != utf8.RuneError {
				r, n = pair, 4
			}
		}
		if plain = r < utf8.RuneSelf; plain {
			f.add(from+i, double, -1, false)
		} else {
			f.add(from+i, whole, n, false)
		}
		f.text = utf8.AppendRune(f.text, r)
		i += n
	}
}

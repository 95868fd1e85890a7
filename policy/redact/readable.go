package redact

import "unicode/utf8"

// readable returns the parts of f that are text of some length. What is escaped
// is text, while most of what words decode to is not: this saves the time to
// undo what only looks like an escape.
func (x *search) readable(f *frame) *frame {
	g := x.frame(f)
	least := x.set.shortest
	for at := nextText(f.text, 0, least); at < len(f.text); at = nextText(f.text, at, least) {
		for at < len(f.text) {
			end := textEnd(f.text, at)
			if end-at >= least {
				g.part(at, same, -1)
				g.text = append(g.text, f.text[at:end]...)
			}
			if at = end + 1; end == len(f.text) || symbols[f.text[end]].alphabets&readable == 0 {
				break
			}
		}
	}
	g.seam()
	return g
}

// nextText is [nextRun] for what may be text: of two bytes in a row it sees
// whether UTF-8 has them.
func nextText(text []byte, from, n int) int {
	for i := from + n - 1; i < len(text); {
		j, after := i, anyByte
		for j >= from {
			class := symbols[text[j]].utf8
			if after&follows[class] == 0 {
				break
			}
			after = 1 << class
			j--
		}
		if j < from {
			return from
		}
		from, i = j+1, j+n
	}
	return len(text)
}

// Classes of bytes in UTF-8, and the sets of them that may follow each.
const (
	notText = iota
	single
	continuation
	lead

	anyByte = byte(1<<single | 1<<continuation | 1<<lead)
)

var follows = [...]byte{notText: 0, single: 1<<single | 1<<lead, continuation: anyByte, lead: 1 << continuation}

// textEnd returns where the text that begins at an index ends.
func textEnd(text []byte, at int) int {
	for at < len(text) && symbols[text[at]].alphabets&readable != 0 {
		if text[at] < utf8.RuneSelf {
			at++
			continue
		}
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at
}

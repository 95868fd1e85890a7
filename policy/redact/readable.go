package redact

import "unicode/utf8"

// readable returns the parts of f that are text of some length. What is escaped
// is text, while most of what words decode to is not: this saves the time to
// undo what only looks like an escape.
func (x *search) readable(f *frame) *frame {
	g := x.frame(f)
	least := x.set.shortest
	for at := nextRun(f.text, 0, least, readable); at < len(f.text); at = nextRun(f.text, at, least, readable) {
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

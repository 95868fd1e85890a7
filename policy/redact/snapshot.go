package redact

import (
	"bytes"
	"cmp"
	"slices"
)

// snapshot is one set of values, ready to be looked for. It is immutable.
type snapshot struct {
	masks   []string // by entry
	machine *automaton
	longest int  // of the values, bytes
	spaces  bool // some value has a space in it
}

// Mask texts. Neither can hold a value: both are shorter than MinBits asks for.
const (
	namelessMask = "[secret]"
	withheld     = "[withheld]"
)

// rounds is how often a text is scrubbed again because masks beside other
// text spelled a value.
const rounds = 4

func newSnapshot(items []*item) *snapshot {
	s := &snapshot{}
	var list []form
	for i, it := range items {
		value := it.value.Reveal()
		list = append(list, forms(i, value)...)
		s.longest = max(s.longest, len(value))
		s.spaces = s.spaces || bytes.IndexByte(value, ' ') >= 0
	}
	s.machine = newAutomaton(list)
	for _, it := range items {
		mask := "[secret " + string(it.name) + "]"
		if len(s.find([]byte(mask))) > 0 {
			mask = namelessMask
		}
		s.masks = append(s.masks, mask)
	}
	return s
}

// span is a form found in a text.
type span struct{ start, end, entry int }

// find returns the forms in text, sorted by start and the longer first.
func (s *snapshot) find(text []byte) []span {
	var out []span
	s.machine.scan(text, func(end int, e ending) {
		start, end := widen(text, end, e)
		out = append(out, span{start, end, e.entry})
	})
	for _, f := range families(text, s.spaces) {
		v := newView(text, f)
		s.machine.scan(v.text, func(end int, e ending) {
			start, end := v.source(widen(v.text, end, e))
			out = append(out, span{start, end, e.entry})
		})
	}
	slices.SortFunc(out, func(a, b span) int {
		return cmp.Or(a.start-b.start, b.end-a.end, a.entry-b.entry)
	})
	return out
}

// widen takes in the characters of base64 that hold bits of the value and of
// its neighbours, and the padding.
func widen(text []byte, end int, e ending) (int, int) {
	start := end - e.length
	if e.lead && start > 0 && base64Byte(text[start-1]) {
		start--
	}
	if e.tail {
		if end < len(text) && base64Byte(text[end]) {
			end++
		}
		for range 2 {
			if end < len(text) && text[end] == '=' {
				end++
			}
		}
	}
	return start, end
}

// stretch is how many bytes of a text one byte of a value may take at most: two
// hexadecimal digits, each escaped at the greatest length. Base64 is shorter: a
// value of L bytes is in at most 4·L/3 + 4 characters, padding and all, fewer
// than 2·L from [MinBytes] on.
const stretch = 2 * longestEscape

// margin is how much at the end of a text that was cut off may be the
// beginning of a value. It is a multiple of 4 KiB, so that it tells no length.
func (s *snapshot) margin() int {
	const step = 4 << 10
	return (s.longest*stretch + step - 1) / step * step
}

// scrub masks text up to index keep; spans that begin before it are masked
// whole. Text behind it is dropped.
func (s *snapshot) scrub(text []byte, keep int) ([]byte, int) {
	total := 0
	for range rounds {
		spans := s.find(text)
		if len(spans) == 0 {
			return text[:keep], total
		}
		var masked int
		text, masked = s.mask(text, keep, spans)
		total += masked
		keep = len(text)
	}
	if len(s.find(text)) > 0 {
		return []byte(withheld), total
	}
	return text, total
}

// mask writes text with the union of the spans replaced.
func (s *snapshot) mask(text []byte, keep int, spans []span) ([]byte, int) {
	out := make([]byte, 0, len(text))
	masked, at, last := 0, 0, -1
	for _, sp := range spans {
		if sp.start >= keep {
			break
		}
		if sp.end <= at { // inside what is masked
			continue
		}
		if sp.start >= at {
			out = append(out, text[at:sp.start]...)
			last = -1
		}
		if sp.entry != last { // overlapping copies of one value share a mask
			out = append(out, s.masks[sp.entry]...)
			masked++
		}
		at, last = sp.end, sp.entry
	}
	if at < keep {
		out = append(out, text[at:keep]...)
	}
	return out, masked
}

package redact

import (
	"bytes"
	"encoding/binary"
	"iter"
	"slices"
	"sync"
)

// set is what is looked for together. Readers hold the lock while they search,
// since values come and go.
type set struct {
	mu       sync.RWMutex
	items    []*item // one that is gone is nil
	gone     int
	patterns []pattern
	plain    index // of patterns that text and what it decodes to are searched for
	folded   index // of those that folded text is searched for
	shortest int   // plain pattern, bytes
	longest  int   // value, bytes
	spaces   bool  // some pattern has a space in it
	quotes   bool  // or ' or "

	maskMu sync.Mutex
	masks  map[int]string // of the items, as far as they were needed
}

// pattern is one spelling of a value.
type pattern struct {
	item   int
	kind   kind
	anchor int    // where in the text its grams begin
	size   int    // of the text
	tail   uint64 // the last eight bytes of the text
	text   []byte // nil: spelled anew from the value when it is needed
}

// add takes a value in.
func (s *set) add(it *item) {
	if s.plain.full() || s.folded.full() {
		s.renew(2 * len(s.items))
	}
	n := len(s.items)
	s.items = append(s.items, it)
	s.longest = max(s.longest, it.value.Len())
	s.masks = map[int]string{}
	for _, p := range patterns(n, it.value.Reveal()) {
		number := uint64(len(s.patterns))
		if p.kind == literal {
			p.anchor = s.plain.add(number, p.text)
			if s.shortest == 0 || p.size < s.shortest {
				s.shortest = p.size
			}
			s.spaces = s.spaces || bytes.IndexByte(p.text, ' ') >= 0
			s.quotes = s.quotes || bytes.ContainsAny(p.text, `'"`)
		} else {
			p.anchor, p.tail = s.folded.add(number, p.text), tail(p.text)
			p.text = nil
		}
		s.patterns = append(s.patterns, p)
	}
}

// tail is the last eight bytes of a text.
func tail(text []byte) uint64 { return binary.LittleEndian.Uint64(text[len(text)-8:]) }

// renew builds the set anew with room for as many items, without what is gone.
func (s *set) renew(room int) {
	items := slices.DeleteFunc(s.items, func(it *item) bool { return it == nil })
	s.plain, s.folded = newIndex(max(room, 1)), newIndex(max(room, 1)*int(kinds-1))
	s.items, s.patterns, s.gone = nil, nil, 0
	s.shortest, s.longest, s.spaces, s.quotes = 0, 0, false, false
	for _, it := range items {
		s.add(it)
	}
}

// remove drops the items for which over is true. Their grams stay until more is
// gone than left.
func (s *set) remove(over func(*item) bool) {
	for i, it := range s.items {
		if it != nil && over(it) {
			s.items[i] = nil
			s.gone++
		}
	}
	if s.gone > len(s.items)/2 {
		s.renew(len(s.items))
		return
	}
	for i := range s.patterns {
		if p := &s.patterns[i]; s.items[p.item] == nil {
			p.text = nil
		}
	}
}

// live yields the items that are there.
func (s *set) live() iter.Seq[*item] {
	return func(yield func(*item) bool) {
		for _, it := range s.items {
			if it != nil && !yield(it) {
				return
			}
		}
	}
}

func (s *set) empty() bool { return s.gone == len(s.items) }

// spell returns the text of a pattern that is folded and whose item is there.
func (s *set) spell(p *pattern) []byte {
	return spellFolded(p.kind, s.items[p.item].value.Reveal())
}

// stretch is how many times its value's length a form may be long at most.
const stretch = 64

// hold is how much of a text may be the beginning of a form that goes on behind
// it. It is a multiple of 4 KiB, so that it tells no length.
func (s *set) hold() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	const step = 4 << 10
	return (s.longest*stretch + step - 1) / step * step
}

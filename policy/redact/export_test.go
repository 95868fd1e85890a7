package redact

import "github.com/coatcheck-dev/coatcheck/vault/secret"

// Literals returns where values stand in text as they are: start and number of
// the value, in no order. A value that is too plain to be looked for is not.
func Literals(values []string, text []byte) (found [][2]int) {
	c := newScope()
	for _, v := range values {
		c.add(&item{value: secret.New([]byte(v))})
	}
	x := newSearch()
	x.set, x.left = &c.set, leastWork+work*len(text)
	x.match(&frame{text: text})
	for _, s := range x.spans {
		found = append(found, [2]int{s.start, s.item})
	}
	return found
}

// Footprint returns the bytes that the sets of all principals take.
func (s *Scrubber) Footprint() (size int) {
	for _, c := range s.scopes {
		size += 8 * (len(c.plain.bits) + len(c.plain.slots) + len(c.folded.bits) + len(c.folded.slots))
		size += cap(c.items)*8 + cap(c.patterns)*72
		for _, p := range c.patterns {
			size += len(p.text)
		}
		for it := range c.live() {
			size += 80 + it.value.Len() + len(it.name)
		}
	}
	return size
}

// Within searches text for values with so much work to spend, and returns what
// is left of it, below zero when it was not enough.
func Within(work int, values []string, text []byte) (left int) {
	c := newScope()
	for _, v := range values {
		c.add(&item{value: secret.New([]byte(v))})
	}
	x := newSearch()
	x.set, x.left = &c.set, work
	defer func() {
		if r := recover(); r != nil && r != tooMuchWork {
			panic(r)
		}
		left = x.left
	}()
	x.level(&frame{text: text}, 0)
	return 0
}

// Searching acts as a search that goes on for the principal until done is
// called.
func (s *Scrubber) Searching(principal string) (done func()) {
	c := s.scope(principal)
	c.mu.RLock()
	return c.mu.RUnlock
}

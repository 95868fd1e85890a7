package redact

import (
	"slices"
	"strings"
)

// automaton is an Aho-Corasick machine over the texts of a set of forms. It is
// immutable once built.
//
// States are numbered in the preorder of the sorted trie, so that the first
// child of state s is s+1: a state costs one byte of label and four of
// failure link with three flags, and only the further children of the few
// states that branch are stored as edges.
type automaton struct {
	root   [256]uint32       // state after a byte at the root
	label  []byte            // byte that leads into the state
	link   []uint32          // failure state | flags
	edges  edgeTable         // further children
	ending map[uint32]ending // longest form that ends in the state, own or by failure links
}

const (
	hasNext   = 1 << 31 // s+1 is a child of s
	hasEdges  = 1 << 30 // s has further children
	hasEnding = 1 << 29 // a form ends in s
	stateMask = hasEnding - 1
)

type ending struct {
	length     int
	entry      int
	lead, tail bool
}

func newAutomaton(list []form) *automaton {
	slices.SortFunc(list, func(a, b form) int {
		if c := strings.Compare(a.text, b.text); c != 0 {
			return c
		}
		return a.entry - b.entry
	})
	a := &automaton{label: []byte{0}, link: []uint32{0}, ending: map[uint32]ending{}}
	further := a.grow(list)
	a.connect(further)
	return a
}

// edge is a child of a state that is not the next state.
type edge struct{ parent, child uint32 }

// grow builds the trie of the sorted list and returns the further children.
func (a *automaton) grow(list []form) []edge {
	total := 1
	for _, f := range list {
		total += len(f.text)
	}
	a.label, a.link = slices.Grow(a.label, total), slices.Grow(a.link, total)
	var further []edge
	path := []uint32{0} // states along the form before
	before := ""
	for _, f := range list {
		common := commonPrefix(before, f.text)
		path = path[:common+1]
		for i := common; i < len(f.text); i++ {
			parent, child := path[i], uint32(len(a.label)) //nolint:gosec // far below 2^29 states
			if child > stateMask {
				panic("redact: too many values")
			}
			a.label, a.link = append(a.label, f.text[i]), append(a.link, 0)
			switch {
			case parent == 0:
				a.root[f.text[i]] = child
			case parent+1 == child:
				a.link[parent] |= hasNext
			default:
				a.link[parent] |= hasEdges
				further = append(further, edge{parent, child})
			}
			path = append(path, child)
		}
		last := path[len(path)-1]
		e, again := a.ending[last]
		if !again {
			e = ending{length: len(f.text), entry: f.entry}
		}
		e.lead, e.tail = e.lead || f.lead, e.tail || f.tail
		a.ending[last] = e
		before = f.text
	}
	a.edges = newEdgeTable(len(further))
	for _, e := range further {
		a.edges.put(e.parent, a.label[e.child], e.child)
	}
	slices.SortFunc(further, func(x, y edge) int { return int(x.parent) - int(y.parent) })
	return further
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// connect sets the failure links and spreads the endings along them, from the
// root outwards.
func (a *automaton) connect(further []edge) {
	queue := make([]uint32, 0, len(a.label))
	for _, s := range a.root {
		if s != 0 {
			queue = append(queue, s)
			a.inherit(s, 0)
		}
	}
	child := func(parent, s uint32) {
		fail := uint32(0)
		if f := a.link[parent] & stateMask; parent != 0 {
			fail = a.step(f, a.label[s])
		}
		a.inherit(s, fail)
		queue = append(queue, s)
	}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if a.link[s]&hasNext != 0 {
			child(s, s+1)
		}
		if a.link[s]&hasEdges != 0 {
			i, _ := slices.BinarySearchFunc(further, s, func(e edge, s uint32) int { return int(e.parent) - int(s) })
			for ; i < len(further) && further[i].parent == s; i++ {
				child(s, further[i].child)
			}
		}
	}
}

func (a *automaton) inherit(s, fail uint32) {
	a.link[s] |= fail
	if _, own := a.ending[s]; !own {
		shorter, inherited := a.ending[fail]
		if !inherited {
			return
		}
		a.ending[s] = shorter
	}
	a.link[s] |= hasEnding
}

// step returns the state after byte c in state s.
func (a *automaton) step(s uint32, c byte) uint32 {
	for s != 0 {
		link := a.link[s]
		if link&hasNext != 0 && a.label[s+1] == c {
			return s + 1
		}
		if link&hasEdges != 0 {
			if t := a.edges.get(s, c); t != 0 {
				return t
			}
		}
		s = link & stateMask
	}
	return a.root[c]
}

// scan calls found for every position of text where a form ends, with the
// longest of them; end is the index behind it.
func (a *automaton) scan(text []byte, found func(end int, e ending)) {
	s := uint32(0)
	for i, c := range text {
		if s = a.step(s, c); a.link[s]&hasEnding != 0 {
			found(i+1, a.ending[s])
		}
	}
}

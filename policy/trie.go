package policy

import (
	"slices"
	"strings"
)

// trie finds every literal prefix of a path that some rule has, in time that
// depends on the path alone. It is a radix tree over bytes: a node stands for
// the text on the way to it, and the children of a node lie side by side.
// Node 0 is the root, for the empty prefix.
type trie struct {
	nodes []node
	cells []cell
}

// node is small and its texts are shared where they can be: with many rules
// the cost of a walk is the memory it touches.
type node struct {
	tail  string // what the way from the parent adds after the child's key
	keys  string // the byte that leads to each child, rising; shared
	first int32  // the first child's index
	cell  int32  // index into cells, or -1
}

// newTrie makes the trie of prefixes, which are sorted and without
// repetition; cells[i] belongs to prefixes[i].
func newTrie(prefixes []string, cells []cell) trie {
	t := trie{nodes: []node{{cell: -1}}, cells: cells}
	t.grow(0, prefixes, 0, 0, map[string]string{})
	t.nodes = slices.Clip(t.nodes)
	return t
}

// grow fills node n, for which all of prefixes start with the same depth
// bytes; base is the index of prefixes[0] among all, shared the key texts
// there are.
func (t *trie) grow(n int, prefixes []string, depth, base int, shared map[string]string) {
	if len(prefixes) > 0 && len(prefixes[0]) == depth {
		t.nodes[n].cell = int32(base) //nolint:gosec // a file of MaxBytes has fewer prefixes
		prefixes, base = prefixes[1:], base+1
	}
	type branch struct{ from, to, depth int }
	var branches []branch
	var keys []byte
	first := len(t.nodes)
	for from := 0; from < len(prefixes); {
		key := prefixes[from][depth]
		to := from + 1
		for to < len(prefixes) && prefixes[to][depth] == key {
			to++
		}
		// In sorted order the first and the last have the least in common.
		end := depth + common(prefixes[from][depth:], prefixes[to-1][depth:])
		keys = append(keys, key)
		branches = append(branches, branch{from, to, end})
		t.nodes = append(t.nodes, node{tail: prefixes[from][depth+1 : end], cell: -1})
		from = to
	}
	same, ok := shared[string(keys)]
	if !ok {
		same = string(keys)
		shared[same] = same
	}
	t.nodes[n].keys, t.nodes[n].first = same, int32(first) //nolint:gosec // as above
	for i, b := range branches {
		t.grow(first+i, prefixes[b.from:b.to], b.depth, base+b.from, shared)
	}
}

func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// walk is one way down a trie along a path.
type walk struct {
	trie  *trie
	path  string
	node  int32 // where it stands; -1 before the root, -2 at the end
	depth int   // bytes of path behind it
}

// next returns the next cell on the way, nil at the end.
func (w *walk) next() *cell {
	for w.step() {
		if c := w.trie.nodes[w.node].cell; c >= 0 {
			return &w.trie.cells[c]
		}
	}
	return nil
}

func (w *walk) step() bool {
	switch w.node {
	case -1:
		w.node = 0
		return len(w.trie.nodes) > 0
	case -2:
		return false
	}
	n := &w.trie.nodes[w.node]
	if w.depth < len(w.path) {
		if i := strings.IndexByte(n.keys, w.path[w.depth]); i >= 0 {
			child := n.first + int32(i) //nolint:gosec // at most 256 children
			tail := w.trie.nodes[child].tail
			if tail == "" || strings.HasPrefix(w.path[w.depth+1:], tail) {
				w.node, w.depth = child, w.depth+1+len(tail)
				return true
			}
		}
	}
	w.node = -2
	return false
}

// dropCovered returns sorted, mutually distinct prefixes without those that
// start with another one.
func dropCovered(prefixes []string) []string {
	slices.Sort(prefixes)
	var kept []string
	for _, p := range prefixes {
		if len(kept) == 0 || !strings.HasPrefix(p, kept[len(kept)-1]) {
			kept = append(kept, p)
		}
	}
	return kept
}

package redact

import "math/bits"

// edgeTable maps (state, byte) to a state: open addressing with linear
// probing, at most half full, never deleted from. It stands for a Go map, which
// is several times slower here and three times as large.
type edgeTable struct {
	keys     []uint64 // state<<8 | byte; no key is 0, since the root has no edge here
	children []uint32
	shift    int
}

func newEdgeTable(n int) edgeTable {
	size := bits.Len(uint(n)) + 1
	return edgeTable{keys: make([]uint64, 1<<size), children: make([]uint32, 1<<size), shift: 64 - size}
}

// slot is Fibonacci hashing.
func (t *edgeTable) slot(key uint64) int { return int(key * 0x9E3779B97F4A7C15 >> t.shift) } //nolint:gosec // below len(keys)

func (t *edgeTable) put(state uint32, c byte, child uint32) {
	key := uint64(state)<<8 | uint64(c)
	i := t.slot(key)
	for t.keys[i] != 0 {
		i = (i + 1) & (len(t.keys) - 1)
	}
	t.keys[i], t.children[i] = key, child
}

// get returns 0 when there is no such edge.
func (t *edgeTable) get(state uint32, c byte) uint32 {
	key := uint64(state)<<8 | uint64(c)
	for i := t.slot(key); t.keys[i] != 0; i = (i + 1) & (len(t.keys) - 1) {
		if t.keys[i] == key {
			return t.children[i]
		}
	}
	return 0
}

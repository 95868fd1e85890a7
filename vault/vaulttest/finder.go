package vaulttest

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// finder looks for many texts in one pass over the data. It finds what
// bytes.Contains finds of each of them: a canary has hundreds of forms, a test
// dozens of canaries, and what they are looked for in are megabytes.
type finder struct {
	texts  [][]byte
	short  []int            // those that have no head
	heads  map[uint64][]int // by their first bytes
	filter []uint64         // bits, one set for each head: most of the data is none
	shift  int
}

// headSize is the bytes of a head.
const headSize = 8

func newFinder(texts [][]byte) *finder {
	size := max(6, bits.Len(uint(len(texts)*32)))
	f := &finder{texts: texts, heads: make(map[uint64][]int, len(texts)), filter: make([]uint64, 1<<(size-6)), shift: 64 - size}
	for i, text := range texts {
		if len(text) < headSize {
			f.short = append(f.short, i)
			continue
		}
		head := binary.LittleEndian.Uint64(text)
		f.heads[head] = append(f.heads[head], i)
		bit := f.bit(head)
		f.filter[bit/64] |= 1 << (bit % 64)
	}
	return f
}

func (f *finder) bit(head uint64) uint64 { return head * 0x9e3779b97f4a7c15 >> f.shift }

// in returns the numbers of the texts that stand in data, in their order.
func (f *finder) in(data []byte) (found []int) {
	for _, i := range f.short {
		if bytes.Contains(data, f.texts[i]) {
			found = append(found, i)
		}
	}
	for at := 0; at+headSize <= len(data); at++ {
		head := binary.LittleEndian.Uint64(data[at:])
		if bit := f.bit(head); f.filter[bit/64]>>(bit%64)&1 == 0 {
			continue
		}
		for _, i := range f.heads[head] {
			if bytes.HasPrefix(data[at:], f.texts[i]) {
				found = append(found, i)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

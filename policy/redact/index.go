package redact

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// index finds where a pattern may stand in a text. It is a filter over grams:
// of each pattern it holds [stride] grams that follow each other, and a text is
// probed at every stride-th byte, so that one probe meets each place where a
// pattern stands. A probe is one multiplication and one bit.
type index struct {
	bits  []uint64 // one bit a gram, by the top of its hash
	slots []uint64 // hash of the gram in the upper half, reference in the lower; 0: free
	last  uint64   // slot
	used  int
}

const (
	stride  = 4
	gram    = 5  // bytes; stride-1+gram is MinBytes, the shortest pattern
	period  = 64 // bytes around a gram in which it is looked for again
	sparse  = 5  // the filter has 1<<sparse bits a slot
	refMask = 1<<32 - 1
)

// hashAt is the hash of the gram at b[0]; b has eight bytes or more.
func hashAt(b []byte) uint64 {
	return binary.LittleEndian.Uint64(b) << (64 - 8*gram) * 0x9E3779B97F4A7C15
}

// hashShort is hashAt for a gram near the end of a text.
func hashShort(b []byte) uint64 {
	var whole [8]byte
	copy(whole[:], b)
	return hashAt(whole[:])
}

func newIndex(patterns int) index {
	size := 1 << bits.Len(uint(2*stride*(patterns+int(kinds))))
	return index{bits: make([]uint64, size<<sparse/64), slots: make([]uint64, size), last: uint64(size) - 1} //nolint:gosec // a size
}

func (x *index) full() bool { return 2*(x.used+stride*int(kinds)) > len(x.slots) }

// shifts for the top of a hash.
func (x *index) shifts() (bit, slot int) {
	slot = 64 - bits.TrailingZeros(uint(len(x.slots)))
	return slot - sparse, slot
}

// each calls f for the references of the grams that have the hash.
func (x *index) each(hash uint64, f func(ref uint64)) {
	_, shift := x.shifts()
	for i := hash >> shift; x.slots[i] != 0; i = (i + 1) & x.last {
		if (x.slots[i]^hash)>>32 == 0 {
			f(x.slots[i] & refMask)
		}
	}
}

// add takes in pattern number n and returns the index of its first gram. Of the
// places in the text it takes one whose grams no other pattern has, if there is
// one, and that do not come again soon: patterns with a common beginning must not
// meet in one slot, nor every probe of a run of zeros in a pattern. It begins in
// the middle, since beginnings are what texts and secrets share.
func (x *index) add(n uint64, text []byte) (anchor int) {
	last := len(text) - (stride - 1 + gram)
	least := -1
	for i := range last + 1 {
		at := (last/2 + i) % (last + 1)
		load := 0
		for k := range stride {
			x.each(hashShort(text[at+k:min(at+k+8, len(text))]), func(uint64) { load++ })
		}
		for k := 0; k < stride && (least < 0 || load < least); k++ {
			if again(text, at+k) {
				load++
			}
		}
		if least < 0 || load < least {
			least, anchor = load, at
		}
		if least == 0 {
			break
		}
	}
	bit, slot := x.shifts()
	for k := range stride {
		hash := hashShort(text[anchor+k : min(anchor+k+8, len(text))])
		x.bits[hash>>bit/64] |= 1 << (hash >> bit % 64)
		i := hash >> slot
		for x.slots[i] != 0 {
			i = (i + 1) & x.last
		}
		x.slots[i] = hash&^refMask | (n*stride + uint64(k) + 1)
		x.used++
	}
	return anchor
}

// again reports whether the gram at an index of a text stands near it too.
func again(text []byte, at int) bool {
	before, after := text[max(0, at-period):at+gram-1], text[at+1:min(at+period+gram, len(text))]
	return bytes.Contains(before, text[at:at+gram]) || bytes.Contains(after, text[at:at+gram])
}

// scan calls hit for the places in text where a gram of the index seems to
// stand.
func (x *index) scan(text []byte, hit func(at int, hash uint64)) {
	shift, _ := x.shifts()
	filter := x.bits
	i := 0
	for ; i+8 <= len(text); i += stride {
		hash := binary.LittleEndian.Uint64(text[i:]) << (64 - 8*gram) * 0x9E3779B97F4A7C15
		top := hash >> (shift & 63)
		if filter[top/64]>>(top%64)&1 != 0 {
			hit(i, hash)
		}
	}
	for ; i+gram <= len(text); i += stride {
		hash := hashShort(text[i:])
		if top := hash >> shift; filter[top/64]>>(top%64)&1 != 0 {
			hit(i, hash)
		}
	}
}

package redact

import (
	"math"

	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// Bounds of what can be masked.
const (
	MinBytes = 8
	MaxBytes = 64 << 10
	MinBits  = 64
)

// Maskable reports whether v is long and varied enough to be found in text
// without masking innocent words, and without making guesses worth while:
// [MinBytes] to [MaxBytes] long and at least [MinBits] by this estimate:
//
//	bits = counted bytes · log2(alphabet)
//
// The alphabet is the sum of the classes the value uses: 26 lower-case, 26
// upper-case, 10 digits, 33 other ASCII, 161 the rest. A byte is not counted
// when it and the byte before it stood side by side earlier in the value, or
// when it goes on a run ("aaa", "abc", "321"). Words of a language are not
// recognised: the estimate is a floor against PINs and repetitions, no judge
// of passwords.
//
// The answer to a request that used a value that is not Maskable must be
// withheld but for its status.
func Maskable(v secret.Value) bool {
	if v.Len() < MinBytes || v.Len() > MaxBytes {
		return false
	}
	return estimate(v.Reveal()) >= MinBits
}

// estimate is the formula of [Maskable].
func estimate(b []byte) float64 {
	sizes := [...]int{26, 26, 10, 33, 161}
	var used [len(sizes)]bool
	var pairs [1 << 16 / 64]uint64 // a bit for each two bytes
	counted := 0
	for i, c := range b {
		used[class(c)] = true
		if i == 0 {
			counted++
			continue
		}
		pair := int(b[i-1])<<8 | int(c)
		known := pairs[pair/64]>>(pair%64)&1 != 0
		step := int(c) - int(b[i-1])
		run := i >= 2 && step >= -1 && step <= 1 && step == int(b[i-1])-int(b[i-2])
		if !run && !known {
			counted++
		}
		pairs[pair/64] |= 1 << (pair % 64)
	}
	alphabet := 0
	for i, u := range used {
		if u {
			alphabet += sizes[i]
		}
	}
	return float64(counted) * math.Log2(float64(alphabet))
}

func class(c byte) int {
	switch {
	case c >= 'a' && c <= 'z':
		return 0
	case c >= 'A' && c <= 'Z':
		return 1
	case c >= '0' && c <= '9':
		return 2
	case c >= ' ' && c <= '~':
		return 3
	default:
		return 4
	}
}

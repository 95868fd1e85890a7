package handle

import (
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy/mint"
)

// Check reports whether text is a handle with the right checksum, without
// asking whether it exists. The error is [ErrMistyped].
func Check(text string) error {
	if mint.Check(Prefix, text) != nil {
		return ErrMistyped
	}
	return nil
}

// Found is the place of a handle in some text, or of what was meant as one.
type Found struct {
	Start, End int    // bytes
	Text       string // what stands there; [Check] tells whether it is whole
}

// nearMiss is how many base62 characters after [Prefix] make a piece of text
// something that was meant as a handle.
const nearMiss = 16

// Find returns the handles in text, in rising order and without overlap.
//
// Text with a right checksum is found wherever it stands. A prefix followed by
// at least 16 base62 characters that do not make a handle is found as well, the
// whole run of it, so that a handle copied with a mistake is refused and not
// sent on as it is; but only where no letter or digit stands before it, so that
// "hash_d41d8cd98f00b204e9800998ecf8427e" is nobody's handle.
func Find(text string) []Found {
	var found []Found
	end := 0
	for from := 0; ; {
		i := strings.Index(text[from:], Prefix)
		if i < 0 {
			return found
		}
		start := from + i
		from = start + len(Prefix)
		stop, whole := extent(text, start)
		switch {
		case stop == 0 || start < end:
			continue
		case !whole && (start > 0 && mint.IsDigit(text[start-1]) || overlapsWhole(text, start, stop)):
			continue
		}
		found = append(found, Found{Start: start, End: stop, Text: text[start:stop]})
		end = stop
	}
}

// extent returns where the handle starting at start ends and whether it is
// whole; 0 when there is none.
func extent(text string, start int) (stop int, whole bool) {
	const length = len(Prefix) + mint.RandomLen + mint.CheckLen
	if start+length <= len(text) && Check(text[start:start+length]) == nil {
		return start + length, true
	}
	stop = start + len(Prefix)
	for stop < len(text) && mint.IsDigit(text[stop]) {
		stop++
	}
	if stop < start+len(Prefix)+nearMiss {
		return 0, false
	}
	return stop, false
}

// overlapsWhole reports whether a whole handle begins inside text[start:stop],
// which it can only do with the "ash" at its end.
func overlapsWhole(text string, start, stop int) bool {
	next := stop - (len(Prefix) - 1)
	if next <= start || !strings.HasPrefix(text[next:], Prefix) {
		return false
	}
	_, whole := extent(text, next)
	return whole
}

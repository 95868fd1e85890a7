package redact_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/redact"
)

// naive is what Literals must return.
func naive(values []string, text string) (found [][2]int) {
	for i, v := range values {
		for at := range len(text) - len(v) + 1 {
			if strings.HasPrefix(text[at:], v) {
				found = append(found, [2]int{at, i})
			}
		}
	}
	return found
}

func checkLiterals(t *testing.T, values []string, text string) {
	t.Helper()
	byPlace := func(a, b [2]int) int { return slices.Compare(a[:], b[:]) }
	got, want := redact.Literals(values, []byte(text)), naive(values, text)
	slices.SortFunc(got, byPlace)
	slices.SortFunc(want, byPlace)
	if !slices.Equal(got, want) {
		t.Fatalf("%q in %q: %v, want %v", values, text, got, want)
	}
}

// TestLiteralsAtEveryPlace: a value of any length is found wherever it begins
// and how much there is behind it.
func TestLiteralsAtEveryPlace(t *testing.T) {
	long := "\x03Zf~\xf0$7q" + string(random(9, 32))
	for size := redact.MinBytes; size <= len(long); size++ {
		for before := range 9 {
			for after := range 9 {
				checkLiterals(t, []string{long[:size]}, strings.Repeat("-", before)+long[:size]+strings.Repeat("=", after))
			}
		}
	}
}

// TestLiteralsThatShareTheirGrams: values of the same pieces, so that no place
// in one is its own.
func TestLiteralsThatShareTheirGrams(t *testing.T) {
	piece := func(i int) string { return string(random(uint64(20+i), 12)) }
	var values []string
	for i := range 4 {
		for j := range 4 {
			for k := range 4 {
				values = append(values, piece(i)+piece(j)+piece(k))
			}
		}
	}
	checkLiterals(t, values, strings.Join(values, ""))
}

func FuzzLiterals(f *testing.F) {
	f.Add("Ab3Cd4Ef5Gh6 Cd4Ef5Gh6Ij7 b3Cd4Ef5Gh6Ij7K", "Ab3Cd4Ef5Gh6Ij7Kb3Cd4Ef5Gh6Ij7K")
	f.Add("zz9Yx8Wv7Ut4 zz9Yx8Wv7Ut4zz9Yx8Wv7Ut4", "zz9Yx8Wv7Ut4zz9Yx8Wv7Ut4zz9Yx8Wv7Ut4")
	f.Add("\x00\x01\xff\x80aZ9$ \x01\xff\x80aZ9$?", "\x00\x01\xff\x80aZ9$?\x00\x01\xff\x80aZ9$")
	f.Fuzz(func(t *testing.T, words, text string) {
		values := slices.DeleteFunc(strings.Split(words, " "), func(w string) bool { return !redact.Maskable(value(w)) })
		if len(words) < 300 && len(text) < 1000 {
			// An escape in a value is looked for undone too.
			if !strings.ContainsAny(words, `%\&`) && !strings.ContainsFunc(words, func(r rune) bool { return r > 0xff }) {
				checkLiterals(t, values, text)
			}
		}
	})
}

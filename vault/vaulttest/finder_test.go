package vaulttest_test

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/coatcheck-dev/coatcheck/vault/vaulttest"
)

// TestFinderFindsWhatContainsFinds: texts of every length, some the beginning or a
// part of others, in data that is made of them and of their parts.
func TestFinderFindsWhatContainsFinds(t *testing.T) {
	found := 0
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.SampledFrom([]byte("ab\x00\xff"))
		text, gap := rapid.SliceOfN(letters, 1, 20), rapid.SliceOfN(letters, 0, 2)
		texts := rapid.SliceOfN(text, 0, 12).Draw(t, "texts")
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, 11), 0, 4).Draw(t, "longer") {
			if i < len(texts) {
				texts = append(texts, slices.Concat(texts[i], text.Draw(t, "end")))
			}
		}
		data := gap.Draw(t, "data")
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, 15), 0, 6).Draw(t, "parts") {
			if i < len(texts) {
				size := len(texts[i]) - rapid.SampledFrom([]int{0, 0, 0, 1, len(texts[i]) / 2}).Draw(t, "less")
				data = slices.Concat(data, texts[i][:size], gap.Draw(t, "between"))
			}
		}
		var want []int
		for i := range texts {
			if bytes.Contains(data, texts[i]) {
				want = append(want, i)
			}
		}
		if got := vaulttest.FindTexts(texts, data); !slices.Equal(got, want) {
			t.Fatalf("found %d of %q in %q, want %d", got, texts, data, want)
		}
		found += len(want)
	})
	if found < 50 {
		t.Errorf("%d were to be found in all", found)
	}
}

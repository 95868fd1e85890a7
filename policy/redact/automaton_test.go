package redact_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/redact"
)

// naive is what Endings must return.
func naive(words []string, text string) []int {
	out := make([]int, len(text))
	for end := range len(text) {
		for _, w := range words {
			if strings.HasSuffix(text[:end+1], w) {
				out[end] = max(out[end], len(w))
			}
		}
	}
	return out
}

func checkEndings(t *testing.T, words []string, text string) {
	t.Helper()
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	if got, want := redact.Endings(words, text), naive(words, text); !slices.Equal(got, want) {
		t.Fatalf("%q in %q: %v, want %v", words, text, got, want)
	}
}

// TestAutomatonExhaustively takes every set of three words of up to three
// letters from two, over a text that holds every word of six letters.
func TestAutomatonExhaustively(t *testing.T) {
	var words []string
	for n := 1; n <= 3; n++ {
		for i := range 1 << n {
			words = append(words, strings.NewReplacer("0", "a", "1", "b").Replace(fmt.Sprintf("%0*b", n, i)))
		}
	}
	var text strings.Builder
	for i := range 1 << 6 {
		text.WriteString(strings.NewReplacer("0", "a", "1", "b").Replace(fmt.Sprintf("%06b", i)))
	}
	for i := range words {
		for j := range i + 1 {
			for k := range j + 1 {
				checkEndings(t, []string{words[i], words[j], words[k]}, text.String())
			}
		}
	}
}

func FuzzAutomaton(f *testing.F) {
	f.Add("a aa aaa aaaa", "aaaaaaaa")
	f.Add("he she his hers", "ushers his shehers")
	f.Add("abcde bcd cd d", "abcdabcdebcd")
	f.Add("\x00 \xff\x00 \xff", "\xff\x00\xff\xff\x00")
	f.Add("ab b bb bbb abbb", "abbbbabb")
	f.Fuzz(func(t *testing.T, words, text string) {
		if len(words) < 200 && len(text) < 1000 {
			checkEndings(t, strings.Split(words, " "), text)
		}
	})
}

func randomValues(n, length int) []string {
	values := make([]string, n)
	for i := range values {
		var v strings.Builder
		for x := uint32(i + 1); v.Len() < length; {
			x ^= x << 13
			x ^= x >> 17
			x ^= x << 5
			v.WriteByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[x>>8&63])
		}
		values[i] = v.String()
	}
	return values
}

func ordinaryJSON(size int, content string) []byte {
	var text strings.Builder
	for i := 0; text.Len() < size; i++ {
		fmt.Fprintf(&text, `{"id":"msg_%08x","object":"chat.completion","created":%d,"choices":[{"index":0,"message":{"role":"assistant","content":"%s"}}]},`,
			i*7919, 1700000000+i, content)
	}
	return []byte(text.String())
}

// BenchmarkScrub is a body of 1 MiB against 1,000 values of 64 bytes.
func BenchmarkScrub(b *testing.B) {
	values := randomValues(1000, 64)
	beginnings := ""
	for _, v := range values {
		beginnings += v[:40]
	}
	s := keeping(b, values...)
	for name, body := range map[string][]byte{
		"ordinary":      ordinaryJSON(1<<20, "The weather in Paris is mild today, with a light wind."),
		"some-escapes":  ordinaryJSON(1<<20, `The weather in Paris is \"mild\" today,\nwith a light wind.`),
		"every-family":  ordinaryJSON(1<<20, `\u0041 &amp; 100%25 of it`),
		"all-escaped":   []byte(strings.Repeat("%41", 1<<20/3)),
		"near-misses":   []byte(strings.Repeat(beginnings, 1<<20/len(beginnings))),
		"all-one-value": []byte(strings.Repeat(values[0], 1<<14)),
	} {
		b.Run(name, func(b *testing.B) {
			s.Scrub(who, body)
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				s.Scrub(who, body)
			}
		})
	}
}

// BenchmarkBuild makes the automaton of 1,000 values of 64 bytes.
func BenchmarkBuild(b *testing.B) {
	values := randomValues(1000, 64)
	states, size := 0, 0
	for b.Loop() {
		states, size = redact.Footprint(values)
	}
	b.ReportMetric(float64(states), "states")
	b.ReportMetric(float64(size)/(1<<20), "MiB")
}

package mint_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/coatcheck-dev/coatcheck/policy/mint"
)

const prefix = "ash_"

func fresh(tb testing.TB) string {
	tb.Helper()
	text, err := mint.New(prefix)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// TestFormat pins the bytes: what is in databases and scanners' rules by now
// must stay readable.
func TestFormat(t *testing.T) {
	random := make([]byte, 32)
	for i := range random {
		random[i] = byte(255 - i) // the first eight are passed over
	}
	text, err := mint.From(bytes.NewReader(random), prefix)
	if want := "ash_zyxwvutsrqponmlkjihgfe3V5f59"; err != nil || text != want {
		t.Fatalf("got %s %v, want %s", text, err, want)
	}
	if err := mint.Check(prefix, text); err != nil {
		t.Error(err)
	}
	if got := mint.ID("h_", mint.Hash(text)); got != "h_CwiN1gWSgt" {
		t.Errorf("id %s", got)
	}
}

func TestNewIsFreshAndEven(t *testing.T) {
	const n = 20_000
	seen := map[string]bool{}
	counts := map[byte]int{}
	for range n {
		text := fresh(t)
		if seen[text] || len(text) != len(prefix)+mint.RandomLen+mint.CheckLen || mint.Check(prefix, text) != nil {
			t.Fatalf("%q", text)
		}
		seen[text] = true
		for i := range mint.RandomLen {
			counts[text[len(prefix)+i]]++
		}
	}
	// Taking bytes modulo 62 would give the first eight letters a fifth more.
	mean := float64(n*mint.RandomLen) / 62
	for c, count := range counts {
		if d := float64(count)/mean - 1; len(counts) != 62 || d < -0.08 || d > 0.08 {
			t.Errorf("%q stands %d times of %.0f expected", c, count, mean)
		}
	}
}

func TestARandomSourceThatFailsIsReported(t *testing.T) {
	for name, r := range map[string]io.Reader{"error": iotest.ErrReader(io.ErrClosedPipe), "short": strings.NewReader("abc")} {
		if text, err := mint.From(r, prefix); err == nil || text != "" {
			t.Errorf("%s: got %q %v", name, text, err)
		}
	}
}

// TestEveryMistakeOfOneCharacterIsFound changes, removes, doubles and swaps
// each character.
func TestEveryMistakeOfOneCharacterIsFound(t *testing.T) {
	text := fresh(t)
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for i := len(prefix); i < len(text); i++ {
		for _, c := range letters {
			if wrong := text[:i] + string(c) + text[i+1:]; wrong != text && !errors.Is(mint.Check(prefix, wrong), mint.ErrChecksum) {
				t.Errorf("%s for %s: %v", wrong, text, mint.Check(prefix, wrong))
			}
		}
		for _, wrong := range []string{text[:i] + text[i+1:], text[:i] + text[i:i+1] + text[i:], text[:i] + "-" + text[i+1:], text[:i] + "é" + text[i+1:]} {
			if !errors.Is(mint.Check(prefix, wrong), mint.ErrForm) {
				t.Errorf("%s: %v", wrong, mint.Check(prefix, wrong))
			}
		}
		if i+1 < len(text) && text[i] != text[i+1] {
			if wrong := text[:i] + text[i+1:i+2] + text[i:i+1] + text[i+2:]; mint.Check(prefix, wrong) == nil {
				t.Errorf("%s for %s passes", wrong, text)
			}
		}
	}
	for _, wrong := range []string{"", prefix, "ass_" + text[4:], text + " ", " " + text, text + text, strings.ToUpper(text)} {
		if !errors.Is(mint.Check(prefix, wrong), mint.ErrForm) {
			t.Errorf("%q: %v", wrong, mint.Check(prefix, wrong))
		}
	}
}

func TestFind(t *testing.T) {
	a, b := fresh(t), fresh(t)
	run := strings.Repeat("A", 28)
	for name, tc := range map[string]struct {
		text string
		want []mint.Span
	}{
		"nothing":       {"no handle here: ash_, ash_abc", nil},
		"bare":          {a, []mint.Span{{0, 32}}},
		"inside":        {"Bearer " + a + "\r\n", []mint.Span{{7, 39}}},
		"two":           {a + b, []mint.Span{{0, 32}, {32, 64}}},
		"any checksum":  {"x" + prefix + run, []mint.Span{{1, 33}}},
		"longer":        {prefix + run + "tail", []mint.Span{{0, 32}}},
		"short":         {prefix + run[1:] + "!", nil},
		"prefix again":  {prefix + prefix + run, []mint.Span{{4, 36}}},
		"overlapping":   {prefix + run[3:] + "ash_" + run, []mint.Span{{0, 32}, {29, 61}}},
		"cut at end":    {prefix + run[1:], nil},
		"half a prefix": {"ash", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mint.Find(prefix, tc.text); !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// FuzzFind: every span is the prefix and 28 digits, none is missed, and what
// passes Check is found whole.
func FuzzFind(f *testing.F) {
	text := fresh(f)
	for _, seed := range []string{"", text, text + text, "ash_ash_" + text, "x" + text[:31], strings.Repeat("ash_A", 20), text[:29] + text} {
		f.Add(prefix, seed)
	}
	f.Add("", strings.Repeat("A", 30))
	f.Add("aa", strings.Repeat("a", 40))
	f.Fuzz(func(t *testing.T, prefix, text string) {
		last := -1
		spans := mint.Find(prefix, text)
		for _, s := range spans {
			if s.Start <= last || s.End-s.Start != len(prefix)+28 || s.End > len(text) || !strings.HasPrefix(text[s.Start:], prefix) {
				t.Fatalf("%v in %q", s, text)
			}
			if err := mint.Check(prefix, text[s.Start:s.End]); errors.Is(err, mint.ErrForm) {
				t.Fatalf("%v: %v", s, err)
			}
			last = s.Start
		}
		if mint.Check(prefix, text) == nil && !slices.Contains(spans, mint.Span{Start: 0, End: len(text)}) {
			t.Fatalf("%q was not found", text)
		}
	})
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mint.New(prefix); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFindInABody(b *testing.B) {
	body := strings.Repeat(`{"name":"hash_of_something","n":1},`, 3000)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		mint.Find(prefix, body)
	}
}

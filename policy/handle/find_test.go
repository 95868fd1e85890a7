package handle_test

import (
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
)

func fresh(tb testing.TB) string {
	tb.Helper()
	text, err := mint.New(handle.Prefix)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func TestFind(t *testing.T) {
	a, b := fresh(t), fresh(t)
	wrong := a[:10] + a[11:12] + a[10:11] + a[12:] // two neighbours swapped
	if wrong == a {
		wrong = a[:10] + "00" + a[12:]
	}
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"nothing":            {"", nil},
		"prose":              {"the bash_completion and hash_values of stash_1 and ash_ and ash_tray", nil},
		"bare":               {a, []string{a}},
		"in a shape":         {"sk-proj-" + a, []string{a}},
		"in a word":          {"key" + a + "tail", []string{a}},
		"in escaped JSON":    {`{"t":"\n` + a + `"}`, []string{a}},
		"several":            {a + "," + b + a, []string{a, b, a}},
		"mistyped":           {"Bearer " + wrong, []string{wrong}},
		"cut short":          {"Bearer " + a[:25], []string{a[:25]}},
		"too short to mean":  {"Bearer " + a[:19], nil},
		"one too many":       {"Bearer " + wrong + "x", []string{wrong + "x"}},
		"in a hash's name":   {"hash_d41d8cd98f00b204e9800998ecf8427e", nil},
		"a hash by itself":   {"ash_d41d8cd98f00b204e9800998ecf8427e", []string{"ash_d41d8cd98f00b204e9800998ecf8427e"}},
		"prefix twice":       {"ash_" + a, []string{a}},
		"ash before":         {"ash_" + strings.Repeat("0", 25) + a, []string{a}},
		"near miss, then it": {"ash_" + strings.Repeat("0", 17) + a, []string{a}},
	} {
		t.Run(name, func(t *testing.T) {
			found := handle.Find(tc.text)
			if len(found) != len(tc.want) {
				t.Fatalf("got %v, want %v", found, tc.want)
			}
			for i, f := range found {
				if f.Text != tc.want[i] || tc.text[f.Start:f.End] != f.Text {
					t.Errorf("got %v, want %v", f, tc.want[i])
				}
			}
		})
	}
}

// FuzzFind: found pieces are in order, apart and what they say; a handle put
// anywhere into any text is found whole.
func FuzzFind(f *testing.F) {
	text := fresh(f)
	for _, seed := range [][2]string{{"", ""}, {"ash_", text}, {"ash_" + strings.Repeat("0", 24), "x"}, {text[:29], text[3:]}, {"hash_", "ash_" + strings.Repeat("z", 30)}, {text + text[:20], "\xff"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		for _, whole := range []string{before + text + after, before + after} {
			end, hit := 0, false
			for _, f := range handle.Find(whole) {
				if f.Start < end || f.Text != whole[f.Start:f.End] || !strings.HasPrefix(f.Text, handle.Prefix) || len(f.Text) < 20 {
					t.Fatalf("%+v in %q", f, whole)
				}
				end = f.End
				hit = hit || f.Text == text && f.Start == len(before)
			}
			if !hit && whole == before+text+after && !strings.Contains(before+text[:3], text[:4]) {
				t.Fatalf("not found in %q", whole)
			}
		}
	})
}

// FuzzCheck: it accepts exactly what mint makes.
func FuzzCheck(f *testing.F) {
	text := fresh(f)
	for _, seed := range []string{"", text, text[:31], text + "0", strings.ToUpper(text), "ash_0000000000000000000000000000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if ok := handle.Check(s) == nil; ok != (mint.Check(handle.Prefix, s) == nil) || ok && (len(s) != 32 || len(handle.Find(s)) != 1) {
			t.Errorf("%q: %v", s, ok)
		}
	})
}

package redact_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/redact"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/vaulttest"
)

func scrub(tb testing.TB, s *redact.Scrubber, text string) (string, int) {
	tb.Helper()
	clean, n := s.Scrub(who, []byte(text))
	return string(clean), n
}

// cutOff scrubs a text whose end is missing.
func cutOff(tb testing.TB, s *redact.Scrubber, text string) ([]byte, int) {
	tb.Helper()
	clean, found, err := s.Safely(who, []byte(text), true)
	if err != nil {
		tb.Fatal(err)
	}
	return clean, found.Masks
}

func TestEverySpelling(t *testing.T) {
	for _, v := range []string{"sk-proj-Ab3Cd4Ef5Gh6", awkward, "two words and ümlauts 😀 too", "line one\nline two\r\n\ttab", strings.Repeat("k7Qz/9Lm+2Xp", 70), "\xf0\x9f\x98\x80x7Qz9Lm2"} {
		s := keeping(t, v)
		var everything strings.Builder
		for _, in := range spellings(v) {
			everything.WriteString(in.text + "\n")
			for _, around := range []string{"%s", `{"a":"%s"}`, "x=%s&y=z", "\n%s\n", "a%sb", "%s%[1]s"} {
				text := fmt.Sprintf(around, in.text)
				got, n := scrub(t, s, text)
				if n == 0 || strings.Contains(got, in.text) {
					t.Errorf("%s of %.20q in %q: %q", in.how, v, around, got)
				}
			}
		}
		got, _ := scrub(t, s, everything.String())
		checkClean(t, got, v)
	}
}

// checkClean fails when text still has a value in a spelling of any encoder.
func checkClean(tb testing.TB, text string, values ...string) {
	tb.Helper()
	for _, v := range values {
		vaulttest.CanaryOf([]byte(v)).Absent(tb, fmt.Sprintf("%q", text), []byte(text))
	}
}

func TestExactOutput(t *testing.T) {
	const v = "sk-proj-Ab3Cd4Ef5Gh6"
	s := keeping(t, v)
	for in, want := range map[string]string{
		"":                                     "",
		"nothing here":                         "nothing here",
		v:                                      mask,
		v + v:                                  mask + mask,
		`{"key":"` + v + `","n":1}`:            `{"key":"` + mask + `","n":1}`,
		"Bearer " + v + "\n":                   "Bearer " + mask + "\n",
		"sk-proj-" + v:                         "sk-proj-" + mask,
		v[:len(v)-1]:                           v[:len(v)-1],
		v[1:]:                                  v[1:],
		v[:10] + " " + v[10:]:                  mask,
		strings.ToUpper(v):                     mask,
		"dXNlcjpzay1wcm9qLUFiM0NkNEVmNUdoNg==": "dXNlcj" + mask, // "user:" in front; the p has bits of both
		"%73k-proj-Ab3Cd4Ef5Gh6 100%":          mask + " 100%",
		`sk\u002dproj-Ab3Cd4Ef5Gh6\n`:          mask + `\n`,
		"sk&#45;proj-Ab3Cd4Ef5Gh6&":            mask + "&",
	} {
		if got, _ := scrub(t, s, in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// Encodings of encodings that upstreams really produce.
func TestEscapedForms(t *testing.T) {
	const v = "k?>x7~?Qz>?9L>>m4"
	s := keeping(t, v)
	for _, text := range []string{
		`{"auth":"Basic az8+eDd+P1F6Pj85TD4+bTQ="}`, "auth=az8%2BeDd%2BP1F6Pj85TD4%2BbTQ%3D", "&#97;z8+eDd+P1F6Pj85TD4+bTQ=", "%36%623f3e78377e3f517a3e3f394c3e3e6d34",
	} {
		if got, n := scrub(t, s, text); n != 1 {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestOverlap(t *testing.T) {
	values := []string{"abc-Q1e-ghW2", "e-ghW2ij:lE3", "W2ij:lE3mn.pR4", "bc-Q1e-ghW", "zz9Yx8Wv7Ut", "zz9Yx8Wv7Utzz9Yx8Wv7Ut"}
	s := keeping(t, values...)
	for in, want := range map[string]string{
		"<abc-Q1e-ghW2>":                         "<[secret v/0]>",
		"<abc-Q1e-ghW2ij:lE3>":                   "<[secret v/0][secret v/1]>",
		"<abc-Q1e-ghW2ij:lE3mn.pR4>":             "<[secret v/0][secret v/1][secret v/2]>",
		"<bc-Q1e-ghW2>":                          "<[secret v/3]2>", // v/0 is not whole
		"<xbc-Q1e-ghW2ij:lE3>":                   "<x[secret v/3][secret v/1]>",
		"<zz9Yx8Wv7Ut>":                          "<[secret v/4]>",
		"<zz9Yx8Wv7Utzz9Yx8Wv7Ut>":               "<[secret v/5]>",
		"<zz9Yx8Wv7Utzz9Yx8Wv7Utzz9Yx8Wv7Ut>":    "<[secret v/5]>", // two copies of v/5 that overlap
		"<zz9Yx8Wv7Ut zz9Yx8Wv7Utzz9Yx8Wv7Ut>":   "<[secret v/4] [secret v/5]>",
		"<abc-%511e-ghW2ij:lE3mn.pR4>":           "<[secret v/0][secret v/1][secret v/2]>",
		"<abc-Q1e-ghW2abc-Q1e-ghW2ij:lE3mn.pR4>": "<[secret v/0][secret v/0][secret v/1][secret v/2]>",
	} {
		if got, _ := scrub(t, s, in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

func TestSameBytesUnderTwoPaths(t *testing.T) {
	s := keeping(t, "same-Value-1234", "same-Value-1234")
	if got, n := scrub(t, s, "same-Value-1234"); got != "[secret v/0]" || n != 1 {
		t.Fatal(got, n)
	}
}

// A mask beside other text may spell another value, and a path may hold one.
func TestMasksSpellNoValue(t *testing.T) {
	c := &clock{time.Unix(1, 0)}
	s := redact.New(c.now)
	until := c.t.Add(time.Hour)
	s.Keep(who, "a/first-Value-1234", value("first-Value-1234"), until)
	s.Keep(who, "b", value("second-Value-5678"), until)
	s.Keep(who, "c", value("b] and the rest of it"), until)
	got, _ := scrub(t, s, "first-Value-1234, second-Value-5678 and the rest of it")
	if got != "[secret], [secret] and the rest of it" {
		t.Fatal(got)
	}
	checkClean(t, got, "first-Value-1234", "second-Value-5678", "b] and the rest of it")
}

func TestScope(t *testing.T) {
	c := &clock{time.Unix(1, 0)}
	s := redact.New(c.now)
	const v = "sk-proj-Ab3Cd4Ef5Gh6"
	until := c.t.Add(time.Minute)
	s.Keep(who, name, value(v), until)
	t.Run("another principal", func(t *testing.T) {
		if clean, n := s.Scrub("agent:other", []byte(v)); string(clean) != v || n != 0 {
			t.Fatalf("%s", clean)
		}
	})
	t.Run("until the time", func(t *testing.T) {
		for at, want := range map[time.Duration]string{0: mask, time.Minute - 1: mask} {
			c.t = time.Unix(1, 0).Add(at)
			if got, _ := scrub(t, s, v); got != want {
				t.Errorf("after %v: %s", at, got)
			}
		}
	})
	t.Run("kept for longer, not for shorter", func(t *testing.T) {
		s.Keep(who, name, value(v), until.Add(time.Minute))
		s.Keep(who, name, value(v), until)
		c.t = until
		if got, _ := scrub(t, s, v); got != mask {
			t.Fatal(got)
		}
	})
	t.Run("over", func(t *testing.T) {
		c.t = until.Add(time.Minute)
		if got, _ := scrub(t, s, v); got != v {
			t.Fatal(got)
		}
		if s.Keep(who, name, value(v), c.t); true {
			if got, _ := scrub(t, s, v); got != v {
				t.Fatal(got)
			}
		}
	})
	t.Run("the older version too", func(t *testing.T) {
		s.Keep(who, name, value(v), c.t.Add(time.Hour))
		s.Keep(who, name, value("rotated-Qw8Er7Ty6Ui5"), c.t.Add(time.Hour))
		if got, n := scrub(t, s, v+" rotated-Qw8Er7Ty6Ui5"); n != 2 || got != mask+" "+mask {
			t.Fatal(got)
		}
	})
}

// An escape that holds the end of a value and more is masked as a whole.
func TestEscapeIsNotSplit(t *testing.T) {
	s := keeping(t, "Ab3Cd4Ef5Gh6\xc3")
	if got, n := scrub(t, s, `<Ab3Cd4Ef5Gh6\u00e9>`); got != "<"+mask+">" || n != 1 {
		t.Fatal(got)
	}
}

// No guess that is not the whole value makes a difference.
func TestNoOracle(t *testing.T) {
	const v = "sk-proj-Ab3Cd4Ef5Gh6"
	s := keeping(t, v)
	for i := range v {
		for b := range 256 {
			guess := []byte(v)
			guess[i] = byte(b)
			for _, text := range [][]byte{guess, guess[:i+1], guess[i:]} {
				if strings.EqualFold(string(text), v) || i == 2 || i == 7 { // in other case, or with another separator
					continue
				}
				if clean, n := s.Scrub(who, text); n != 0 || !bytes.Equal(clean, text) {
					t.Fatalf("%q became %q", text, clean)
				}
			}
		}
	}
}

func TestScrubCut(t *testing.T) {
	const v = "sk-proj-Ab3Cd4Ef5Gh6"
	s := keeping(t, v)
	filler := strings.Repeat("- ", 5000)
	const margin = 4096
	for cut := 1; cut < len(v); cut++ {
		text := filler + v[:cut]
		clean, n := cutOff(t, s, text)
		if string(clean) != text[:len(text)-margin] || n != 0 {
			t.Fatalf("cut at %d leaves %d bytes and %d masks", cut, len(clean), n)
		}
	}
	// A whole value across the place where text is dropped.
	for before := range len(v) + 1 {
		text := filler + v + strings.Repeat("-", margin-before)
		clean, _ := cutOff(t, s, text)
		want := filler
		if before < len(v) {
			want += mask
		}
		if before == 0 {
			want = filler + mask
		}
		if before == len(v) {
			want = filler
		}
		if string(clean) != want {
			t.Fatalf("%d: ends in %q", before, clean[len(clean)-50:])
		}
	}
	if clean, _ := cutOff(t, s, "short"); len(clean) != 0 {
		t.Fatalf("%s", clean)
	}
}

func TestSafely(t *testing.T) {
	s := redact.New(func() time.Time { panic("broken clock") })
	for _, cut := range []bool{false, true} {
		clean, found, err := s.Safely(who, []byte("text"), cut)
		if !errors.Is(err, redact.ErrWithheld) || clean != nil || found.Masks != 0 {
			t.Fatal(clean, found, err)
		}
	}
	whole := keeping(t, awkward)
	if clean, found, err := whole.Safely(who, []byte("a "+awkward), false); string(clean) != "a "+mask || found.Masks != 1 || err != nil {
		t.Fatal(clean, found, err)
	}
}

func TestConcurrentUse(t *testing.T) {
	c := &clock{time.Unix(1, 0)}
	s := redact.New(c.now)
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			principal := fmt.Sprint("agent:", i%2)
			for n := range 20 {
				v := fmt.Sprintf("value-Number-%d-of-%d-xyz", n, i)
				s.Keep(principal, vault.Path(fmt.Sprint("p/", n)), value(v), c.t.Add(time.Hour))
				if clean, masked := s.Scrub(principal, []byte(v)); masked != 1 || strings.Contains(string(clean), "value-Number") {
					t.Errorf("%s", clean)
				}
			}
		})
	}
	running.Wait()
}

// TestOthersDoNotWait: while the text of one principal is searched, and a value
// waits to be kept for it, the others go on, and so does it.
func TestOthersDoNotWait(t *testing.T) {
	c := &clock{time.Unix(1, 0)}
	s := redact.New(c.now)
	const v = "sk-proj-Ab3Cd4Ef5Gh6"
	keep := func(principal, v string) { s.Keep(principal, name, value(v), c.t.Add(time.Hour)) }
	keep("agent:slow", v)
	done := s.Searching("agent:slow")
	went := make(chan struct{})
	go func() {
		s.Scrub("agent:slow", []byte(v))
		keep(who, v)
		s.Scrub(who, []byte(v))
		go keep("agent:slow", "another-Secret-77")
		for range 100 {
			keep(who, v)
			s.Scrub(who, []byte(v))
			runtime.Gosched()
		}
		close(went)
	}()
	select {
	case <-went:
	case <-time.After(10 * time.Second):
		t.Error("waits")
	}
	done()
}

func TestMaskable(t *testing.T) {
	for v, want := range map[string]bool{
		"": false, "1234": false, "12345678": false, "hunter2": false, "password": false, "password1": false, "letmein123": false,
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": false, "abababababababababababababab": false, "abcdefghijklmnopqrstuvwxyz": false, "0123456789012345678901234567": false,
		"98765432109876543210": false, "xxxxxxxx-xxxxxxxx-xxxxxxxx": false, "[secret]": false, "[withheld]": false, "00000000000000000001": false,
		"sk-proj-Ab3Cd4Ef5Gh6": true, "3f9a1c7e5b2d8064": true, "Tr0ub4dor&3x": true, "correct horse battery": true, "3f9a1c7e5b2d8064e7a9c1f305b8d2e6": true,
		"\x00\xff\x13\x80\x7f\x20a9\x05": true, "qV7mRt2Kx9Bz4Lp8": true, strings.Repeat("x7Qz9Lm2", redact.MaxBytes/8): false, awkward: true,
	} {
		if redact.Maskable(value(v)) != want {
			t.Errorf("%.30q: not %v", v, want)
		}
	}
	s := redact.New(time.Now)
	if s.Keep(who, name, value("1234"), time.Now().Add(time.Hour)) {
		t.Error("kept a PIN")
	}
	if got, n := scrub(t, s, "1234"); got != "1234" || n != 0 {
		t.Error(got)
	}
}

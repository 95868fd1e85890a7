package redact_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/redact"
	"github.com/coatcheck-dev/coatcheck/vault/vaulttest"
)

// TestSplitAtEveryByte: how a text is split over writes makes no difference, in
// any encoding.
func TestSplitAtEveryByte(t *testing.T) {
	for shape, v := range shapes() {
		if len(v) > 100 {
			continue
		}
		s := keeping(t, v)
		for _, e := range vaulttest.Encodings() {
			text, ok := e.Write([]byte("key=" + v + "."))
			if !ok {
				continue
			}
			whole, _ := scrub(t, s, string(text))
			for at := range len(text) + 1 {
				if got := split(t, s, string(text), at); string(got) != whole {
					t.Fatalf("%s, %s, split at %d: %q, want %q", shape, e.Name, at, got, whole)
				}
			}
		}
	}
}

// TestValuesOverEveryBorder puts a value wherever a stream may divide what it
// searches, in bytes and in base64 that goes on for long.
func TestValuesOverEveryBorder(t *testing.T) {
	const v = "sk-proj-Ab3Cd4Ef5Gh6"
	s := keeping(t, v)
	for at := 64<<10 - 2*len(v); at < 64<<10+8; at++ {
		text := strings.Repeat("- ", at/2) + strings.Repeat("-", at%2) + v + strings.Repeat(" -", 40000)
		if got, n := scrub(t, s, text); n != 1 || got != strings.Replace(text, v, mask, 1) {
			t.Fatalf("at %d: %d masks", at, n)
		}
	}
	blob := vaulttest.Encodings()[1]
	for at := 3*(64<<10)/4 - 2*len(v); at < 3*(64<<10)/4+8; at++ {
		text := bytes.Repeat([]byte{0xa5}, 100000)
		copy(text[at:], v)
		encoded, _ := blob.Write(text)
		got, n := scrub(t, s, string(encoded))
		if n != 1 || len(got) > len(encoded)-4*len(v)/3+len(mask) {
			t.Fatalf("base64 at %d: %d masks", at, n)
		}
	}
}

// TestAbortedAtEveryByte: a stream that is left without its end, at any byte,
// has passed on nothing of a value that was not whole.
func TestAbortedAtEveryByte(t *testing.T) {
	const v = "sk-proj-Ab3Cd4Ef5Gh6"
	s := keeping(t, v)
	before := strings.Repeat("- ", 50000)
	for _, e := range vaulttest.Encodings() {
		text, _ := e.Write([]byte(v))
		for n := range len(text) + 1 {
			var left, off bytes.Buffer
			stream, cut := s.Stream(who, &left), s.Stream(who, &off)
			for _, w := range []*redact.Stream{stream, cut} {
				if _, err := w.Write([]byte(before + string(text[:n]))); err != nil {
					t.Fatal(err)
				}
			}
			if err := cut.Cut(); err != nil {
				t.Fatal(err)
			}
			if left.Len() > off.Len() || !strings.HasPrefix(before, off.String()) || off.Len() < len(before)-8<<10 {
				t.Fatalf("%s, %d of %d bytes: %d and %d passed on", e.Name, n, len(text), left.Len(), off.Len())
			}
		}
	}
}

// TestWithheld: what a scrubber cannot do, or takes too long for, shows nothing.
func TestWithheld(t *testing.T) {
	broken := redact.New(func() time.Time { panic("broken clock") })
	stream := broken.Stream(who, io.Discard)
	if n, err := stream.Write([]byte("text")); n != 0 || !errors.Is(err, redact.ErrWithheld) {
		t.Error(n, err)
	}
	if err := stream.Close(); !errors.Is(err, redact.ErrWithheld) {
		t.Error(err)
	}
	if err := stream.Cut(); !errors.Is(err, redact.ErrWithheld) {
		t.Error(err)
	}
	if clean, n := broken.Scrub(who, []byte("text")); string(clean) != "[withheld]" || n != 0 {
		t.Errorf("%s", clean)
	}
}

type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f.error }

func TestErrorsOfTheWriterBehind(t *testing.T) {
	full := errors.New("disk full")
	for name, s := range map[string]*redact.Scrubber{"values": keeping(t, awkward), "none": redact.New(time.Now)} {
		stream := s.Stream(who, failing{full})
		_, err := stream.Write(make([]byte, 200<<10))
		if again := stream.Close(); !errors.Is(err, full) || !errors.Is(again, full) {
			t.Errorf("%s: %v, %v", name, err, again)
		}
	}
}

// hostile are texts made to take long: what decodes, and decodes again.
func hostile(size int) map[string]string {
	nested := func(e string) string {
		out := strings.Repeat("k3y ", 200)
		for _, one := range vaulttest.Encodings() {
			for range 4 {
				if one.Name == e {
					text, _ := one.Write([]byte(out))
					out = string(text)
				}
			}
		}
		return out
	}
	texts := map[string]string{
		"V": "V", "U": "U", "A": "A", "hex": "41", "backslashes": `\`, "percents": "%", "percent 25": "%25", "amp": "&amp;", "zeros": "&#0000000000",
		"equals": "=3D", "soft breaks": "=\n", "quotes": `'"`, "NUL": "\x00", "UTF-16": "a\x00", "plus": "+%2B", "everything": `%25\u0025&#37;=25+''""` + "a\x00",
		"short lines": "AAAAAAAAAAAAAAAA\n", "shorter lines": "AAAAAAAAAAAAAAA\n", "long and short lines": strings.Repeat("AAAAAAAAAAAAAAAA\n", 9) + "AAAAAAAAA\nAAAAAAAAA\n", "indents": "AAAAAAAAAAAAAAAAAAAAAAAA\n                ", "braces": `\u{`, "escapes": "\x1b[", "full width": "\uff21",
		"base64": nested("base64"), "hex of hex": nested("hex"), "base32": nested("base32"), "all percent": nested("percent, every byte"), "all numbers": nested("HTML, every character"),
		"prefix": "sk-proj-Ab3Cd4Ef5Gh", "value": "sk-proj-Ab3Cd4Ef5Gh6",
	}
	for name, unit := range texts {
		texts[name] = strings.Repeat(unit, size/len(unit)+1)[:size]
	}
	return texts
}

// TestHostileText: work, and time with it, goes with the length of a text,
// whatever it holds. Ten times the text may take twenty times the work, where a
// square would take a hundred.
func TestHostileText(t *testing.T) {
	values := []string{"sk-proj-Ab3Cd4Ef5Gh6", awkward, "two words and ümlauts 😀 too"}
	const enough = 1 << 40
	took := func(text string) int { return enough - redact.Within(enough, values, []byte(text)) }
	long := hostile(60 << 10)
	for name, text := range hostile(6 << 10) {
		if short, ten := took(text), took(long[name]); ten > 20*max(short, 6<<10) || ten > 100*60<<10 {
			t.Errorf("%s: 6 KiB take %d, 60 KiB %d", name, short, ten)
		} else {
			t.Logf("%4d a byte  %s", ten/(60<<10), name)
		}
	}
}

// TestStreamMemory: what a stream holds does not grow with what is written.
func TestStreamMemory(t *testing.T) {
	s := keeping(t, "sk-proj-Ab3Cd4Ef5Gh6")
	measure := func(chunks int) uint64 {
		stream := s.Stream(who, io.Discard)
		text := []byte(strings.Repeat(`{"a":"\u0041QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="}`, 1300))
		for range chunks {
			if _, err := stream.Write(text); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		runtime.KeepAlive(stream)
		return m.HeapAlloc
	}
	if few, many := measure(4), measure(100); many > few+4<<20 {
		t.Errorf("%d bytes after 4 writes, %d after 100", few, many)
	}
}

// TestScratchMemory: what is made of a text while it is searched takes a bounded
// number of times its length, whatever it holds and however long a value is.
func TestScratchMemory(t *testing.T) {
	const size, most = 1 << 20, 128
	for name, text := range hostile(size) {
		s := keeping(t, "sk-proj-Ab3Cd4Ef5Gh6", string(random(5, 60000)))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, _, err := s.Safely(who, []byte(text), false); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		runtime.ReadMemStats(&after)
		if times := (after.TotalAlloc - before.TotalAlloc) / size; times > most {
			t.Errorf("%s: %d bytes a byte", name, times)
		} else {
			t.Logf("%4d bytes a byte  %s", times, name)
		}
	}
}

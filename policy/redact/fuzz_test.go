package redact_test

import (
	"bytes"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/redact"
	"github.com/coatcheck-dev/coatcheck/vault/vaulttest"
)

// FuzzScrub: whatever stands around the values, no spelling of one is passed
// on; text that could not spell one comes back as it was; and how the text is
// split makes no difference.
func FuzzScrub(f *testing.F) {
	f.Add("sk-proj-Ab3Cd4Ef5Gh6", "another-Secret-77", "plain text", uint16(0))
	f.Add("abc-Q1e-ghW2", "e-ghW2ij:lE3", "abc-Q1e-ghW2ij:lE3", uint16(1))
	f.Add(awkward, "zz9Yx8Wv7Utzz9Yx8Wv7Ut", `{"a":"\\u0022 %25 &amp; +"}`, uint16(7))
	f.Add("two words, 2 Spaces", "two+words,+2+Spaces", "%", uint16(60))
	f.Add("\\u0041bcdefgh1J", "Abcdefgh1J\\u0041", "\\", uint16(75))
	f.Add("&amp;&lt;XyZ12345", "&<XyZ12345&amp;", "&#x;&#38", uint16(63))
	f.Add("] and the 1st rest", "v/0] and the 1st", "[secret", uint16(2))
	f.Add("\xff\xfe\x00\x80binary9Q", "😀 emoji K3y wide", "\xf0\x9f", uint16(40))
	encodings := vaulttest.Encodings()
	f.Fuzz(func(t *testing.T, a, b, around string, pick uint16) {
		if len(a) > 200 || len(b) > 200 || !redact.Maskable(value(a)) || !redact.Maskable(value(b)) {
			return
		}
		s := keeping(t, a, b)
		write := func(v string, n uint16) string {
			text, ok := encodings[int(n)%len(encodings)].Write([]byte(v))
			if !ok {
				return v
			}
			return string(text)
		}
		one, two := write(a, pick), write(b, pick/7)
		for _, text := range []string{around + one, one + "\n" + around + "\n" + two, one + " " + two, a + b, around + a + b + around} {
			clean, found, err := s.Safely(who, []byte(text), false)
			if err != nil {
				t.Fatal(err)
			}
			if found.Masks == 0 {
				t.Fatalf("%q became %q with no mask", text, clean)
			}
			if split := split(t, s, text, int(pick)%(len(text)+1)); !bytes.Equal(split, clean) {
				t.Fatalf("%q is %q, and %q when split", text, clean, split)
			}
			checkClean(t, string(clean), a, b)
		}
		if clean, n := scrub(t, s, around); n == 0 && clean != around {
			t.Fatalf("%q became %q", around, clean)
		}
	})
}

// split scrubs a text that is written in two parts.
func split(tb testing.TB, s *redact.Scrubber, text string, at int) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := s.Stream(who, &out)
	for _, part := range []string{text[:at], text[at:]} {
		if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
			tb.Fatal(n, err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

package redact_test

import (
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/redact"
)

// FuzzScrub holds the scrubber to a naive search: whatever stands around the
// values, no spelling of one survives, and text without any comes back as it
// was.
func FuzzScrub(f *testing.F) {
	f.Add("sk-proj-Ab3Cd4Ef5Gh6", "another-Secret-77", "plain text", uint16(0))
	f.Add("abc-Q1e-ghW2", "e-ghW2ij:lE3", "abc-Q1e-ghW2ij:lE3", uint16(1))
	f.Add(awkward, "zz9Yx8Wv7Utzz9Yx8Wv7Ut", `{"a":"\\u0022 %25 &amp; +"}`, uint16(7))
	f.Add("two words, 2 Spaces", "two+words,+2+Spaces", "%", uint16(60))
	f.Add("\\u0041bcdefgh1J", "Abcdefgh1J\\u0041", "\\", uint16(75))
	f.Add("&amp;&lt;XyZ12345", "&<XyZ12345&amp;", "&#x;&#38", uint16(63))
	f.Add("] and the 1st rest", "v/0] and the 1st", "[secret", uint16(2))
	f.Add("\xff\xfe\x00\x80binary9Q", "😀 emoji K3y wide", "\xf0\x9f", uint16(40))
	f.Fuzz(func(t *testing.T, a, b, around string, pick uint16) {
		if len(a) > 200 || len(b) > 200 || !redact.Maskable(value(a)) || !redact.Maskable(value(b)) {
			return
		}
		s := keeping(t, a, b)
		forms := append(spellings(a), spellings(b)...)
		one, two := forms[int(pick)%len(forms)], forms[int(pick/7)%len(forms)]
		overlap := ""
		for n := min(len(a), len(b)); n > 0; n-- {
			if strings.HasSuffix(a, b[:n]) {
				overlap = a + b[n:]
				break
			}
		}
		for _, text := range []string{
			around, one.text + around + two.text, around + one.text + two.text, overlap + around, around + overlap + one.text, around + a + b + around,
		} {
			got, n := scrub(t, s, text)
			checkClean(t, got, a, b)
			if again, m := scrub(t, s, got); again != got || m != 0 {
				t.Fatalf("%q is scrubbed again to %q", got, again)
			}
			has := false
			for _, in := range forms {
				has = has || strings.Contains(text, in.text)
			}
			if has && n == 0 || n == 0 && got != text {
				t.Fatalf("%q became %q with %d masks", text, got, n)
			}
			if !has && n > 0 && !strings.ContainsAny(text, `%\&+`) {
				t.Fatalf("%q has no value and became %q", text, got)
			}
		}
	})
}

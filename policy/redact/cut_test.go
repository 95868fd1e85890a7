package redact_test

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

// A text cut at any byte of a value at its end keeps nothing of the value, in
// whatever form: each form is escaped in each way at its greatest length.
func TestCutInEveryForm(t *testing.T) {
	v := strings.Repeat("k7Qz/9Lm+2Xp", 18) // escaped hexadecimal of it is just over 4 KiB
	s := keeping(t, v)
	forms := map[string]string{
		"raw": v, "hex": hex.EncodeToString([]byte(v)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(v))),
		"base64": base64.StdEncoding.EncodeToString([]byte(v)), "base64url": base64.URLEncoding.EncodeToString([]byte(v)),
	}
	escapes := map[string]string{"plain": "%c", "percent": "%%%02x", `\x`: `\x%02x`, `\u`: `\u%04x`, `\U`: `\U%08x`, "decimal": "&#%07d;", "hexadecimal": "&#x%06x;"}
	const before = "- - - "
	for form, text := range forms {
		for how, format := range escapes {
			t.Run(form+" "+how, func(t *testing.T) {
				whole := before + each(text, format)
				if clean, n := s.Scrub(who, []byte(whole)); string(clean) != before+mask || n != 1 {
					t.Fatalf("not known: %d masks", n)
				}
				for cut := len(before) + 1; cut < len(whole); cut++ {
					if cut < 4<<10 && cut%64 != 0 && cut < len(whole)-8 {
						continue // shorter than any margin: nothing is left, whatever it is
					}
					if clean, _ := cutOff(t, s, whole[:cut]); len(clean) > len(before) {
						t.Fatalf("cut at %d of %d bytes leaves %d", cut, len(whole), len(clean))
					}
				}
			})
		}
	}
}

// The same for the shortest values, in base64 that stands between other bytes.
func TestCutOfShortValues(t *testing.T) {
	for _, v := range []string{"\x03Zf~\xf0$7q", "k7Qz/9Lm+2X"} {
		s := keeping(t, v)
		for lead := range 3 {
			around := strings.Repeat("~", lead) + v + "~~"
			whole := each(base64.StdEncoding.EncodeToString([]byte(around)), `\U%08x`)
			for cut := 1; cut < len(whole); cut++ {
				if clean, _ := cutOff(t, s, whole[:cut]); len(clean) > 0 {
					t.Fatalf("%q: cut at %d leaves %d", v, cut, len(clean))
				}
			}
		}
	}
}

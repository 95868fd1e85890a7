package redact_test

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/redact"
)

// TestFoldedAtEveryColumn: a line that is broken behind any letter of a word,
// the value short or beside one that is.
func TestFoldedAtEveryColumn(t *testing.T) {
	const v = "sk-proj-Ab3Cd4Ef5Gh6"
	word := base64.StdEncoding.EncodeToString([]byte("~" + v))
	for _, values := range [][]string{{v}, {v, "kQ7Z!q#x9A"}} {
		s := keeping(t, values...)
		for at := 1; at < len(word); at++ {
			for _, line := range []string{"\n", "\r\n", "\n\t", " \t\r\n", `\n`, "&#10;", `\t\n`} {
				text := "Authorization: Basic " + word[:at] + line + word[at:] + " x"
				if _, n := scrub(t, s, text); n != 1 {
					t.Errorf("%q: %d masks", text, n)
				}
			}
		}
	}
}

// TestEscapeInALaterLine: one letter of a word of many lines is escaped.
func TestEscapeInALaterLine(t *testing.T) {
	v := base64.RawURLEncoding.EncodeToString(random(3, 768))
	s := keeping(t, v)
	word := base64.StdEncoding.EncodeToString([]byte("~" + v))
	for width := 16; width < 80; width += 9 {
		var lines []string
		for at := 0; at < len(word); at += width {
			lines = append(lines, word[at:min(at+width, len(word))])
		}
		for i, line := range lines {
			escaped := append([]string{}, lines...)
			escaped[i] = fmt.Sprintf("&#%d;", line[0]) + line[1:]
			if _, n := scrub(t, s, strings.Join(escaped, "\n")); n != 1 {
				t.Errorf("%d columns, line %d: %d masks", width, i, n)
			}
		}
	}
}

// TestBackslashesOverABorder: what a stream searches at once begins between two
// escapes, so that a pair of backslashes is not taken for the end of one and the
// beginning of another.
func TestBackslashesOverABorder(t *testing.T) {
	s := keeping(t, "sk-proj-Ab3Cd4Ef5Gh6")
	for before := range 1 << 3 {
		for more := range 1 << 3 {
			run := func(n int) string {
				return strings.Repeat("-", before) + strings.Repeat(`\`, n+more) + `\x73k-proj-Ab3Cd4Ef5Gh6`
			}
			_, want := scrub(t, s, run(8))
			if _, n := scrub(t, s, run(72<<10)); n != want {
				t.Errorf("%d backslashes behind %d bytes: %d masks, want %d", 72<<10+more, before, n, want)
			}
		}
	}
}

// TestRunsInAValue: text that is like a part of a value that goes on and on is
// not taken for the value at each byte.
func TestRunsInAValue(t *testing.T) {
	for _, unit := range []string{"A", "25", "abc", "Q7z-"} {
		run := strings.Repeat(unit, 6000/len(unit))
		text := strings.Repeat(" "+run, 10)
		if spent := 1<<30 - redact.Within(1<<30, []string{"k7Qz/9Lm+2Xp" + run + "q8Rt.3Vw"}, []byte(text)); spent > 60*len(text) {
			t.Errorf("%s: %d a byte", unit, spent/len(text))
		}
	}
}

// TestWordsBesideTheirOwnLetters: a word may begin in the middle of what is
// read as one.
func TestWordsBesideTheirOwnLetters(t *testing.T) {
	const v = "sk-proj-Ab3Cd4Ef5Gh6"
	s := keeping(t, v)
	for how, word := range map[string]string{
		"hex": hex.EncodeToString([]byte(v)), "base64": base64.StdEncoding.EncodeToString([]byte(v)), "base32": base32.StdEncoding.EncodeToString([]byte(v)),
		"hex of base64": hex.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte("~" + v)))),
	} {
		for before := range 9 {
			if _, n := scrub(t, s, strings.Repeat("A", before)+word+"AAA"); n != 1 {
				t.Errorf("%s behind %d letters: %d masks", how, before, n)
			}
		}
	}
}

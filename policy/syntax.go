package policy

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// SyntaxError is the first thing wrong with a policy file. Its text quotes
// names of fields, rules, rights and doors, never other content of the file.
type SyntaxError struct {
	File   string // the name given to Parse
	Line   int    // from 1
	Column int    // from 1, in characters
	Msg    string // what is wrong, lower case, without a full stop
	Hint   string // what to write instead; may be empty
}

// Error returns "FILE:LINE:COLUMN: MSG; HINT".
func (e *SyntaxError) Error() string {
	s := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// position is a place in the source, both counted from 1.
type position struct{ line, column int }

// didYouMean returns a hint with the known name nearest to got, or "" when
// none is near.
func didYouMean[T ~string](got string, known []T) string {
	best, bestDistance := "", 1+max(1, len(got)/3)
	for _, k := range known {
		if d := distance(got, string(k)); d < bestDistance {
			best, bestDistance = string(k), d
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean " + best + "?"
}

// distance is the number of single-character insertions, deletions,
// substitutions and swaps of neighbours between a and b (optimal string
// alignment). Texts over 40 bytes count as infinitely far.
func distance(a, b string) int {
	if len(a) > 40 || len(b) > 40 {
		return 1 << 20
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+change)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// word shows a misspelt word with a space before it, or nothing when it is
// none: what stands where a word belongs may be a pasted key.
func word(s string) string {
	if len(s) > 24 || strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune("_-@* ", c)
	}) {
		return ""
	}
	return " " + strconv.Quote(s)
}

// quote shows a name from the file, cut to 40 characters.
func quote(s string) string {
	if utf8.RuneCountInString(s) > 40 {
		s = string([]rune(s)[:40]) + "…"
	}
	return strconv.Quote(s)
}

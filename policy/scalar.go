package policy

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml/ast"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Bounds of what a rule may say.
const (
	maxNameBytes   = 128
	maxReasonBytes = 512
	maxShapeBytes  = 128
	maxList        = 1000 // entries of one list
	maxCount       = 1_000_000
	maxDuration    = 365 * day
	maxQuorum      = 10
)

const day = 24 * time.Hour

// units are the letters of durations and rates, the longest first.
var units = [...]struct {
	letter byte
	per    time.Duration
}{{'d', day}, {'h', time.Hour}, {'m', time.Minute}, {'s', time.Second}}

// duration reads whole days, hours, minutes and seconds in that order, each
// at most once: "15m", "1h30m", "2d". It is 1s to 365d.
func (r *reader) duration(f field) time.Duration {
	const hint = "write it like 90s, 15m, 1h30m or 2d"
	if _, number := f.value.(*ast.IntegerNode); number {
		r.fail(start(f.value), hint, "%s needs a unit of time", f.name)
		return 0
	}
	d, ok := parseDuration(r.text(f.value, f.name))
	switch {
	case !ok:
		r.fail(start(f.value), hint, "%s is not a duration", f.name)
	case d <= 0 || d > maxDuration:
		r.fail(start(f.value), "", "%s is not between 1s and 365d", f.name)
	}
	return d
}

func parseDuration(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	var total time.Duration
	for _, u := range units {
		i := strings.IndexByte(s, u.letter)
		if i < 0 {
			continue
		}
		n, ok := digits(s[:i])
		if !ok {
			return 0, false
		}
		// Too much of one unit must not overflow; the caller refuses the sum.
		total += min(time.Duration(n), maxDuration/u.per+1) * u.per
		s = s[i+1:]
	}
	return total, s == ""
}

// digits reads 1 to 8 decimal digits without a leading zero.
func digits(s string) (int, bool) {
	if s == "" || len(s) > 8 || len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

// rate reads COUNT/UNIT with one of the units s, m, h and d: "60/m".
func (r *reader) rate(f field) Rate {
	const hint = "write it like 10/s, 60/m, 500/h or 1000/d"
	if _, number := f.value.(*ast.IntegerNode); number {
		r.fail(start(f.value), hint, "rate needs a unit of time")
		return Rate{}
	}
	count, unit, found := strings.Cut(r.text(f.value, f.name), "/")
	n, ok := digits(count)
	if !found || !ok || len(unit) != 1 {
		r.fail(start(f.value), hint, "rate is not a number per unit of time")
		return Rate{}
	}
	if n < 1 || n > maxCount {
		r.fail(start(f.value), "", "rate must allow 1 to %d", maxCount)
		return Rate{}
	}
	for _, u := range units {
		if u.letter == unit[0] {
			return Rate{Count: n, Per: u.per}
		}
	}
	r.fail(start(f.value), hint, "rate has an unknown unit")
	return Rate{}
}

// label reads text that people and models see: printable, on one line, not
// blank at either end.
func (r *reader) label(f field, most int) string {
	s := r.text(f.value, f.name)
	at := start(f.value)
	switch {
	case s == "" && r.err == nil:
		r.fail(at, "", "%s is empty", f.name)
	case len(s) > most:
		r.fail(at, "", "%s is longer than %d bytes", f.name, most)
	case strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }):
		r.fail(at, "", "%s has a character that does not print", f.name)
	case s != strings.TrimSpace(s):
		r.fail(at, "", "%s starts or ends with a space", f.name)
	}
	return s
}

// handleMark is where a handle stands in a rule's shape.
const handleMark = "{handle}"

// shape reads how a handle looks: {handle} once, the rest of characters that
// need no escape in a header, a URL query or a JSON text. A letter or digit
// right after the mark would run into the handle's checksum.
func (r *reader) shape(f field) string {
	s := r.text(f.value, f.name)
	at := start(f.value)
	before, after, found := strings.Cut(s, handleMark)
	switch {
	case r.err != nil:
	case !found || strings.Contains(after, handleMark):
		r.fail(at, `write it like "sk-proj-{handle}"`, "shape must have %s exactly once", handleMark)
	case len(s) > maxShapeBytes:
		r.fail(at, "", "shape is longer than %d bytes", maxShapeBytes)
	case strings.ContainsFunc(before+after, func(c rune) bool { return !shapeRune(c) }):
		r.fail(at, "use letters, digits and - _ . ~ : / @ + =", "shape has a character that does not fit everywhere")
	case after != "" && alphanumeric(rune(after[0])):
		r.fail(at, "put a - or _ between them", "shape has a letter or digit right after %s", handleMark)
	}
	return s
}

func shapeRune(c rune) bool { return alphanumeric(c) || strings.ContainsRune("-_.~:/@+=", c) }

func alphanumeric(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// agent reads a glob over agent names, or @stdio.
func (r *reader) agent(n ast.Node) string {
	s := r.text(n, "an agent")
	switch {
	case r.err != nil, s == stdioAgents:
	case s == "":
		r.fail(start(n), `write "*" for every agent`, "an agent's name is empty")
	case s[0] == '@':
		r.fail(start(n), didYouMean(s, []string{stdioAgents}), "unknown group%s; there is %s only", word(s), stdioAgents)
	case len(s) > 64 || strings.ContainsFunc(s, func(c rune) bool { return !alphanumeric(c) && c != '_' && c != '-' && c != '*' }):
		r.fail(start(n), "", "an agent's name has 1 to 64 of A-Z a-z 0-9 _ - and * for any run of them")
	}
	return s
}

// secretPath reads a glob that matches one valid path at least.
func (r *reader) secretPath(n ast.Node) vault.Glob {
	s := r.text(n, "a path")
	if r.err != nil {
		return ""
	}
	switch {
	case s == "":
		r.fail(start(n), `write "*" for every path`, "a path is empty")
	case s[0] == '/':
		r.fail(start(n), "remove it; paths look like production/openai/api-key", "a path starts with a slash")
	case s[len(s)-1] == '/':
		r.fail(start(n), "write /* for everything below", "a path ends with a slash")
	}
	// A star stands for some run of characters: with "x" for each, a glob that
	// matches any path at all becomes a path.
	if _, err := vault.ParsePath(strings.ReplaceAll(s, "*", "x")); err != nil {
		r.fail(start(n), `paths look like "production/openai/*"; * is the only special character`, "%s", err.Error())
	}
	return vault.Glob(s)
}

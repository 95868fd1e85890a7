package condition

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	celsource "cel.dev/cel-go/common"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// Error is the first thing wrong with an expression. Its text quotes nothing of
// the expression but names of functions and types.
type Error struct {
	Line   int    // from 1
	Column int    // from 1, in characters
	Msg    string // lower case, without a full stop
	Hint   string // what to write instead; may be empty
	// Unknown is the name that Msg is about when it is not known, and Known are
	// those it could have been. It is the expression's own text and may be long.
	Unknown string
	Known   []string
}

// Error returns what is wrong and the hint.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Msg
	}
	return e.Msg + "; " + e.Hint
}

func at(l celsource.Location) *Error {
	return &Error{Line: max(1, l.Line()), Column: max(0, l.Column()) + 1}
}

func first(errs *celsource.Errors) *celsource.Error {
	return slices.MinFunc(errs.GetErrors(), func(a, b *celsource.Error) int {
		return cmp.Or(cmp.Compare(a.Location.Line(), b.Location.Line()), cmp.Compare(a.Location.Column(), b.Location.Column()))
	})
}

// mistakes are what people write who know another language, and what CEL has
// for it. The text starts where the parser stopped.
var mistakes = []struct{ text, hint string }{
	{"and ", "write && for and"},
	{"or ", "write || for or"},
	{"= ", "compare with =="},
	{"=", "compare with =="},
	{"if ", "write TEST ? A : B"},
}

// syntaxError makes an Error of the parser's. Its words are not used: they
// quote the text.
func syntaxError(text string, errs *celsource.Errors) *Error {
	one := first(errs)
	bad := at(one.Location)
	switch {
	case strings.Contains(one.Message, "size exceeds limit"):
		bad.Msg, bad.Hint = "the condition is longer than 1024 characters", "make several rules of it"
		return bad
	case strings.Contains(one.Message, "recursion limit"):
		bad.Msg = "the condition is nested more than 32 deep"
		return bad
	}
	bad.Msg = "the condition is not CEL from here on"
	rest := remainder(text, bad.Line, bad.Column)
	if rest == "" {
		bad.Msg = "the condition ends too early"
	}
	for _, m := range mistakes {
		if strings.HasPrefix(rest, m.text) {
			bad.Hint = m.hint
			return bad
		}
	}
	if strings.HasSuffix(strings.TrimSuffix(text, rest), "not ") {
		bad.Hint = "write ! for not"
	}
	return bad
}

// remainder returns what stands at and after a place, up to the end of its
// line.
func remainder(text string, line, column int) string {
	lines := strings.Split(text, "\n")
	if line > len(lines) || column < 1 {
		return ""
	}
	runes := []rune(lines[line-1])
	if column > len(runes) {
		return strings.Join(lines[line:], "\n")
	}
	return string(runes[column-1:])
}

// quoted returns what stands in quotes after prefix and, after the quotes and
// between, what stands in the next ones.
func quoted(message, prefix, between string) (one, two string, ok bool) {
	rest, ok := strings.CutPrefix(message, prefix+"'")
	if !ok {
		return "", "", false
	}
	one, rest, _ = strings.Cut(rest, "'")
	two = strings.TrimSuffix(strings.TrimPrefix(rest, between+"'"), "'")
	return one, two, true
}

// loops are CEL's macros that this package leaves out.
var loops = []string{"all", "exists", "exists_one", "filter", "map"}

func (c *Compiler) typeError(text string, errs *celsource.Errors) *Error {
	one := first(errs)
	bad := at(one.Location)
	if unknown, _, ok := quoted(one.Message, "undeclared reference to ", ""); ok {
		if slices.Contains(loops, unknown) {
			bad.Msg, bad.Hint = "a condition has no loops", "use in, or several rules"
			return bad
		}
		// A call's place is its bracket; its name stands before.
		if width := utf8.RuneCountInString(unknown); strings.HasPrefix(remainder(text, bad.Line, bad.Column-width), unknown+"(") {
			bad.Column -= width
		}
		bad.Msg, bad.Unknown, bad.Known = "unknown name", unknown, c.names
		return bad
	}
	function, arguments, ok := quoted(one.Message, "found no matching overload for ", " applied to ")
	switch {
	case ok:
		bad.Msg = shown(function) + " does not take " + arguments
	case strings.Contains(one.Message, "field selection"):
		bad.Msg, bad.Hint = "only tags has fields", `write tags["team"]`
	default:
		bad.Msg = "the condition's types do not fit here"
	}
	return bad
}

// shown is an operator as it is written, and a function by its name.
func shown(function string) string {
	if display, ok := operators.FindReverse(function); ok && display != "" {
		return display
	}
	switch function {
	case operators.Index:
		return "[]"
	case operators.Conditional:
		return "?:"
	}
	return function
}

func name(t *types.Type) string { return t.String() }

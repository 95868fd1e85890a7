package policy

import (
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"

	"github.com/coatcheck-dev/coatcheck/policy/condition"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// when reads a rule's condition and compiles it.
func (r *reader) when(f field) *condition.Expr {
	text := strings.TrimSpace(r.text(f.value, f.name))
	switch {
	case r.err != nil:
		return nil
	case strings.ContainsFunc(text, func(c rune) bool { return c != '\n' && !unicode.IsPrint(c) }):
		r.fail(start(f.value), "", "when has a character that does not print")
		return nil
	}
	if r.conditions == nil {
		words := map[string][]string{"door": texts(Doors()), "tier": append(texts(vault.Tiers()), "")}
		var err error
		if r.conditions, err = condition.NewCompiler(words); err != nil {
			r.fail(f.at, "", "conditions cannot be compiled: %v", err)
			return nil
		}
	}
	expr, bad := r.conditions.Compile(text)
	if bad != nil {
		msg, hint := bad.Msg, bad.Hint
		if bad.Unknown != "" {
			msg += word(bad.Unknown)
			if hint = didYouMean(bad.Unknown, bad.Known); hint == "" {
				hint = "known are " + strings.Join(slices.DeleteFunc(slices.Clone(bad.Known), func(s string) bool { return s == "" }), ", ")
			}
		}
		r.fail(r.inside(f.value, text, bad.Line, bad.Column), hint, "%s", msg)
	}
	return expr
}

// inside returns where in the file the character stands that has this place in
// a scalar's text. YAML folds lines and escapes characters, but it neither adds
// nor drops what is not blank: so that is what is counted.
func (r *reader) inside(scalar ast.Node, text string, line, column int) position {
	before := 0
	for _, l := range strings.SplitN(text, "\n", line)[:line-1] {
		before += inked(l)
	}
	last := []rune(strings.SplitN(text, "\n", line+1)[line-1])
	before += inked(string(last[:min(column-1, len(last))]))

	at := start(scalar)
	source := newCursor(string(r.src), at)
	return source.skip(before, before == inked(text))
}

// inked counts the characters that are not blank.
func inked(s string) int {
	n := 0
	for _, c := range s {
		if c != ' ' && c != '\n' {
			n++
		}
	}
	return n
}

// cursor is a place in the source of a scalar.
type cursor struct {
	rest  []rune
	at    position
	quote rune // " or ', else 0
}

// newCursor returns a cursor at the first character of the scalar's content.
func newCursor(src string, at position) *cursor {
	lines := strings.SplitN(src, "\n", at.line)
	c := &cursor{rest: []rune(lines[len(lines)-1]), at: position{at.line, 1}}
	c.advance(at.column - 1)
	if len(c.rest) == 0 {
		return c
	}
	switch c.rest[0] {
	case '"', '\'':
		c.quote = c.rest[0]
		c.advance(1)
	case '|', '>':
		c.advance(slices.Index(append(c.rest, '\n'), '\n')) // its header
	}
	return c
}

func (c *cursor) advance(n int) {
	for ; n > 0 && len(c.rest) > 0; n-- {
		if c.rest[0] == '\n' {
			c.at = position{c.at.line + 1, 0}
		}
		c.at.column++
		c.rest = c.rest[1:]
	}
}

// skip passes n characters that are not blank, and then blank ones unless the
// text ends there.
func (c *cursor) skip(n int, end bool) position {
	for len(c.rest) > 0 {
		width, ink := c.width()
		if n == 0 && (end || ink) {
			break
		}
		if ink {
			n--
		}
		c.advance(width)
	}
	return c.at
}

// width is how many characters of the source make the next one of the text, and
// whether that is not blank.
func (c *cursor) width() (width int, ink bool) {
	next := rune(0)
	if len(c.rest) > 1 {
		next = c.rest[1]
	}
	switch first := c.rest[0]; {
	case first == ' ', first == '\n', first == '\r':
		return 1, false
	case first == '\'' && c.quote == '\'':
		return 2, true // doubled
	case first == '\\' && c.quote == '"':
		switch next {
		case '"', '\\', '/':
			return 2, true
		case 'x':
			return 4, true
		case 'u':
			return 6, true
		case 'U':
			return 10, true
		}
		return 2, false // an escaped line end or space
	default:
		return 1, true
	}
}

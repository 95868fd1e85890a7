package dotenv

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// Limits of a text.
const (
	MaxBytes   = 64 << 20
	MaxEntries = 100_000
)

// Entry is one NAME=VALUE.
type Entry struct {
	Name      string
	Line      int          // where it begins, from 1
	Value     secret.Value // may be empty; the zero Value when Reference is set
	Reference vault.Path   // the value is a reference to this secret already
	start     int          // of the value with its quotes, in the text
	end       int
	remark    bool // a comment follows in its line
}

// File is a text that was read.
type File struct {
	Entries []Entry // in their order, no name twice
	text    []byte
}

// SyntaxError says what is wrong in which line.
type SyntaxError struct {
	Line int    // from 1
	Msg  string // a phrase without anything of the text
}

// Error returns "line N: " and the phrase.
func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Msg) }

// Parse reads text, which the File keeps. The error is a *[SyntaxError].
func Parse(text []byte) (*File, error) {
	p := &parser{text: text, line: 1}
	if err := p.checkText(); err != nil {
		return nil, err
	}
	if bytes.HasPrefix(text, []byte("\uFEFF")) {
		p.at = len("\uFEFF")
	}
	f := &File{text: text}
	seen := map[string]int{}
	for p.at < len(text) {
		e, found, err := p.entry()
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		if before, twice := seen[e.Name]; twice {
			return nil, &SyntaxError{e.Line, fmt.Sprintf("the name stands in line %d already", before)}
		}
		if len(f.Entries) == MaxEntries {
			return nil, &SyntaxError{e.Line, fmt.Sprintf("there are more than %d entries", MaxEntries)}
		}
		seen[e.Name] = e.Line
		f.Entries = append(f.Entries, e)
	}
	return f, nil
}

// Replace returns the text with every value that is neither empty nor a
// reference replaced by the one that with returns, written as [Append] does and
// with the same demands on it, which are the caller's to meet; the rest, comments
// and order too, is as it was to the byte.
func (f *File) Replace(with func(Entry) string) []byte {
	out := make([]byte, 0, len(f.text))
	from := 0
	for _, e := range f.Entries {
		if e.Value.IsZero() {
			continue
		}
		out = append(out, f.text[from:e.start]...)
		out = quote(out, []byte(with(e)), e.remark)
		from = e.end
	}
	return append(out, f.text[from:]...)
}

type parser struct {
	text []byte
	at   int
	line int
}

func (p *parser) fail(msg string) error { return &SyntaxError{p.line, msg} }

// checkText refuses what no line may have.
func (p *parser) checkText() error {
	if len(p.text) > MaxBytes {
		return p.fail(fmt.Sprintf("the text is longer than %d bytes", MaxBytes))
	}
	for i := 0; i < len(p.text); {
		r, size := utf8.DecodeRune(p.text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return &SyntaxError{lineOf(p.text, i), "it is not UTF-8 text"}
		case r == '\r' && !bytes.HasPrefix(p.text[i+1:], []byte("\n")), r < ' ' && r != '\n' && r != '\r' && r != '\t', r == 0x7f:
			return &SyntaxError{lineOf(p.text, i), "there is a control character"}
		}
		i += size
	}
	return nil
}

func lineOf(text []byte, at int) int { return 1 + bytes.Count(text[:at], []byte("\n")) }

// entry reads one line, or the lines of one quoted value.
func (p *parser) entry() (e Entry, found bool, err error) {
	p.blanks()
	if p.comment() {
		return e, false, p.lineEnd()
	}
	if p.has("export") && p.at+len("export") < len(p.text) && blank(p.text[p.at+len("export")]) {
		p.at += len("export")
		p.blanks()
	}
	e = Entry{Name: p.name(), Line: p.line}
	if e.Name == "" {
		return e, false, p.fail("it does not begin with a name of letters, digits, _, . and -")
	}
	p.blanks()
	if !p.has("=") {
		return e, false, p.fail("no = follows the name")
	}
	p.at++
	after := p.at
	p.blanks()
	e.start = p.at
	var value []byte
	switch {
	case p.has("#") && p.at > after:
		err = p.fail(comment)
	case p.has("'"):
		value, err = p.quoted('\'')
	case p.has(`"`):
		value, err = p.quoted('"')
	default:
		value, err = p.plain()
	}
	if err != nil {
		return e, false, err
	}
	e.end = p.at
	if len(value) > vault.MaxValueBytes {
		return e, false, &SyntaxError{e.Line, fmt.Sprintf("the value is longer than %d bytes", vault.MaxValueBytes)}
	}
	if e.remark, err = p.rest(); err != nil {
		return e, false, err
	}
	to, is, err := vault.ParseReference(string(value))
	switch {
	case err != nil:
		return e, false, &SyntaxError{e.Line, "what follows " + vault.ReferencePrefix + " names no secret"}
	case is:
		e.Reference = to
	default:
		e.Value = secret.New(value)
	}
	return e, true, nil
}

func (p *parser) has(s string) bool { return bytes.HasPrefix(p.text[p.at:], []byte(s)) }

func blank(c byte) bool { return c == ' ' || c == '\t' }

func (p *parser) blanks() {
	for p.at < len(p.text) && blank(p.text[p.at]) {
		p.at++
	}
}

// ended reports that the line, or the text, ends here.
func (p *parser) ended() bool { return p.at == len(p.text) || p.has("\n") || p.has("\r\n") }

// comment reports that nothing but a comment, or nothing, is left of the line,
// and passes over it.
func (p *parser) comment() bool {
	if !p.has("#") {
		return p.ended()
	}
	for !p.ended() {
		p.at++
	}
	return true
}

func (p *parser) lineEnd() error {
	if p.has("\r") {
		p.at++
	}
	if p.at < len(p.text) {
		p.at++
		p.line++
	}
	return nil
}

// rest takes what may follow a value, and tells whether that is a comment.
func (p *parser) rest() (remark bool, err error) {
	from := p.at
	p.blanks()
	remark = p.has("#")
	if remark && p.at == from || !p.comment() {
		return false, p.fail("text follows the closing quote")
	}
	return remark, p.lineEnd()
}

func (p *parser) name() string {
	start := p.at
	for p.at < len(p.text) && nameByte(p.text[p.at], p.at == start) {
		p.at++
	}
	return string(p.text[start:p.at])
}

func nameByte(c byte, first bool) bool {
	letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
	return letter || !first && (c >= '0' && c <= '9' || c == '.' || c == '-')
}

// plain reads a value without quotes.
func (p *parser) plain() ([]byte, error) {
	start := p.at
	end := start
	for !p.ended() {
		if p.has("#") && p.at > start && blank(p.text[p.at-1]) {
			return nil, p.fail(comment)
		}
		if p.expands() {
			return nil, p.fail(expansion)
		}
		if p.at++; !blank(p.text[p.at-1]) {
			end = p.at
		}
	}
	p.at = end
	if end > start && p.text[end-1] == '\\' {
		return nil, p.fail(`the value ends with \; lines are not joined here: put the value in single quotes`)
	}
	return p.text[start:end], nil
}

// expands reports that here begins what a shell would replace.
func (p *parser) expands() bool { return p.has("${") || p.has("$(") || p.has("`") }

const expansion = "${…}, $(…) and `…` are not expanded here: put the value in single quotes if they belong to it"

const comment = "a # follows a blank, which some read as a comment and some as part of the value: put the value in single quotes, or the comment into a line of its own"

// quoted reads a value in quotes.
func (p *parser) quoted(quote byte) ([]byte, error) {
	opened := p.line
	var value []byte
	for p.at++; p.at < len(p.text); p.at++ {
		c := p.text[p.at]
		switch {
		case c == quote:
			p.at++
			return value, nil
		case c == '\n':
			p.line++
			if p.looksLikeEntry() {
				return nil, &SyntaxError{opened, fmt.Sprintf("the quote is not closed before line %d, which looks like another entry", p.line)}
			}
		case quote == '"' && p.expands():
			return nil, p.fail(expansion)
		case quote == '"' && c == '\\':
			p.at++
			if p.at == len(p.text) {
				return nil, &SyntaxError{opened, "the quote is not closed"}
			}
			i := strings.IndexByte("nrt\\\"$`", p.text[p.at])
			if i < 0 {
				return nil, p.fail(`after \ in double quotes stands one of n r t \ " $ and the backtick: use single quotes for a plain \`)
			}
			c = "\n\r\t\\\"$`"[i]
		}
		value = append(value, c)
	}
	return nil, &SyntaxError{opened, "the quote is not closed"}
}

// looksLikeEntry reports that the next line reads NAME=text. The end of base64,
// a name and nothing but = after it, does not.
func (p *parser) looksLikeEntry() bool {
	line, _, _ := bytes.Cut(p.text[p.at+1:], []byte("\n"))
	q := parser{text: bytes.TrimRight(line, "\r")}
	q.blanks()
	if q.has("export ") || q.has("export\t") {
		q.at += len("export ")
		q.blanks()
	}
	if q.name() == "" || !q.has("=") {
		return false
	}
	return len(bytes.Trim(q.text[q.at:], "= \t'\"")) > 0
}

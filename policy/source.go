package policy

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/scanner"
	"github.com/goccy/go-yaml/token"

	"github.com/coatcheck-dev/coatcheck/policy/condition"
)

// MaxBytes is the size of the largest policy file: 4 MiB, room for 10,000
// rules of 400 bytes.
const MaxBytes = 4 << 20

// What a policy never needs and a hostile file could use to exhaust the
// machine: the YAML parser recurses on depth and takes quadratic time on the
// number of fields of one mapping.
const (
	maxTokens = 1 << 20
	maxDepth  = 8  // of [ and { within each other
	maxIndent = 64 // columns; a policy nests six deep
	maxFields = 64 // of one mapping
)

// reader turns YAML into a policy. The first failure stays; what is read
// after it is thrown away.
type reader struct {
	file string
	src  []byte
	err  *SyntaxError

	conditions *condition.Compiler // nil until a rule has a condition
}

func (r *reader) fail(at position, hint, format string, args ...any) {
	if r.err == nil {
		r.err = &SyntaxError{File: r.file, Line: max(1, at.line), Column: max(1, at.column), Msg: fmt.Sprintf(format, args...), Hint: hint}
	}
}

// document returns the one value the file holds, nil after a failure.
func (r *reader) document(src []byte) (root ast.Node) {
	if r.characters(src); r.err != nil {
		return nil
	}
	// The YAML library has panicked on odd input before; a policy that makes
	// it do so is a broken policy, not the end of the desk.
	defer func() {
		if recover() != nil {
			root = nil
			r.fail(position{}, "", "is not YAML that can be read")
		}
	}()
	tokens := r.tokens(string(src))
	if r.err != nil {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var located interface {
			GetToken() *token.Token
			GetMessage() string
		}
		if errors.As(err, &located) && located.GetToken() != nil {
			r.fail(tokenAt(located.GetToken()), "", "%s", located.GetMessage())
		} else {
			r.fail(position{}, "", "is not YAML that can be read")
		}
		return nil
	}
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case root != nil:
			r.fail(start(doc.Body), "keep one and remove the others", "the file holds more than one document")
		default:
			root = doc.Body
		}
	}
	if root == nil {
		r.fail(position{}, "start with version: 1", "the policy is empty")
	}
	return root
}

// characters refuses what no policy needs: anything but printable characters,
// spaces and line ends. This keeps bidirectional overrides and other
// invisible text out of a file that people review.
func (r *reader) characters(src []byte) {
	if len(src) > MaxBytes {
		r.fail(position{}, "", "the policy is larger than %d bytes", MaxBytes)
		return
	}
	if bytes.HasPrefix(src, []byte("\xef\xbb\xbf")) {
		r.fail(position{}, "save the file as UTF-8 without a byte order mark", "byte order mark at the start")
		return
	}
	at := position{1, 1}
	for i := 0; i < len(src); {
		c, size := utf8.DecodeRune(src[i:])
		switch {
		case c == '\n', c == '\r' && i+1 < len(src) && src[i+1] == '\n':
		case c == utf8.RuneError && size == 1:
			r.fail(at, "save the file as UTF-8", "byte that is not UTF-8")
			return
		case c == '\t':
			r.fail(at, "use spaces", "tab character")
			return
		case !unicode.IsPrint(c):
			r.fail(at, "remove it", "character U+%04X, which does not print", c)
			return
		}
		i += size
		if c == '\n' {
			at = position{at.line + 1, 1}
		} else {
			at.column++
		}
	}
}

// tokens splits the text, and refuses the parts of YAML a policy does without
// and shapes that would cost the parser too much.
func (r *reader) tokens(text string) token.Tokens {
	var (
		s      scanner.Scanner
		tokens token.Tokens
		shape  shape
	)
	s.Init(text)
	for r.err == nil {
		next, err := s.Scan()
		tokens.Add(next...)
		if len(tokens) > maxTokens {
			r.fail(tokenAt(tokens[maxTokens]), "", "the policy has more than %d words and marks", maxTokens)
		}
		if err != nil || len(tokens) > 0 && tokens[len(tokens)-1].Type == token.InvalidType {
			break
		}
	}
	content := false
	for _, tk := range tokens {
		if r.err != nil {
			return nil
		}
		r.admit(tk, content)
		shape.admit(r, tk)
		content = content || tk.Type != token.CommentType
	}
	return tokens
}

// admit refuses tokens by their kind; content tells whether anything but
// comments came before.
func (r *reader) admit(tk *token.Token, content bool) {
	at := tokenAt(tk)
	switch tk.Type { //nolint:exhaustive // the other kinds are fine
	case token.InvalidType:
		hint := ""
		if strings.HasPrefix(tk.Error, "'@'") {
			hint = `put names that start with @ in double quotes: "@stdio"`
		}
		r.fail(at, hint, "%s", tk.Error)
	case token.AliasType:
		r.fail(at, `put patterns that start with * in double quotes: "*"`, "a policy has no YAML aliases")
	case token.AnchorType:
		r.fail(at, "put text that starts with & in double quotes", "a policy has no YAML anchors")
	case token.MergeKeyType:
		r.fail(at, "write the fields out", "a policy has no YAML merge keys")
	case token.TagType:
		r.fail(at, "put text that starts with ! in double quotes", "a policy has no YAML tags")
	case token.DirectiveType:
		r.fail(at, "remove the line", "a policy has no YAML directives")
	case token.MappingKeyType:
		r.fail(at, "write name: value", "a policy has no YAML complex keys")
	case token.DocumentHeaderType:
		if content {
			r.fail(at, "keep one and remove the others", "the file holds more than one document")
		}
	case token.DocumentEndType:
		r.fail(at, "remove the line", "a policy has no end-of-document line")
	}
}

// shape follows nesting and the number of fields as tokens pass.
type shape struct {
	flow   []int              // fields of each open [ or {
	fields [maxIndent + 2]int // fields of the open block mapping at each column
}

func (s *shape) admit(r *reader, tk *token.Token) {
	at := tokenAt(tk)
	switch tk.Type { //nolint:exhaustive // the other kinds open nothing
	case token.SequenceStartType, token.MappingStartType:
		if s.flow = append(s.flow, 0); len(s.flow) > maxDepth {
			r.fail(at, "", "brackets are nested more than %d deep", maxDepth)
		}
	case token.SequenceEndType, token.MappingEndType:
		s.flow = s.flow[:max(0, len(s.flow)-1)]
	case token.SequenceEntryType:
		if len(s.flow) == 0 {
			s.block(r, at)
		}
	case token.MappingValueType:
		if n := len(s.flow); n > 0 {
			s.flow[n-1]++
			s.count(r, at, s.flow[n-1])
			return
		}
		if tk.Prev != nil && tk.Prev.Type != token.SequenceEntryType {
			at = tokenAt(tk.Prev)
		}
		if s.block(r, at) {
			s.fields[at.column]++
			s.count(r, at, s.fields[at.column])
		}
	}
}

// block closes the block mappings to the right of at.
func (s *shape) block(r *reader, at position) bool {
	if at.column < 1 || at.column > maxIndent {
		r.fail(at, "", "text is indented more than %d columns", maxIndent)
		return false
	}
	clear(s.fields[at.column+1:])
	return true
}

func (s *shape) count(r *reader, at position, n int) {
	if n > maxFields {
		r.fail(at, "", "more than %d fields in one place", maxFields)
	}
}

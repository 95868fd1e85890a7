package jsonc

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds nesting. Configuration has a handful of levels.
const maxDepth = 1000

// node is a value in the file, src[start:end].
type node struct {
	kind       byte // first byte: { [ " t f n, or 0 for a number
	start, end int
	text       []byte   // the value's own text, for all but objects and arrays
	members    []member // of an object, in order
	items      []node   // of an array
	comma      int      // offset of a trailing comma, -1 without
}

// member is one member of an object. key is the offset of its name.
type member struct {
	name  string
	key   int
	value node
}

// file is a parsed file. root is nil when there is no value in it.
type file struct {
	src  []byte
	d    Dialect
	pos  int
	root *node
}

var bom = []byte("\xef\xbb\xbf")

func parse(src []byte, d Dialect) (*file, error) {
	f := &file{src: src, d: d}
	for i := 0; i < len(src); {
		r, n := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && n == 1 {
			return nil, f.fail(i, "the file is not UTF-8")
		}
		i += n
	}
	if bytes.HasPrefix(src, bom) {
		f.pos = len(bom)
	}
	if err := f.skip(); err != nil {
		return nil, err
	}
	if f.pos == len(src) {
		return f, nil
	}
	root, err := f.value(0)
	if err != nil {
		return nil, err
	}
	if err := f.skip(); err != nil {
		return nil, err
	}
	if f.pos != len(src) {
		return nil, f.fail(f.pos, "there is text after the end of the value")
	}
	f.root = &root
	return f, nil
}

// fail is a SyntaxError at an offset.
func (f *file) fail(at int, msg string) error {
	before := string(bytes.TrimPrefix(f.src[:at], bom))
	before = strings.ReplaceAll(strings.ReplaceAll(before, "\r\n", "\n"), "\r", "\n")
	line := before[strings.LastIndexByte(before, '\n')+1:]
	return &SyntaxError{Line: strings.Count(before, "\n") + 1, Column: utf8.RuneCountInString(line) + 1, Msg: msg}
}

// peek is the byte at the position, 0 at the end.
func (f *file) peek() byte {
	if f.pos < len(f.src) {
		return f.src[f.pos]
	}
	return 0
}

// skip passes white space and comments.
func (f *file) skip() error {
	for f.pos < len(f.src) {
		switch f.src[f.pos] {
		case ' ', '\t', '\r', '\n':
			f.pos++
		case '/':
			end, msg := commentEnd(f.src, f.pos)
			if msg == "" && f.d == Plain {
				msg = "comments are not allowed in this file"
			}
			if msg != "" {
				return f.fail(f.pos, msg)
			}
			f.pos = end
		default:
			return nil
		}
	}
	return nil
}

// commentEnd is the offset behind the comment at i; the end of its line is not
// part of a // comment.
func commentEnd(src []byte, i int) (end int, msg string) {
	switch rest := src[i:]; {
	case bytes.HasPrefix(rest, []byte("//")):
		if n := bytes.IndexAny(rest, "\r\n"); n >= 0 {
			return i + n, ""
		}
		return len(src), ""
	case bytes.HasPrefix(rest, []byte("/*")):
		if n := bytes.Index(rest[2:], []byte("*/")); n >= 0 {
			return i + 2 + n + 2, ""
		}
		return 0, "this comment does not end"
	}
	return 0, "a value or name is expected here"
}

func (f *file) value(depth int) (n node, err error) {
	if depth > maxDepth {
		return n, f.fail(f.pos, "nested too deep")
	}
	n.start, n.kind, n.comma = f.pos, f.peek(), -1
	switch n.kind {
	case '{', '[':
		err = f.container(&n, depth)
	case '"':
		err = f.str()
	case 't', 'f', 'n':
		for _, word := range []string{"true", "false", "null"} {
			if bytes.HasPrefix(f.src[f.pos:], []byte(word)) {
				f.pos += len(word)
				break
			}
		}
		if f.pos == n.start {
			err = f.fail(f.pos, "a value is expected here")
		}
	default:
		n.kind = 0
		err = f.number()
	}
	if err != nil {
		return n, err
	}
	n.end = f.pos
	if n.kind != '{' && n.kind != '[' {
		n.text = f.src[n.start:n.end]
	}
	return n, nil
}

// container reads an object or array; a loop turn is a member or item and the
// comma behind it.
func (f *file) container(n *node, depth int) error {
	closing := n.kind + 2 // } follows { by two, ] follows [
	f.pos++
	for {
		if err := f.skip(); err != nil {
			return err
		}
		if f.peek() == closing {
			if n.comma >= 0 && f.d == Plain {
				return f.fail(n.comma, "a comma before the end is not allowed in this file")
			}
			f.pos++
			return nil
		}
		if len(n.members)+len(n.items) > 0 && n.comma < 0 {
			return f.fail(f.pos, "a comma or the end of the object or array is expected here")
		}
		if err := f.element(n, depth); err != nil {
			return err
		}
		if err := f.skip(); err != nil {
			return err
		}
		n.comma = -1
		if f.peek() == ',' {
			n.comma = f.pos
			f.pos++
		}
	}
}

func (f *file) element(n *node, depth int) error {
	if n.kind == '[' {
		v, err := f.value(depth + 1)
		n.items = append(n.items, v)
		return err
	}
	m := member{key: f.pos}
	if f.peek() != '"' {
		return f.fail(f.pos, "a name in double quotes is expected here")
	}
	if err := f.str(); err != nil {
		return err
	}
	m.name = unquote(f.src[m.key:f.pos])
	if err := f.skip(); err != nil {
		return err
	}
	if f.peek() != ':' {
		return f.fail(f.pos, "a colon is expected here")
	}
	f.pos++
	if err := f.skip(); err != nil {
		return err
	}
	var err error
	m.value, err = f.value(depth + 1)
	n.members = append(n.members, m)
	return err
}

// str reads a string in its quotes.
func (f *file) str() error {
	start := f.pos
	for f.pos++; f.pos < len(f.src); f.pos++ { // may end one behind, after a last backslash; then nothing is read on
		switch c := f.src[f.pos]; {
		case c == '"':
			f.pos++
			if !json.Valid(f.src[start:f.pos]) { // the escapes
				return f.fail(start, "this string has an escape that JSON does not have")
			}
			return nil
		case c == '\\':
			f.pos++
		case c < ' ':
			return f.fail(f.pos, "this string does not end on its line, or holds a control character")
		}
	}
	return f.fail(start, "this string does not end")
}

// number reads up to what cannot be part of a number, and has encoding/json
// check it.
func (f *file) number() error {
	start := f.pos
	for f.pos < len(f.src) && strings.IndexByte("+-.0123456789Ee", f.src[f.pos]) >= 0 {
		f.pos++
	}
	if !json.Valid(f.src[start:f.pos]) {
		f.pos = start
		return f.fail(start, "a value is expected here")
	}
	return nil
}

// unquote decodes a string that was checked.
func unquote(text []byte) string {
	var s string
	_ = json.Unmarshal(text, &s)
	return s
}

func (n *node) decode() any {
	switch n.kind {
	case '{':
		obj := make(map[string]any, len(n.members))
		for i := range n.members {
			obj[n.members[i].name] = n.members[i].value.decode()
		}
		return obj
	case '[':
		list := make([]any, 0, len(n.items))
		for i := range n.items {
			list = append(list, n.items[i].decode())
		}
		return list
	default:
		var v any
		_ = json.Unmarshal(n.text, &v) // was checked; a number beyond float64 is nil
		return v
	}
}

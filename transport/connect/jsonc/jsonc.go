// Package jsonc sets one member of a JSON file that people edit, and leaves
// every other byte as it is.
//
// The one rule: what [Set] returns is what it was given with text put in, or
// with the value of that one member exchanged; key order, spelling, comments,
// trailing commas, indentation, byte order mark and line ends stay. What does
// not parse is not touched.
//
//	after, err := jsonc.Set(before, jsonc.Comments, entry, "servers", "coatcheck")
//	var bad *jsonc.SyntaxError
//	if errors.As(err, &bad) {
//		return fmt.Errorf("%s:%d:%d: %s", path, bad.Line, bad.Column, bad.Msg)
//	}
//
// The grammar is RFC 8259 in UTF-8, with an optional byte order mark. With
// [Comments] it also has // and /* */ comments and one trailing comma in an
// object or array, as VS Code writes them. A file with nothing but white space
// and comments counts as an empty object.
//
// Choices: a scanner of our own, because the standard library and the JSON
// editors for Go drop comments or reformat, and none is among the dependencies.
// A member that the path needs and that stands twice is refused: programs
// differ in which one they take.
//
// It does not remove members, edit arrays, or tidy.
package jsonc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Dialect says what a file may have beyond RFC 8259.
type Dialect int

// The dialects.
const (
	Plain    Dialect = iota // nothing
	Comments                // comments and trailing commas
)

// SyntaxError is a file that cannot be edited. Msg is a fixed sentence without
// any text of the file.
type SyntaxError struct {
	Line   int // from 1; lines end with LF, CR LF or CR
	Column int // from 1, in characters
	Msg    string
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Msg)
}

// Get returns the member that path leads to, as encoding/json decodes it into
// an any, and whether there is one. A file whose root, or a member on the way,
// is not an object is a [SyntaxError].
func Get(src []byte, d Dialect, path ...string) (v any, ok bool, err error) {
	f, err := parse(src, d)
	if err != nil {
		return nil, false, err
	}
	at := f.root
	for _, name := range path {
		if at == nil {
			return nil, false, nil
		}
		m, err := f.member(at, name)
		if err != nil || m == nil {
			return nil, false, err
		}
		at = &m.value
	}
	if at == nil {
		return nil, false, nil
	}
	return at.decode(), true, nil
}

// Set returns src with the member that path leads to set to v, which is
// encoded with encoding/json. Objects that path needs and that are missing are
// made. The new text follows the file in indentation and line ends; in an
// object written on one line it stays on that line. src is not changed.
func Set(src []byte, d Dialect, v any, path ...string) ([]byte, error) {
	if len(path) == 0 {
		return nil, errors.New("jsonc: no path")
	}
	f, err := parse(src, d)
	if err != nil {
		return nil, err
	}
	out, err := f.set(v, path)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (f *file) set(v any, path []string) ([]byte, error) {
	if f.root == nil {
		return f.create(v, path)
	}
	at := f.root
	inline := f.inline(at, false)
	for i, name := range path {
		m, err := f.member(at, name)
		if err != nil {
			return nil, err
		}
		inline = f.inline(at, inline)
		if m == nil {
			return f.add(at, inline, name, nest(v, path[i+1:]))
		}
		if i == len(path)-1 {
			text, err := f.encode(v, f.lineIndent(m.key), inline)
			return f.splice(m.value.start, m.value.end, text), err
		}
		at = &m.value
	}
	return nil, nil // not reached: the last name returns
}

// nest wraps v into the objects of path.
func nest(v any, path []string) any {
	for _, name := range slices.Backward(path) {
		v = map[string]any{name: v}
	}
	return v
}

// member finds name in an object. Errors: not an object, name twice.
func (f *file) member(obj *node, name string) (*member, error) {
	if obj.kind != '{' {
		return nil, f.fail(obj.start, "this must be an object")
	}
	var found *member
	for i := range obj.members {
		if m := &obj.members[i]; m.name == name {
			if found != nil {
				return nil, f.fail(m.key, "this member stands twice in its object")
			}
			found = m
		}
	}
	return found, nil
}

// inline says whether an object is written on one line: its first member
// follows the brace; an empty one is like the object around it, if it has no
// line end of its own.
func (f *file) inline(obj *node, around bool) bool {
	if len(obj.members) == 0 {
		return around && !bytes.ContainsAny(f.src[obj.start:obj.end], "\r\n")
	}
	return !bytes.ContainsAny(f.src[obj.start:obj.members[0].key], "\r\n")
}

// encode renders v: on one line, or indented with its further lines starting
// with indent.
func (f *file) encode(v any, indent string, inline bool) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if !inline {
		enc.SetIndent(indent, f.unit())
	}
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\n", f.newline()), nil
}

func (f *file) splice(from, to int, text string) []byte {
	out := make([]byte, 0, len(f.src)+len(text))
	out = append(out, f.src[:from]...)
	out = append(out, text...)
	return append(out, f.src[to:]...)
}

package jsonc

import "bytes"

// add puts a new last member into an object.
func (f *file) add(obj *node, inline bool, name string, v any) ([]byte, error) {
	if len(obj.members) == 0 {
		return f.addFirst(obj, inline, name, v)
	}
	last := &obj.members[len(obj.members)-1]
	behind, comma := last.value.end, ","
	if obj.comma >= 0 {
		behind, comma = obj.comma+1, ""
	}
	if inline {
		text, err := f.memberText(name, v, "", true)
		return f.splice(behind, behind, comma+text), err
	}
	// The member goes behind a comment that ends the line of the last one: it
	// speaks of that one.
	at := f.restOfLine(behind)
	indent := f.memberIndent(obj)
	text, err := f.memberText(name, v, indent, false)
	text = comma + string(f.src[behind:at]) + f.newline() + indent + text
	return f.splice(behind, at, text), err
}

// addFirst puts the first member into an empty object, behind the comments in
// it.
func (f *file) addFirst(obj *node, inline bool, name string, v any) ([]byte, error) {
	brace := obj.end - 1
	if inline {
		text, err := f.memberText(name, v, "", true)
		return f.splice(brace, brace, text), err
	}
	outer := f.lineIndent(obj.start)
	indent := outer + f.unit()
	text, err := f.memberText(name, v, indent, false)
	text = f.newline() + indent + text
	// Where the brace stands on a line of its own, the member goes to the end of
	// the line before.
	at := brace
	for at > obj.start+1 && (f.src[at-1] == ' ' || f.src[at-1] == '\t') {
		at--
	}
	if at > obj.start+1 && (f.src[at-1] == '\n' || f.src[at-1] == '\r') {
		if at--; f.src[at] == '\n' && f.src[at-1] == '\r' {
			at--
		}
		return f.splice(at, at, text), err
	}
	return f.splice(brace, brace, text+f.newline()+outer), err
}

// create makes the object of a file that has none.
func (f *file) create(v any, path []string) ([]byte, error) {
	text, err := f.encode(nest(v, path), "", false)
	if n := len(f.src); n > 0 && !bytes.Equal(f.src, bom) && f.src[n-1] != '\n' && f.src[n-1] != '\r' {
		text = f.newline() + text // behind a comment
	}
	return f.splice(len(f.src), len(f.src), text+f.newline()), err
}

func (f *file) memberText(name string, v any, indent string, inline bool) (string, error) {
	key, err := f.encode(name, "", true)
	if err != nil {
		return "", err
	}
	value, err := f.encode(v, indent, inline)
	if inline {
		return key + ":" + value, err
	}
	return key + ": " + value, err
}

// restOfLine passes white space and comments up to the end of the line, if
// nothing else stands there; else it stays.
func (f *file) restOfLine(from int) int {
	at := from
	for at < len(f.src) {
		switch f.src[at] {
		case ' ', '\t':
			at++
		case '\r', '\n':
			return at
		case '/':
			at, _ = commentEnd(f.src, at) // the file was parsed: it ends
		default:
			return from
		}
	}
	return from
}

// newline is the file's first line end; LF when it has none.
func (f *file) newline() string {
	switch i := bytes.IndexAny(f.src, "\r\n"); {
	case i < 0 || f.src[i] == '\n':
		return "\n"
	case bytes.HasPrefix(f.src[i:], []byte("\r\n")):
		return "\r\n"
	}
	return "\r"
}

// unit is one level of indentation: what the first member of the root has more
// than the root; two spaces where that shows nothing.
func (f *file) unit() string {
	if f.root != nil && f.root.kind == '{' && len(f.root.members) > 0 {
		outer, inner := f.lineIndent(f.root.start), f.lineIndent(f.root.members[0].key)
		if len(inner) > len(outer) && inner[:len(outer)] == outer {
			return inner[len(outer):]
		}
	}
	return "  "
}

// memberIndent is how the members of an object are indented.
func (f *file) memberIndent(obj *node) string {
	last := obj.members[len(obj.members)-1].key
	indent := f.lineIndent(last)
	if start := f.lineStart(last); start+len(indent) == last {
		return indent
	}
	return f.lineIndent(obj.start) + f.unit()
}

// lineIndent is the white space at the start of the line of an offset.
func (f *file) lineIndent(at int) string {
	start := f.lineStart(at)
	end := start
	for end < at && (f.src[end] == ' ' || f.src[end] == '\t') {
		end++
	}
	return string(f.src[start:end])
}

func (f *file) lineStart(at int) int {
	return bytes.LastIndexAny(f.src[:at], "\r\n") + 1
}

package policy

import (
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// field is one "name: value" of a mapping.
type field struct {
	name  string
	at    position // of the name
	value ast.Node
}

func tokenAt(tk *token.Token) position {
	if tk == nil || tk.Position == nil {
		return position{}
	}
	return position{tk.Position.Line, tk.Position.Column}
}

// start is where a value begins. The library's own token of a block mapping
// is its first colon, and that of a block text has no column.
func start(n ast.Node) position {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return start(n.Values[0])
		}
	case *ast.MappingValueNode:
		return tokenAt(n.Key.GetToken())
	case *ast.LiteralNode:
		return tokenAt(n.Start)
	}
	return tokenAt(n.GetToken())
}

// kind names what was found where something else belongs.
func kind(n ast.Node) string {
	switch n.(type) {
	case ast.MapNode:
		return "fields"
	case *ast.SequenceNode:
		return "a list"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.NullNode:
		return "nothing"
	default:
		return "text"
	}
}

// fields returns the fields of one of the mappings of the [grammar], in the order
// of the file. Unknown, repeated and empty ones fail. what names the mapping in
// messages.
func (r *reader) fields(n ast.Node, what string) []field {
	return r.mapping(n, what, func(at position, name string) {
		known := grammar[what]
		if slices.Contains(known, name) {
			return
		}
		hint := didYouMean(name, known)
		if hint == "" {
			hint = "known are " + strings.Join(known, ", ")
		}
		r.fail(at, hint, "unknown field%s in %s", word(name), what)
	})
}

// entries returns the fields of a mapping that may have any names.
func (r *reader) entries(n ast.Node, what string) []field {
	return r.mapping(n, what, func(position, string) {})
}

func (r *reader) mapping(n ast.Node, what string, admit func(at position, name string)) []field {
	mapping, ok := n.(ast.MapNode)
	if !ok {
		r.fail(start(n), "write name: value lines", "%s must have fields, not %s", what, kind(n))
		return nil
	}
	var fields []field
	for i := mapping.MapRange(); i.Next(); {
		key, ok := i.Key().(ast.Node)
		at := start(key)
		name, text := key.(*ast.StringNode)
		if !ok || !text {
			r.fail(at, "", "a field's name must be a word, not %s", kind(key))
			return nil
		}
		admit(at, name.Value)
		for _, f := range fields {
			if f.name == name.Value {
				r.fail(at, "keep one of them", "field %s is on line %d already", quote(f.name), f.at.line)
			}
		}
		if _, null := i.Value().(*ast.NullNode); null || i.Value() == nil {
			r.fail(at, "write one, or remove the field", "field %s has no value", quote(name.Value))
			return nil
		}
		fields = append(fields, field{name.Value, at, i.Value()})
	}
	if len(fields) == 0 {
		r.fail(start(n), "", "%s has no fields", what)
	}
	return fields
}

// items returns the entries of a list, which must have one at least.
func (r *reader) items(f field, example string) []ast.Node {
	list, ok := f.value.(*ast.SequenceNode)
	switch {
	case !ok:
		r.fail(start(f.value), "write "+f.name+": ["+example+"]", "%s must be a list, not %s", f.name, kind(f.value))
		return nil
	case len(list.Values) == 0:
		r.fail(start(f.value), "write "+f.name+": ["+example+"]", "%s is an empty list", f.name)
		return nil
	}
	return list.Values
}

// text returns a text; what names it in messages.
func (r *reader) text(n ast.Node, what string) string {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		if n.Value != nil {
			return strings.TrimRight(n.Value.Value, "\n")
		}
	}
	r.fail(start(n), "put it in double quotes", "%s must be text, not %s", what, kind(n))
	return ""
}

// yes returns whether true is written, in lower case.
func (r *reader) yes(f field) bool {
	if n, ok := f.value.(*ast.BoolNode); ok && (n.Token.Value == "true" || n.Token.Value == "false") {
		return n.Value
	}
	r.fail(start(f.value), "write "+f.name+": true, or remove it", "%s must be true or false", f.name)
	return false
}

// number returns a whole number written in plain decimal digits.
func (r *reader) number(f field, least, most int) int {
	digits := ""
	if n, ok := f.value.(*ast.IntegerNode); ok {
		digits = n.Token.Value
	}
	n, err := strconv.Atoi(digits)
	if err != nil || strconv.Itoa(n) != digits || n < least || n > most {
		r.fail(start(f.value), "", "%s must be a whole number from %d to %d", f.name, least, most)
		return 0
	}
	return n
}

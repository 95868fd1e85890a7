package redeem

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Strictest is the way to show an answer that every one of answers allows.
func Strictest(answers []vault.Answer) vault.Show {
	show := vault.ShowFull
	for _, a := range answers {
		if show != vault.ShowStatus && a.Show != vault.ShowFull {
			show = a.Show
		}
	}
	return show
}

// Select returns what every one of answers shows of a JSON document; those that
// show all or nothing do not count. Elements of an array keep their index, with
// null for what is not shown before them. It reports false where body is not
// one document, or nothing of it is left.
func Select(body []byte, answers []vault.Answer) ([]byte, bool) {
	body = bytes.TrimPrefix(body, []byte(mark))
	if !json.Valid(body) {
		return nil, false
	}
	document := json.NewDecoder(bytes.NewReader(body))
	document.UseNumber()
	var value any
	if err := document.Decode(&value); err != nil {
		return nil, false
	}
	for _, a := range answers {
		if a.Show != vault.ShowFields {
			continue
		}
		var some bool
		listed := trees{newTree(a.Fields)}
		if value, some = listed.of(value); !some {
			return nil, false
		}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, false
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), true
}

// tree is a list of pointers by their names; at a leaf all below is shown.
type tree map[string]tree

func newTree(fields []vault.Pointer) tree {
	top := tree{}
	for _, field := range fields {
		at := top
		for _, name := range field.Names() {
			if at[name] == nil {
				at[name] = tree{}
			}
			at = at[name]
		}
		at[leaf] = tree{}
	}
	return top
}

// leaf is no name of a [vault.Pointer], which are printable.
const leaf = "\x00"

// trees are looked at together: "/*/a" and "/0/b" both have a say in element 0.
type trees []tree

// below returns the trees under any of the names.
func (ts trees) below(names ...string) (out trees) {
	for _, t := range ts {
		for _, name := range names {
			if sub, listed := t[name]; listed {
				out = append(out, sub)
			}
		}
	}
	return out
}

// of returns what the trees show of v.
func (ts trees) of(v any) (shown any, some bool) {
	if len(ts.below(leaf)) > 0 {
		return v, true
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for _, t := range ts {
			for name := range t {
				if member, there := v[name]; there {
					if shown, some := ts.below(name).of(member); some {
						out[name] = shown
					}
				}
			}
		}
		return out, len(out) > 0
	case []any:
		out := make([]any, len(v))
		end := 0
		for i, element := range v {
			if shown, some := ts.below(vault.Every, strconv.Itoa(i)).of(element); some {
				out[i], end = shown, i+1
			}
		}
		return out[:end], end > 0
	default:
		return nil, false
	}
}

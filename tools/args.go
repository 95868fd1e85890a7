package tools

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxArgumentBytes bounds the arguments of one call.
const MaxArgumentBytes = 4 << 20

// input is the argument type of a tool. set reads the value of the argument
// name from a, or returns false when there is no such argument; names are
// compared byte for byte.
type input interface {
	set(a *args, name string) bool
}

// args reads the arguments of one call, token by token. The first broken rule
// ends it; it is told by field and rule, never with the value.
type args struct {
	tokens *json.Decoder
	field  string
	broken *Failure
}

// decode fills in from raw, or says what is wrong. schema is the input schema,
// for hints.
func decode(raw json.RawMessage, in input, schema json.RawMessage) *Failure {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	switch {
	case len(raw) > MaxArgumentBytes:
		return badArguments("the arguments are longer than 4 MiB")
	case !utf8.Valid(raw):
		return badArguments("the arguments are not valid UTF-8")
	}
	a := &args{tokens: json.NewDecoder(bytes.NewReader(raw))}
	a.tokens.UseNumber()
	first, err := a.tokens.Token()
	if err != nil || first != json.Delim('{') {
		return badArguments("the arguments are not a JSON object")
	}
	seen := make([]string, 0, 8)
	for a.tokens.More() {
		name := a.key()
		if a.broken != nil {
			return a.broken
		}
		if slices.Contains(seen, name) {
			return badArguments("an argument is given twice")
		}
		seen = append(seen, name)
		if a.field = name; !in.set(a, name) {
			return unknownArgument(name, arguments(schema))
		}
		if a.broken != nil {
			return a.broken
		}
	}
	if _, err := a.tokens.Token(); err != nil {
		return badArguments("the arguments are not valid JSON")
	}
	if _, err := a.tokens.Token(); !errors.Is(err, io.EOF) {
		return badArguments("something follows the arguments")
	}
	return nil
}

func (a *args) key() string {
	name, err := a.tokens.Token()
	text, ok := name.(string)
	if err != nil || !ok {
		a.fail(badArguments("the arguments are not valid JSON"))
	}
	return text
}

func (a *args) fail(f *Failure) {
	if a.broken == nil {
		a.broken = f
	}
}

// breaks records that the current field breaks a rule, which continues the
// sentence that starts with its name.
func (a *args) breaks(rule string) { a.fail(badArgument(a.field, rule)) }

// value returns the next token, which must not open an array or object.
func (a *args) value() any {
	t, err := a.tokens.Token()
	if err != nil {
		a.fail(badArguments("the arguments are not valid JSON"))
		return nil
	}
	return t
}

// text reads a string of at most limit bytes without NUL.
func (a *args) text(limit int) string {
	return a.checkText(a.value(), limit)
}

func (a *args) checkText(t any, limit int) string {
	s, ok := t.(string)
	switch {
	case !ok:
		a.breaks("must be a string")
	case len(s) > limit:
		a.breaks("is longer than " + strconv.Itoa(limit) + " bytes")
	case strings.IndexByte(s, 0) >= 0:
		a.breaks("has a NUL character in it")
	}
	return s
}

// method reads an HTTP method: 1 to 20 capital letters.
func (a *args) method() string {
	s := a.text(maxMethodBytes)
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			a.breaks("must be one word in capitals")
		}
	}
	if s == "" {
		a.breaks("must be one word in capitals")
	}
	return s
}

// oneOf reads one of the given words.
func (a *args) oneOf(words ...string) string {
	s, ok := a.value().(string)
	if ok {
		for _, w := range words {
			if s == w {
				return w
			}
		}
	}
	a.breaks("must be one of " + strings.Join(words, ", "))
	return ""
}

// integer reads a whole number from low to high. 3.0 and 3e0 are refused: a
// model that writes them means something else more often than 3.
func (a *args) integer(low, high int) int {
	number, ok := a.value().(json.Number)
	if !ok {
		a.breaks("must be a whole number")
		return 0
	}
	n, err := strconv.Atoi(number.String())
	switch {
	case errors.Is(err, strconv.ErrSyntax):
		a.breaks("must be a whole number")
	case err != nil || n < low || n > high:
		a.breaks(fmt.Sprintf("must be %d to %d", low, high))
	}
	return n
}

// list reads an array of at most most strings of at most limit bytes each.
func (a *args) list(most, limit int) []string {
	if a.value() != json.Delim('[') {
		a.breaks("must be an array of strings")
		return nil
	}
	out := []string{}
	for a.broken == nil && a.tokens.More() {
		if len(out) == most {
			a.breaks("has more than " + strconv.Itoa(most) + " entries")
			return nil
		}
		out = append(out, a.text(limit))
	}
	if a.broken == nil {
		a.value() // the closing bracket
	}
	return out
}

// boolean reads true or false.
func (a *args) boolean() bool {
	b, ok := a.value().(bool)
	if !ok {
		a.breaks("must be true or false")
	}
	return b
}

// object reads a JSON object of at most limit bytes as it is written.
func (a *args) object(limit int) json.RawMessage {
	var raw json.RawMessage
	switch err := a.tokens.Decode(&raw); {
	case err != nil:
		a.fail(badArguments("the arguments are not valid JSON"))
	case raw[0] != '{':
		a.breaks("must be an object")
	case len(raw) > limit:
		a.breaks("is longer than " + strconv.Itoa(limit) + " bytes")
	}
	return raw
}

// pair is one member of an object of strings.
type pair struct{ name, value string }

// pairs reads an object of strings in the order given: at most most members,
// names of at most 256 bytes, values of at most limit bytes.
func (a *args) pairs(most, limit int) []pair {
	if a.value() != json.Delim('{') {
		a.breaks("must be an object of strings")
		return nil
	}
	var out []pair
	for a.broken == nil && a.tokens.More() {
		name := a.key()
		if len(name) > 256 {
			a.breaks("has a name longer than 256 bytes")
		}
		for _, p := range out {
			if p.name == name {
				a.breaks("has a name twice")
			}
		}
		if len(out) == most {
			a.breaks("has more than " + strconv.Itoa(most) + " members")
		}
		t := a.value()
		if _, ok := t.(string); !ok {
			a.breaks("must be an object of strings")
		}
		out = append(out, pair{name, a.checkText(t, limit)})
	}
	if a.broken == nil {
		a.value() // the closing brace
	}
	return out
}

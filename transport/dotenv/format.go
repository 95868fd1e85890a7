package dotenv

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Append appends NAME=VALUE and a line break, in a form that [Parse] reads back
// to the same bytes: without quotes where nothing could be mistaken, else in
// single or, where it takes escapes, in double quotes. Errors: an
// *[vault.InvalidError] of field "name" or "value" for what the grammar cannot
// say: a value that is empty, no UTF-8 text, longer than [vault.MaxValueBytes]
// or has control characters other than tabs and line breaks; [ErrObeyed].
func Append(b []byte, name string, value []byte) ([]byte, error) {
	if err := CheckName(name); err != nil {
		return b, err
	}
	switch {
	case len(value) == 0:
		return b, &vault.InvalidError{Field: "value", Rule: "is empty"}
	case len(value) > vault.MaxValueBytes:
		return b, &vault.InvalidError{Field: "value", Rule: "is longer than a value may be"}
	case !utf8.Valid(value):
		return b, &vault.InvalidError{Field: "value", Rule: "is not text"}
	case bytes.ContainsFunc(value, control):
		return b, &vault.InvalidError{Field: "value", Rule: "has a control character in it"}
	}
	if strings.ContainsAny(name, ".-") {
		// No name to a shell: without export it would run the line as the name of a
		// program, with it it says that the name is none.
		b = append(b, "export "...)
	}
	b = append(b, name...)
	b = append(b, '=')
	return append(quote(b, value, false), '\n'), nil
}

// CheckName returns the error that [Append] has for a name; [ErrObeyed] tells
// one kind of them.
func CheckName(name string) error {
	switch {
	case !isName(name):
		return &vault.InvalidError{Field: "name", Rule: "is not letters, digits, _, . and - after a letter or _"}
	case isObeyed(name):
		return ErrObeyed
	default:
		return nil
	}
}

func isName(name string) bool {
	for i := range len(name) {
		if !nameByte(name[i], i == 0) {
			return false
		}
	}
	return name != ""
}

func control(r rune) bool {
	return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f
}

// bare are the characters of values that need no quotes anywhere.
const bare = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+,=^-"

// quote appends a value; always says that it takes quotes also where it needs none
// by itself.
func quote(b, value []byte, always bool) []byte {
	switch {
	case !always && len(bytes.Trim(value, bare)) == 0:
		return append(b, value...)
	case !bytes.ContainsAny(value, "'\n\r\t"):
		b = append(b, '\'')
		b = append(b, value...)
		return append(b, '\'')
	}
	b = append(b, '"')
	for _, c := range value {
		if i := strings.IndexByte("\n\r\t\\\"$`", c); i >= 0 {
			b = append(b, '\\', "nrt\\\"$`"[i])
		} else {
			b = append(b, c)
		}
	}
	return append(b, '"')
}

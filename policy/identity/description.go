package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// MaxDescription is how many bytes the description of an agent or a token has at most.
const MaxDescription = 1024

// checkDescription lets only pass what a terminal and a page show as it is.
func checkDescription(s string) error {
	switch {
	case len(s) > MaxDescription:
		return &vault.InvalidError{Field: "description", Rule: "is longer than 1024 bytes"}
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return &vault.InvalidError{Field: "description", Rule: "has a character that cannot be printed"}
	default:
		return nil
	}
}

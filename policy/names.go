package policy

import (
	"slices"
	"strings"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// ParseRight returns the right named s. The error is a *[vault.InvalidError] of
// field "right".
func ParseRight(s string) (Right, error) { return named("right", Right(s), Rights()) }

// ParseDoor returns the door named s, one of [Doors]. The error is a
// *[vault.InvalidError] of field "door".
func ParseDoor(s string) (Door, error) { return named("door", Door(s), Doors()) }

func named[T ~string](field string, name T, known []T) (T, error) {
	if slices.Contains(known, name) {
		return name, nil
	}
	return "", &vault.InvalidError{Field: field, Rule: "is not one of " + strings.Join(texts(known), ", ")}
}

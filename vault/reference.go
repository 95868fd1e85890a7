package vault

import "strings"

// ReferencePrefix starts a reference: text that stands where a value would and
// names a secret instead, "coatcheck://production/app/KEY". It may be shown to
// anybody and opens nothing by itself.
const ReferencePrefix = "coatcheck://"

// Reference returns the text that stands for the secret's value.
func (p Path) Reference() string { return ReferencePrefix + string(p) }

// ParseReference reads text that starts with [ReferencePrefix]; ok is false for
// any other. The error is an *[InvalidError] of field "reference".
func ParseReference(s string) (p Path, ok bool, err error) {
	rest, ok := strings.CutPrefix(s, ReferencePrefix)
	if !ok {
		return "", false, nil
	}
	if p, err = ParsePath(rest); err != nil {
		return "", true, invalid("reference", "does not name a secret after %s", ReferencePrefix)
	}
	return p, true, nil
}

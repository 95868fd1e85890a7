package vault

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// ParseExtra returns the canonical text of a JSON object that is kept with a
// secret: keys sorted, no space, numbers as they were written. "" and {} are "".
// Members that are text are refused: they are tags. It is what the members of
// edition B's metadata that are no text become (CONTRACT R4). The error is an
// *[InvalidError] of field "metadata".
func ParseExtra(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if len(s) > MaxExtraBytes {
		return "", invalid("metadata", "is longer than %d bytes", MaxExtraBytes)
	}
	var members map[string]any
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	err := d.Decode(&members)
	if _, after := d.Token(); err != nil || !errors.Is(after, io.EOF) || members == nil || !utf8.ValidString(s) {
		return "", invalid("metadata", "is not a JSON object")
	}
	if len(members) == 0 {
		return "", nil
	}
	if len(members) > MaxTags {
		return "", invalid("metadata", "has more than %d members", MaxTags)
	}
	for name, member := range members {
		if name == "" {
			return "", invalid("metadata", "has an empty name")
		}
		if err := checkText("metadata", name, MaxTagBytes); err != nil {
			return "", err
		}
		if _, text := member.(string); text {
			return "", invalid("metadata", "has a member that is text, which is a tag")
		}
	}
	text, err := json.Marshal(members)
	switch {
	case err != nil:
		return "", invalid("metadata", "is not a JSON object")
	case len(text) > MaxExtraBytes:
		return "", invalid("metadata", "is longer than %d bytes", MaxExtraBytes)
	}
	return string(text), nil
}

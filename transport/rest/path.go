package rest

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// prefix is what every route of this door starts with.
const prefix = "/v1"

// segment is one part of a request's path between two slashes.
type segment struct {
	raw  string // as it was sent
	text string // decoded once; may have slashes in it
}

// split cuts the escaped path of a request below [prefix] into its segments and
// decodes each once. What no client of either edition sends, and what a proxy
// in front may have read otherwise, is refused: empty and dot segments, also
// those that an encoded slash makes, control characters, text that is not UTF-8
// and text that would decode a second time. The error is a *[vault.InvalidError]
// and repeats nothing.
func split(escaped string) ([]segment, error) {
	rest, ok := strings.CutPrefix(escaped, prefix+"/")
	if !ok {
		return nil, badPath("does not start with /v1/")
	}
	var all []segment
	for raw := range strings.SplitSeq(rest, "/") {
		text, err := url.PathUnescape(raw)
		if err != nil {
			return nil, badPath("has a percent sign without two hexadecimal digits after it")
		}
		if err := checkSegment(text); err != nil {
			return nil, err
		}
		all = append(all, segment{raw, text})
	}
	return all, nil
}

func checkSegment(text string) error {
	if !utf8.ValidString(text) {
		return badPath("is not UTF-8 once decoded")
	}
	for part := range strings.SplitSeq(text, "/") {
		switch {
		case part == "":
			return badPath("has an empty segment")
		case part == "." || part == "..":
			return badPath("has a dot segment")
		case strings.ContainsFunc(part, unicode.IsControl):
			return badPath("has a control character")
		// No name here has a percent sign.
		case strings.Contains(part, "%"):
			return badPath("is encoded twice, or has a percent sign in it")
		}
	}
	return nil
}

// slashed reports that the segment carries a slash in encoded form.
func (s segment) slashed() bool { return strings.Contains(s.text, "/") }

// joined is the path that segments name.
func joined(segments []segment) string {
	texts := make([]string, len(segments))
	for i, s := range segments {
		texts[i] = s.text
	}
	return strings.Join(texts, "/")
}

func badPath(rule string) error {
	return &vault.InvalidError{Field: "the path of the request", Rule: rule}
}

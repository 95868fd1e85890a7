package vault

import "strings"

// Limits of a [Path] (DESIGN §3).
const (
	MaxPathBytes    = 512
	MaxPathSegments = 16
)

// Path names one secret: 1 to 16 segments of [A-Za-z0-9._ -] joined by "/",
// at most 512 bytes, no segment empty, "." or "..". Paths are compared byte for
// byte. A Path made by [ParsePath] is valid; the zero Path is not.
type Path string

// ParsePath checks s and returns it as a Path. The error is an *[InvalidError]
// of field "path"; it names the rule and the segment's number, never the text.
func ParsePath(s string) (Path, error) {
	if err := checkPath(s); err != nil {
		return "", err
	}
	return Path(s), nil
}

func checkPath(s string) error {
	switch {
	case s == "":
		return invalid("path", "is empty")
	case len(s) > MaxPathBytes:
		return invalid("path", "is longer than %d bytes", MaxPathBytes)
	}
	n := 0
	for segment := range strings.SplitSeq(s, "/") {
		n++
		switch {
		case n > MaxPathSegments:
			return invalid("path", "has more than %d segments", MaxPathSegments)
		case segment == "":
			return invalid("path", "segment %d is empty", n)
		case segment == "." || segment == "..":
			return invalid("path", "segment %d is a dot segment", n)
		}
		for i := range len(segment) {
			if !pathByte(segment[i]) {
				return invalid("path", "segment %d has a character outside A-Z a-z 0-9 . _ - and space", n)
			}
		}
	}
	return nil
}

func pathByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '.' || c == '_' || c == '-' || c == ' '
}

// JoinPath returns namespace/key, or key alone when namespace is empty, after
// the checks of [ParsePath].
func JoinPath(namespace, key string) (Path, error) {
	if strings.Contains(key, "/") {
		return "", invalid("key", "has a slash; it belongs in the namespace")
	}
	if namespace == "" {
		return ParsePath(key)
	}
	return ParsePath(strings.TrimSuffix(namespace, "/") + "/" + key)
}

// Namespace is everything before the last "/", empty for a path of one segment.
func (p Path) Namespace() string {
	if i := strings.LastIndexByte(string(p), '/'); i >= 0 {
		return string(p[:i])
	}
	return ""
}

// Key is the last segment.
func (p Path) Key() string { return string(p[strings.LastIndexByte(string(p), '/')+1:]) }

// Ancestors returns every namespace above p, outermost first.
func (p Path) Ancestors() []Path {
	var above []Path
	for i := range len(p) {
		if p[i] == '/' {
			above = append(above, p[:i])
		}
	}
	return above
}

// String returns the path as text.
func (p Path) String() string { return string(p) }

package redeem

import "strings"

const (
	handlePrefix = "ash_"
	handleTail   = 28 // base62 characters after the prefix
)

type found struct {
	start, end int
	text       string
}

// find returns every handle in text. A handle is the prefix and exactly 28
// base62 characters; what follows it is not looked at.
func find(text string) []found {
	var out []found
	for i := 0; ; {
		j := strings.Index(text[i:], handlePrefix)
		if j < 0 {
			return out
		}
		start := i + j
		end := start + len(handlePrefix)
		for end < len(text) && end-start < len(handlePrefix)+handleTail && base62(text[end]) {
			end++
		}
		if end-start == len(handlePrefix)+handleTail {
			out = append(out, found{start, end, text[start:end]})
			i = end
		} else {
			i = start + len(handlePrefix)
		}
	}
}

func base62(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

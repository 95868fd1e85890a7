package redact

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// form is one spelling of a value that the automaton looks for.
type form struct {
	text  string
	entry int // index of the value it spells
	// In base64 the characters at both ends may share their six bits with
	// whatever stands beside the value. They are not part of text; lead and tail
	// tell that one is masked with it.
	lead, tail bool
}

// forms returns every form of value but the escaped ones.
func forms(entry int, value []byte) []form {
	lower := hex.EncodeToString(value)
	out := []form{
		{text: string(value), entry: entry},
		{text: lower, entry: entry},
		{text: strings.ToUpper(lower), entry: entry},
	}
	for offset := range 3 {
		core, lead, tail := base64Core(value, offset)
		out = append(out, form{core, entry, lead, tail})
		if url := strings.NewReplacer("+", "-", "/", "_").Replace(core); url != core {
			out = append(out, form{url, entry, lead, tail})
		}
	}
	return out
}

// base64Core returns the characters that depend on value alone when offset
// bytes (modulo 3) stand before it.
//
//	offset 0   first character is bits 0–5 of the value
//	offset 1   two bits short: the first four bits share a character
//	offset 2   four bits short: the first two bits share a character
func base64Core(value []byte, offset int) (core string, lead, tail bool) {
	padded := append(make([]byte, offset, offset+len(value)), value...)
	all := base64.RawStdEncoding.EncodeToString(padded)
	first := (offset*8 + 5) / 6
	end := len(padded) * 8 / 6
	return all[first:end], offset > 0, len(padded)*8%6 != 0
}

func base64Byte(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '-' || c == '_'
}

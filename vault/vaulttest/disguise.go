package vaulttest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Disguises returns what somebody does to a value by hand, to get it past a
// filter. Nobody can find every one of them.
func Disguises() []Encoding {
	between := func(separator string) func([]byte) string {
		return func(b []byte) string { return strings.Join(strings.Split(string(b), ""), separator) }
	}
	reverse := func(b []byte) []byte {
		runes := []rune(string(b))
		slices.Reverse(runes)
		return []byte(string(runes))
	}
	rotated := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return 'a' + (r-'a'+13)%26
		case r >= 'A' && r <= 'Z':
			return 'A' + (r-'A'+13)%26
		default:
			return r
		}
	}
	swapped := func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}
	full := func(r rune) rune {
		if r > ' ' && r <= '~' {
			return r + 0xfee0
		}
		return r
	}
	mapped := func(f func(rune) rune) func([]byte) string {
		return func(b []byte) string { return string(bytes.Map(f, b)) }
	}
	return []Encoding{
		{"reversed", true, func(b []byte) string { return string(reverse(b)) }, nil},
		{"with hyphens", true, between("-"), nil},
		{"with spaces", true, between(" "), nil},
		{"with dots", true, between("."), nil},
		{"with commas and quotes", true, between(`", "`), nil},
		{"with line breaks", true, between("\n"), nil},
		{"with zero-width spaces", true, between("\u200b"), nil},
		{"with terminal sequences", true, between("\x1b[1;31m"), nil},
		{"with tags", true, between("<wbr>"), nil},
		{"in lines of 16", true, func(b []byte) string { return strings.Join(wrap(string(b), 16), "\n") }, nil},
		{"upper case", true, func(b []byte) string { return strings.ToUpper(string(b)) }, nil},
		{"lower case", true, func(b []byte) string { return strings.ToLower(string(b)) }, nil},
		{"case swapped", true, mapped(swapped), nil},
		{"rot13", true, mapped(rotated), nil},
		{"full width", true, mapped(full), nil},
		{"reversed, with spaces", true, func(b []byte) string { return between(" ")(reverse(b)) }, nil},
		{"hex with colons", false, func(b []byte) string { return strings.Join(wrap(hex.EncodeToString(b), 2), ":") }, nil},
		{"hex with spaces", false, func(b []byte) string { return fmt.Sprintf("% X", b) }, nil},
		{"bytes as hex numbers", false, func(b []byte) string { return byteList(b, "%#x", ", ") }, nil},
		{"bytes as numbers", false, func(b []byte) string { return byteList(b, "%d", ", ") }, nil},
		{"bytes as octal numbers", false, func(b []byte) string { return byteList(b, "%03o", " ") }, nil},
		{"base64 with spaces", false, func(b []byte) string { return between(" ")([]byte(base64.StdEncoding.EncodeToString(b))) }, nil},
		{"base64 of reversed", true, func(b []byte) string { return base64.StdEncoding.EncodeToString(reverse(b)) }, nil},
		{"reversed base64", false, func(b []byte) string { return string(reverse([]byte(base64.StdEncoding.EncodeToString(b)))) }, nil},
		{"xor 1", false, func(b []byte) string {
			out := bytes.Clone(b)
			for i := range out {
				out[i] ^= 1
			}
			return string(out)
		}, nil},
	}
}

func byteList(value []byte, format, separator string) string {
	parts := make([]string, len(value))
	for i, b := range value {
		parts[i] = fmt.Sprintf(format, b)
	}
	return strings.Join(parts, separator)
}

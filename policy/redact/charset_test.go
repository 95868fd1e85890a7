package redact_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"html"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/coatcheck-dev/coatcheck/policy/redact"
)

// TestLatin1: a value whose characters are bytes of Latin-1, and one whose bytes
// are its characters.
func TestLatin1(t *testing.T) {
	const v = "Grün-Müll-7Qz9Lm2"
	replaced := func(how string) string { return strings.ReplaceAll(v, "ü", how) }
	for what, text := range map[string]string{
		"raw": replaced("\xfc"), "percent": replaced("%FC"), "Python": replaced(`\xfc`), "octal": replaced(`\374`),
		"base64": base64.StdEncoding.EncodeToString([]byte("~" + replaced("\xfc"))), "bytes as characters": replaced("Ã¼"), "their escapes": replaced(`\u00c3\u00bc`),
	} {
		if _, n := scrub(t, keeping(t, v), text); n != 1 {
			t.Errorf("%s: %d masks", what, n)
		}
	}
	wider := keeping(t, v+"€")
	for _, text := range []string{replaced("%FC") + "%u20AC", replaced(`\xfc`) + `\u20ac`} {
		if _, n := scrub(t, wider, text); n != 1 {
			t.Errorf("%s: %d masks", text, n)
		}
	}
	const binary = "\xff\xfe\x90\x80binary9Q\xc3xyz"
	var characters strings.Builder
	for i := range len(binary) {
		characters.WriteRune(rune(binary[i]))
	}
	if _, n := scrub(t, keeping(t, binary), characters.String()); n != 1 {
		t.Errorf("binary: %d masks", n)
	}
}

// TestShortUTF16BesideTheOtherEnd: a few characters between text of UTF-16 with
// its bytes the other way round.
func TestShortUTF16BesideTheOtherEnd(t *testing.T) {
	const v = "kü7Z!q#x"
	units := func(order binary.AppendByteOrder) string {
		var text []byte
		for _, u := range utf16.Encode([]rune(v)) {
			text = order.AppendUint16(text, u)
		}
		return string(text)
	}
	for _, text := range []string{"\x00x\x00x" + units(binary.LittleEndian) + "\x00x\x00x", "x\x00x\x00" + units(binary.BigEndian) + "x\x00x\x00"} {
		if _, n := scrub(t, keeping(t, v), text); n != 1 {
			t.Errorf("%q: %d masks", text, n)
		}
	}
}

// TestControlCharactersInWords: escapes in a word are undone whatever
// characters stand beside them.
func TestControlCharactersInWords(t *testing.T) {
	for c := range 0x20 {
		v := fmt.Sprintf("ab<%ccd>Ef5Gh6&Ij7", max(c, 1))
		if _, n := scrub(t, keeping(t, v), base64.StdEncoding.EncodeToString([]byte(html.EscapeString(v)))); n != 1 {
			t.Errorf("%q: %d masks", v, n)
		}
	}
}

// TestValueOfManyEscapes: a value that reads otherwise with each layer of escapes
// undone is looked for in as many forms as a text has layers.
func TestValueOfManyEscapes(t *testing.T) {
	v := "sk-proj-Ab3Cd4Ef5Gh6%" + strings.Repeat("25", redact.MaxBytes/4) + "41"
	s := keeping(t, v)
	if size := s.Footprint(); size > 8*redact.MaxBytes {
		t.Errorf("%d bytes for a value of %d", size, len(v))
	}
	if _, n := scrub(t, s, strings.ReplaceAll(v, "%", "%25")); n != 1 {
		t.Errorf("%d masks", n)
	}
}

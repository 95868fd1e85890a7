// Package mint makes and recognises random text that carries its own checksum:
// handles ("ash_…"), agent keys ("ass_live_…") and whatever else people and
// models copy by hand.
//
// The one rule: what [New] returns cannot be guessed (131 random bits), and a
// copy with a mistake in it is told apart from an unknown one without asking
// anybody.
//
//	text, err := mint.New("ash_")        // ash_6yPq…, 22 random characters and 6 of checksum
//	err = mint.Check("ash_", text)       // nil
//	for _, s := range mint.Find("ash_", body) {
//		use(body[s.Start:s.End])
//	}
//	stored := mint.Hash(text)            // the only thing a database keeps
//
// The format, for a prefix P:
//
//	P | R (22) | C (6)
//	R  characters drawn evenly from 0-9 A-Z a-z ("base62", digits in that order)
//	C  CRC-32 (IEEE) over the bytes of P and R, as a base62 number of six
//	   digits, most significant first, padded with "0"
//
// Choice: base62 with a checksum, as code scanners know it from other
// providers' tokens. The checksum is no secret and proves nothing; it finds
// every single wrong character and every swap of neighbours. A MAC was rejected:
// the random part is already beyond guessing, and a key would have to be on
// every replica.
//
// Not here: who the text belongs to and whether it is still good.
package mint

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"io"
	"strings"
)

// Lengths of the two parts after the prefix, in bytes.
const (
	RandomLen = 22
	CheckLen  = 6
)

const bodyLen = RandomLen + CheckLen

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// The errors of [Check].
var (
	// ErrForm: the text is not the prefix and 28 characters of base62.
	ErrForm = errors.New("text does not have the expected form")
	// ErrChecksum: the form is right and the checksum is not: a mistake in copying.
	ErrChecksum = errors.New("checksum does not fit: the text was mistyped")
)

// New returns fresh text from the system's random source.
func New(prefix string) (string, error) { return From(rand.Reader, prefix) }

// From is [New] with another source of randomness, whose error it returns.
func From(r io.Reader, prefix string) (string, error) {
	text := make([]byte, 0, len(prefix)+bodyLen)
	text = append(text, prefix...)
	var pool [32]byte
	for len(text) < len(prefix)+RandomLen {
		if _, err := io.ReadFull(r, pool[:]); err != nil {
			return "", err
		}
		for _, b := range pool {
			// Bytes from 248 on would favour the first eight letters.
			if b < 248 && len(text) < len(prefix)+RandomLen {
				text = append(text, alphabet[b%62])
			}
		}
	}
	return string(appendDigits(text, uint64(crc32.ChecksumIEEE(text)), CheckLen)), nil
}

// Check reports whether s is text that [New] could have made with that prefix.
// Errors: [ErrForm], [ErrChecksum].
func Check(prefix, s string) error {
	body, ok := strings.CutPrefix(s, prefix)
	if !ok || len(body) != bodyLen || runLen(body) != bodyLen {
		return ErrForm
	}
	signed := s[:len(s)-CheckLen]
	want := appendDigits(make([]byte, 0, CheckLen), uint64(crc32.ChecksumIEEE([]byte(signed))), CheckLen)
	if s[len(signed):] != string(want) {
		return ErrChecksum
	}
	return nil
}

// Span is a half-open range of bytes.
type Span struct{ Start, End int }

// Find returns every place in text where the prefix and 28 base62 characters
// stand, in rising order, whatever their checksum and whatever follows. Two
// spans may overlap when the prefix begins inside the run before it.
func Find(prefix, text string) []Span {
	var found []Span
	for from := 0; ; {
		i := strings.Index(text[from:], prefix)
		if i < 0 {
			return found
		}
		start := from + i
		body := text[start+len(prefix):]
		if runLen(body[:min(len(body), bodyLen)]) == bodyLen {
			found = append(found, Span{Start: start, End: start + len(prefix) + bodyLen})
		}
		if from = start + 1; from > len(text) {
			return found
		}
	}
}

// runLen is how many base62 characters s starts with.
func runLen(s string) int {
	for i := range len(s) {
		if !IsDigit(s[i]) {
			return i
		}
	}
	return len(s)
}

// IsDigit reports whether c is one of 0-9 A-Z a-z.
func IsDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// Hash is what is stored in place of the text: its SHA-256. The text has more
// than 128 random bits, so a slow hash would add nothing.
func Hash(s string) [32]byte { return sha256.Sum256([]byte(s)) }

// ID returns a short public name for text with that hash: the prefix and ten
// base62 digits (59 bits) made of the hash's first eight bytes. It does not
// lead back to the text.
func ID(prefix string, hash [32]byte) string {
	const digits = 10
	var n uint64
	for _, b := range hash[:8] {
		n = n<<8 | uint64(b)
	}
	id := make([]byte, 0, len(prefix)+digits)
	return string(appendDigits(append(id, prefix...), n, digits))
}

// appendDigits appends the last count base62 digits of n.
func appendDigits(b []byte, n uint64, count int) []byte {
	at := len(b)
	for range count {
		b = append(b, '0')
	}
	for i := at + count - 1; i >= at; i-- {
		b[i] = alphabet[n%62]
		n /= 62
	}
	return b
}

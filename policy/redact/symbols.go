package redact

// none is the value of a byte that is not in an alphabet.
const none = 0xff

// symbol is what a byte stands for in each alphabet.
type symbol struct {
	hex, b64  byte
	b32       [2]byte // base32, base32hex
	letter    bool
	alphabets alphabets
	utf8      byte // class
}

// alphabets are those that a byte is in.
type alphabets byte

const (
	in64     alphabets = 1 << iota // base64 of both kinds (RFC 4648 §4, §5)
	inHex                          // of any case
	in32                           // base32 (§6)
	in32Low                        // in lower case
	in32Hex                        // base32hex (§7)
	in32HexL                       // in lower case
	readable                       // not an alphabet: what UTF-8 has, but NUL
)

var symbols = newSymbols()

func newSymbols() (out [256]symbol) {
	for i := range out {
		c := byte(i)
		s := symbol{none, none, [2]byte{none, none}, false, 0, notText}
		upper, lower, digit := c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9'
		s.letter = upper || lower
		switch {
		case upper:
			s.b64, s.b32 = c-'A', [2]byte{c - 'A', c - 'A' + 10}
			s.alphabets |= in64 | in32
		case lower:
			s.b64, s.b32 = c-'a'+26, [2]byte{c - 'a', c - 'a' + 10}
			s.alphabets |= in64 | in32Low
		case digit:
			s.b64, s.b32[1], s.hex = c-'0'+52, c-'0', c-'0'
			s.alphabets |= in64 | in32Hex | in32HexL | inHex
			if c >= '2' && c <= '7' {
				s.b32[0] = c - '2' + 26
				s.alphabets |= in32 | in32Low
			}
		case c == '+' || c == '-':
			s.b64, s.alphabets = 62, in64
		case c == '/' || c == '_':
			s.b64, s.alphabets = 63, in64
		}
		if s.letter && s.b32[1] < 32 {
			if upper {
				s.alphabets |= in32Hex
			} else {
				s.alphabets |= in32HexL
			}
		}
		if s.letter && s.b32[1] < 16 {
			s.hex = s.b32[1]
			s.alphabets |= inHex
		}
		if c != 0 && c != separate {
			s.alphabets |= readable
			switch {
			case c < 0x80:
				s.utf8 = single
			case c < 0xc0:
				s.utf8 = continuation
			default:
				s.utf8 = lead
			}
		}
		out[i] = s
	}
	return out
}

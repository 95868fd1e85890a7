package envelope

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// checker walks over one message. The first broken rule ends it.
type checker struct {
	src    []byte
	at     int
	broken string // the first broken rule, a fixed text

	// The names of all objects that are open, the outermost first: the first
	// ones in place, so that ordinary messages cost no allocation.
	names int
	space [48]name
	more  []name

	found           Message
	version         []byte // jsonrpc as written
	misspelt        bool
	special         bool // params hold more than name, arguments and an ordinary _meta
	result, errored bool
}

// name is a member name: its bytes without quotes, decoded if it has escapes.
type name []byte

func (c *checker) fail(what string) {
	if c.broken == "" {
		c.broken = what
	}
	c.at = len(c.src)
}

// blank skips white space as RFC 8259 §2 defines it.
func (c *checker) blank() {
	for c.at < len(c.src) {
		switch c.src[c.at] {
		case ' ', '\t', '\r', '\n':
			c.at++
		default:
			return
		}
	}
}

const notJSON = "the message is not valid JSON"

// value walks over one value; depth is the number of containers around it.
func (c *checker) value(depth int) {
	if c.at >= len(c.src) {
		c.fail(notJSON)
		return
	}
	switch b := c.src[c.at]; {
	case b == '{':
		c.object(depth+1, other)
	case b == '[':
		c.array(depth + 1)
	case b == '"':
		c.text()
	case b == '-' || b >= '0' && b <= '9':
		c.number()
	case b == 't':
		c.word("true")
	case b == 'f':
		c.word("false")
	case b == 'n':
		c.word("null")
	default:
		c.fail(notJSON)
	}
}

func (c *checker) word(w string) {
	if len(c.src)-c.at < len(w) || string(c.src[c.at:c.at+len(w)]) != w {
		c.fail(notJSON)
		return
	}
	c.at += len(w)
}

func (c *checker) array(depth int) {
	if depth > MaxDepth {
		c.fail("the message is nested too deeply")
		return
	}
	c.at++
	for first := true; ; first = false {
		c.blank()
		if first && c.at < len(c.src) && c.src[c.at] == ']' {
			c.at++
			return
		}
		c.value(depth)
		if c.next(']') {
			return
		}
	}
}

// next moves over the comma between two items, or over the closing bracket and
// returns true; true too when the message is broken.
func (c *checker) next(closing byte) (end bool) {
	c.blank()
	if c.at >= len(c.src) {
		c.fail(notJSON)
		return true
	}
	b := c.src[c.at]
	c.at++
	if b != ',' && b != closing {
		c.fail(notJSON)
	}
	return b != ','
}

// level says whose members an object's are.
type level int

const (
	other level = iota
	envelopeLevel
	paramsLevel
	metaLevel
)

// object walks over an object.
func (c *checker) object(depth int, of level) {
	if depth > MaxDepth {
		c.fail("the message is nested too deeply")
		return
	}
	mine := c.names
	c.at++
	for first := true; ; first = false {
		c.blank()
		if first && c.at < len(c.src) && c.src[c.at] == '}' {
			c.at++
			break
		}
		n := c.name(mine)
		c.blank()
		if c.at >= len(c.src) || c.src[c.at] != ':' {
			c.fail(notJSON)
			break
		}
		c.at++
		c.blank()
		switch of {
		case envelopeLevel:
			c.part(n, depth)
		case paramsLevel:
			c.param(n, depth)
		case metaLevel:
			c.meta(n, depth)
		case other:
			c.value(depth)
		}
		if c.next('}') {
			break
		}
	}
	c.names = mine
	c.more = c.more[:max(mine-len(c.space), 0)]
}

// name reads a member name and compares it with those of the same object.
func (c *checker) name(mine int) name {
	if c.at >= len(c.src) || c.src[c.at] != '"' {
		c.fail(notJSON)
		return nil
	}
	start := c.at
	escaped := c.text()
	if c.broken != "" {
		return nil
	}
	n := name(c.src[start+1 : c.at-1])
	if escaped {
		n = unescape(n)
	}
	for i := mine; i < c.names; i++ {
		if bytes.Equal(n, c.before(i)) {
			c.fail("a member name stands twice in one object")
			return nil
		}
	}
	if c.names-mine == MaxMembers {
		c.fail("an object has too many members")
		return nil
	}
	if c.names < len(c.space) {
		c.space[c.names] = n
	} else {
		c.more = append(c.more, n)
	}
	c.names++
	return n
}

// before returns the name that was read as the i-th.
func (c *checker) before(i int) name {
	if i < len(c.space) {
		return c.space[i]
	}
	return c.more[i-len(c.space)]
}

// text walks over a string and tells whether it has escapes.
func (c *checker) text() (escaped bool) {
	i := c.at + 1
	for i < len(c.src) {
		switch b := c.src[i]; {
		case b == '"':
			c.at = i + 1
			return escaped
		case b == '\\':
			escaped = true
			if i = c.escape(i); i < 0 {
				return escaped
			}
		case b < 0x20:
			c.fail(notJSON)
			return escaped
		case b < utf8.RuneSelf:
			i++
		default:
			r, size := utf8.DecodeRune(c.src[i:])
			if r == utf8.RuneError && size == 1 {
				c.fail("the message is not valid UTF-8")
				return escaped
			}
			i += size
		}
	}
	c.fail(notJSON)
	return escaped
}

// escape returns where the escape at i ends, or -1 when it is broken.
func (c *checker) escape(i int) int {
	if i+1 >= len(c.src) {
		c.fail(notJSON)
		return -1
	}
	switch c.src[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
	default:
		c.fail(notJSON)
		return -1
	}
	switch r := hex4(c.src[i+2:]); {
	case r < 0:
		c.fail(notJSON)
		return -1
	case r == 0:
		c.fail("the message has a NUL character in it")
		return -1
	case r >= 0xDC00 && r <= 0xDFFF:
		c.fail("the message has half a surrogate pair in it")
		return -1
	case r < 0xD800 || r > 0xDFFF:
		return i + 6
	}
	if low := c.src[i+6:]; len(low) < 6 || low[0] != '\\' || low[1] != 'u' || hex4(low[2:]) < 0xDC00 || hex4(low[2:]) > 0xDFFF {
		c.fail("the message has half a surrogate pair in it")
		return -1
	}
	return i + 12
}

// hex4 reads four hexadecimal digits, or returns -1.
func hex4(s []byte) rune {
	if len(s) < 4 {
		return -1
	}
	var r rune
	for _, b := range s[:4] {
		switch {
		case b >= '0' && b <= '9':
			b -= '0'
		case b >= 'a' && b <= 'f':
			b -= 'a' - 10
		case b >= 'A' && b <= 'F':
			b -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(b)
	}
	return r
}

// number walks over a number (RFC 8259 §6) that a float64 can hold.
func (c *checker) number() {
	start := c.at
	if c.src[c.at] == '-' {
		c.at++
	}
	whole := c.digits()
	if whole == 0 || whole > 1 && c.src[c.at-whole] == '0' {
		c.fail(notJSON)
		return
	}
	if c.at < len(c.src) && c.src[c.at] == '.' {
		c.at++
		if c.digits() == 0 {
			c.fail(notJSON)
			return
		}
	}
	power := c.at < len(c.src) && (c.src[c.at] == 'e' || c.src[c.at] == 'E')
	if power {
		c.at++
		if c.at < len(c.src) && (c.src[c.at] == '+' || c.src[c.at] == '-') {
			c.at++
		}
		if c.digits() == 0 {
			c.fail(notJSON)
			return
		}
	}
	if power || whole > 300 {
		if _, err := strconv.ParseFloat(string(c.src[start:c.at]), 64); err != nil {
			c.fail("the message has a number that is too large")
		}
	}
}

func (c *checker) digits() (n int) {
	for c.at < len(c.src) && c.src[c.at] >= '0' && c.src[c.at] <= '9' {
		c.at++
		n++
	}
	return n
}

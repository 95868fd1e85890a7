package envelope

import (
	"bytes"
	"encoding/json"
)

// part walks over one member of the envelope.
func (c *checker) part(n name, depth int) {
	start := c.at
	if string(n) == "params" && c.at < len(c.src) && c.src[c.at] == '{' {
		c.object(depth+1, paramsLevel)
	} else {
		c.value(depth)
	}
	written := c.written(start)
	switch string(n) {
	case "jsonrpc":
		c.version = written
	case "id":
		c.found.ID = written
	case "method":
		c.found.Method = written
	case "params":
		c.found.Params = written
	case "result":
		c.result = true
	case "error":
		c.errored = true
	default:
		c.spelled(n, envelopeNames[:])
	}
}

// param walks over one member of params.
func (c *checker) param(n name, depth int) {
	start := c.at
	if string(n) == "_meta" && c.at < len(c.src) && c.src[c.at] == '{' {
		c.object(depth+1, metaLevel)
		return
	}
	c.value(depth)
	switch string(n) {
	case "_meta":
		c.special = true
	case "name":
		c.found.Tool = plain(c.written(start))
	case "arguments":
		c.found.Arguments = c.written(start)
	case "requestId":
		c.special, c.found.RequestID = true, c.written(start)
	default:
		c.special = true
		c.spelled(n, paramNames[:])
	}
}

// meta walks over one member of params._meta, whose names are free.
func (c *checker) meta(n name, depth int) {
	start := c.at
	c.value(depth)
	if string(n) == metaVersion {
		c.special, c.found.Version = true, plain(c.written(start))
	}
}

// written returns what was walked over since start.
func (c *checker) written(start int) []byte {
	if c.broken != "" {
		return nil
	}
	return c.src[start:c.at]
}

// plain takes the quotes off a string without escapes; nil for anything else.
func plain(written []byte) []byte {
	if len(written) < 2 || written[0] != '"' || bytes.IndexByte(written, '\\') >= 0 {
		return nil
	}
	return written[1 : len(written)-1]
}

// spelled notes a name that is one of the known ones but for its case.
// encoding/json would take it for that one.
func (c *checker) spelled(n name, known []string) {
	for _, k := range known {
		if len(n) >= len(k) && string(n) != k && equalFold(n, k) {
			c.misspelt = true
		}
	}
}

// equalFold compares as encoding/json does: the long s and the Kelvin sign are
// letters too.
func equalFold(n name, k string) bool {
	return (n[0]|0x20 == k[0]|0x20 || n[0] >= 0x80) && bytes.EqualFold(n, []byte(k))
}

// unescape decodes a checked name. Names with escapes are rare enough for
// encoding/json.
func unescape(n name) name {
	var text string
	if json.Unmarshal(append(append([]byte{'"'}, n...), '"'), &text) != nil {
		return n
	}
	return name(text)
}

package mcp

import (
	"context"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
)

// direct makes a tools/call of the older revisions straight with its tool and
// returns the answer; false when m is anything else. mcp-go decodes such a
// message five times and encodes the answer three times, which together cost more
// than the tool; a test holds the two ways to the same answer.
func (s *Server) direct(ctx context.Context, who identity.Principal, m envelope.Message) ([]byte, bool) {
	if !m.Plain || string(m.Method) != string(mcp.MethodToolsCall) {
		return nil, false
	}
	tool, known := s.tools[string(m.Tool)]
	if !known {
		return nil, false
	}
	return appendResult(make([]byte, 0, 2048), m.ID, s.call(ctx, tool, who, m.Arguments)), true
}

// appendResult appends the answer to a tools/call of the revisions before
// 2026-07-28: what mcp-go would send. structured is compact JSON.
func appendResult(dst, id []byte, got tools.Result) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	dst = append(dst, id...)
	dst = append(dst, `,"result":{"content":[{"type":"text","text":`...)
	if got.Failure != nil {
		dst = appendQuoted(dst, got.Failure.JSON())
		return append(dst, `}],"isError":true}}`...)
	}
	dst = appendQuoted(dst, got.Text)
	dst = append(dst, `}],"structuredContent":`...)
	dst = append(dst, got.Structured...)
	return append(dst, "}}"...)
}

const hexDigits = "0123456789abcdef"

// appendQuoted appends s as a JSON string (RFC 8259 §7). Bytes that are not
// UTF-8 become U+FFFD; U+2028 and U+2029 are escaped, for readers that take
// JSON for JavaScript.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b >= 0x20 && b != '"' && b != '\\' && b < utf8.RuneSelf {
			i++
			continue
		}
		size, escape := 1, ""
		switch {
		case b == '"' || b == '\\':
			dst = append(append(dst, s[start:i]...), '\\', b)
		case b == '\n':
			escape = `\n`
		case b < 0x20:
			dst = append(append(dst, s[start:i]...), '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&0xF])
		default:
			var r rune
			switch r, size = utf8.DecodeRuneInString(s[i:]); {
			case r == utf8.RuneError && size == 1:
				escape = `\ufffd`
			case r == '\u2028':
				escape = `\u2028`
			case r == '\u2029':
				escape = `\u2029`
			default:
				i += size
				continue
			}
		}
		if escape != "" {
			dst = append(append(dst, s[start:i]...), escape...)
		}
		i += size
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

package vaulttest

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"mime/quotedprintable"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Encoding is one way in which programs write bytes. It is the list that every
// test about leaks uses: what a scrubber has to find, what a canary looks for,
// what an echoing server answers with.
type Encoding struct {
	Name string
	// Text says that it writes characters: bytes that are no UTF-8, and NUL, are
	// lost in it.
	Text  bool
	write func(text []byte) string
	inner *Encoding // what the text is written in first
}

// Write returns text in the encoding, or false when it cannot write it.
func (e Encoding) Write(text []byte) (_ []byte, ok bool) {
	if e.inner != nil {
		if text, ok = e.inner.Write(text); !ok {
			return nil, false
		}
	}
	if e.Text && (!utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0) {
		return nil, false
	}
	return []byte(e.write(text)), true
}

// Around writes value between two other texts. left is the most that may be left
// of that once the value in it is masked, beside the mask: what the two texts
// take, with their padding, and what the value's neighbours share with it.
func (e Encoding) Around(before, value, after string) (text []byte, left int, ok bool) {
	if text, ok = e.Write([]byte(before + value + after)); !ok {
		return nil, 0, false
	}
	for n := range 5 {
		around, _ := e.Write([]byte(before + "~~~~"[:n] + after))
		left = max(left, len(around))
	}
	eight, _ := e.Write([]byte("~~~~~~~~"))
	return text, left + 4 + 2*len(eight), true
}

// Then returns the encoding of what e writes in another one.
func (e Encoding) Then(outer Encoding) Encoding {
	if outer.inner != nil {
		e = e.Then(*outer.inner)
	}
	return Encoding{e.Name + ", then " + outer.Name, outer.Text, outer.write, &e}
}

// Encodings returns what the encoders of languages, formats and shells make of
// a text. Nothing but the text goes in.
func Encodings() []Encoding {
	return slices.Concat(binaryEncodings(), percentEncodings(), textEncodings(), languageEncodings())
}

func binaryEncodings() []Encoding {
	lines := func(e *base64.Encoding, width int, end string) func([]byte) string {
		return func(b []byte) string { return strings.Join(wrap(e.EncodeToString(b), width), end) }
	}
	mixed := func(b []byte) string {
		out := hex.AppendEncode(nil, b)
		for i := range out {
			if i%3 == 0 {
				out[i] = bytes.ToUpper(out[i : i+1])[0]
			}
		}
		return string(out)
	}
	units := func(order binary.AppendByteOrder) func([]byte) string {
		return func(b []byte) (out string) {
			var text []byte
			for _, u := range utf16.Encode([]rune(string(b))) {
				text = order.AppendUint16(text, u)
			}
			return string(text)
		}
	}
	return []Encoding{
		{"raw", false, func(b []byte) string { return string(b) }, nil},
		{"base64", false, base64.StdEncoding.EncodeToString, nil},
		{"base64 unpadded", false, base64.RawStdEncoding.EncodeToString, nil},
		{"base64url", false, base64.URLEncoding.EncodeToString, nil},
		{"base64url unpadded", false, base64.RawURLEncoding.EncodeToString, nil},
		{"base64 MIME", false, lines(base64.StdEncoding, 76, "\r\n"), nil},
		{"base64 PEM", false, lines(base64.StdEncoding, 64, "\n"), nil},
		{"base64 PEM, indented", false, lines(base64.StdEncoding, 64, "\n    "), nil},
		{"base32", false, base32.StdEncoding.EncodeToString, nil},
		{"base32 unpadded", false, base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString, nil},
		{"base32 lower case", false, func(b []byte) string { return strings.ToLower(base32.StdEncoding.EncodeToString(b)) }, nil},
		{"base32hex", false, base32.HexEncoding.EncodeToString, nil},
		{"base32hex lower case", false, func(b []byte) string { return strings.ToLower(base32.HexEncoding.EncodeToString(b)) }, nil},
		{"hex", false, hex.EncodeToString, nil},
		{"upper-case hex", false, func(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) }, nil},
		{"mixed-case hex", false, mixed, nil},
		{"UTF-16LE", true, units(binary.LittleEndian), nil},
		{"UTF-16BE", true, units(binary.BigEndian), nil},
		{"quoted-printable", false, func(b []byte) string {
			var out strings.Builder
			w := quotedprintable.NewWriter(&out)
			w.Binary = true
			_, _ = w.Write(b)
			_ = w.Close()
			return out.String()
		}, nil},
	}
}

func percentEncodings() []Encoding {
	query := func(b []byte) string { return url.QueryEscape(string(b)) }
	component := strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*")
	return []Encoding{
		{"query-escaped", false, query, nil},
		{"query-escaped, lower case", false, func(b []byte) string { return lowerEscapes(query(b)) }, nil},
		{"path-escaped", false, func(b []byte) string { return url.PathEscape(string(b)) }, nil},
		{"encodeURIComponent", false, func(b []byte) string { return component.Replace(query(b)) }, nil},
		{"percent, every byte", false, func(b []byte) string { return each(b, "%%%02x") }, nil},
		{"PERCENT, EVERY BYTE", false, func(b []byte) string { return each(b, "%%%02X") }, nil},
	}
}

func textEncodings() []Encoding {
	runes := func(format string) func([]byte) string {
		return func(b []byte) string { return eachRune(b, format) }
	}
	units := func(b []byte) string {
		var out strings.Builder
		for _, u := range utf16.Encode([]rune(string(b))) {
			fmt.Fprintf(&out, `\u%04X`, u)
		}
		return out.String()
	}
	named := strings.NewReplacer("&#39;", "&apos;", "&#34;", "&quot;", "/", "&sol;", "=", "&equals;", "+", "&plus;")
	return []Encoding{
		{"JSON", true, func(b []byte) string { return jsonText(string(b), true) }, nil},
		{"JSON, HTML left", true, func(b []byte) string { return jsonText(string(b), false) }, nil},
		{"JSON, slashes too", true, func(b []byte) string { return strings.ReplaceAll(jsonText(string(b), false), "/", `\/`) }, nil},
		{"JSON, every character", true, units, nil},
		{"HTML", true, func(b []byte) string { return html.EscapeString(string(b)) }, nil},
		{"HTML, named", true, func(b []byte) string { return named.Replace(html.EscapeString(string(b))) }, nil},
		{"HTML, decimal", true, func(b []byte) string { return entities(string(b), "&#%d;") }, nil},
		{"HTML, hex", true, func(b []byte) string { return entities(string(b), "&#x%x;") }, nil},
		{"HTML, every character", true, runes("&#%d;"), nil},
		{"HTML, every character, hex", true, runes("&#x%X;"), nil},
		{"HTML, zeros before", true, runes("&#%09d;"), nil},
		{"HTML, no semicolon", true, runes("&#%04d"), nil},
	}
}

func languageEncodings() []Encoding {
	quote := func(s string) string { return strings.TrimSuffix(strings.TrimPrefix(s, `"`), `"`) }
	behind := func(special string) func([]byte) string {
		return func(b []byte) string {
			var out strings.Builder
			for i := range b {
				if strings.IndexByte(special, b[i]) >= 0 {
					out.WriteByte('\\')
				}
				out.WriteByte(b[i])
			}
			return out.String()
		}
	}
	// outside escapes what is not printable ASCII, and what is special.
	outside := func(special, format string) func([]byte) string {
		return func(b []byte) string {
			var out strings.Builder
			for i := range b {
				switch {
				case strings.IndexByte(special, b[i]) >= 0:
					out.WriteString(`\` + string(rune(b[i])))
				case b[i] < ' ' || b[i] > '~':
					fmt.Fprintf(&out, format, b[i])
				default:
					out.WriteByte(b[i])
				}
			}
			return out.String()
		}
	}
	return []Encoding{
		{"Go, %q", false, func(b []byte) string { return quote(fmt.Sprintf("%q", b)) }, nil},
		{"Go, %+q", false, func(b []byte) string { return quote(fmt.Sprintf("%+q", b)) }, nil},
		{"Python, bytes", false, outside(`\'`, `\x%02x`), nil},
		{"C, octal", false, outside(`\"`, `\%03o`), nil},
		{`\xNN, every byte`, false, func(b []byte) string { return each(b, `\x%02x`) }, nil},
		{`\NNN, every byte`, false, func(b []byte) string { return each(b, `\%03o`) }, nil},
		{`\u{N}, every character`, true, func(b []byte) string { return eachRune(b, `\u{%x}`) }, nil},
		{`\UNNNNNNNN, every character`, true, func(b []byte) string { return eachRune(b, `\U%08x`) }, nil},
		{"shell, single quotes", true, func(b []byte) string { return strings.ReplaceAll(string(b), `'`, `'\''`) }, nil},
		{"shell, other quotes", true, func(b []byte) string { return strings.ReplaceAll(string(b), `'`, `'"'"'`) }, nil},
		{"shell, double quotes", true, behind("\\\"$`"), nil},
		{"shell, backslashes", true, behind(" !\"#$&'()*;<>?[\\]^`{|}~"), nil},
		{"shell, $''", false, outside(`\'`, `\%03o`), nil},
		{"SQL", true, func(b []byte) string { return strings.ReplaceAll(string(b), `'`, `''`) }, nil},
		{"CSV", true, func(b []byte) string { return strings.ReplaceAll(string(b), `"`, `""`) }, nil},
	}
}

func wrap(s string, width int) (lines []string) {
	for len(s) > width {
		lines, s = append(lines, s[:width]), s[width:]
	}
	return append(lines, s)
}

func each(b []byte, format string) string {
	var out strings.Builder
	for _, c := range b {
		fmt.Fprintf(&out, format, c)
	}
	return out.String()
}

func eachRune(b []byte, format string) string {
	var out strings.Builder
	for _, r := range string(b) {
		fmt.Fprintf(&out, format, r)
	}
	return out.String()
}

func lowerEscapes(s string) string {
	out := []byte(s)
	for i := 0; i+2 < len(out); i++ {
		if out[i] == '%' {
			copy(out[i:i+3], bytes.ToLower(out[i:i+3]))
		}
	}
	return string(out)
}

func jsonText(s string, escapeHTML bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	if err := e.Encode(s); err != nil {
		return s
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(b.String()), `"`), `"`)
}

func entities(s, format string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune(`&<>"'`, r) {
			fmt.Fprintf(&b, format, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

package redeem

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// maxJSONDepth is how deep arrays and objects of a request's body may nest.
const maxJSONDepth = 100

// json writes one JSON document without space, its members in their order and
// its numbers as they were spelled. It returns why it cannot, or "".
func (w *writer) json(document []byte) string {
	if !utf8.Valid(document) || !json.Valid(document) {
		return "is not JSON"
	}
	j := jsonWriter{writer: w, tokens: json.NewDecoder(bytes.NewReader(document))}
	j.tokens.UseNumber()
	return j.value()
}

type jsonWriter struct {
	*writer
	tokens *json.Decoder // of a document that is valid
	at     []string      // the names from the top to the value being written
}

func (j *jsonWriter) value() string {
	token, err := j.tokens.Token()
	if err != nil {
		return "is not JSON"
	}
	if len(j.at) > maxJSONDepth {
		return "is nested more than 100 deep"
	}
	switch v := token.(type) {
	case json.Delim:
		if v == '{' {
			return j.object()
		}
		return j.array()
	case string:
		return j.string(v)
	case json.Number:
		j.text.WriteString(v.String())
	case bool:
		j.text.WriteString(strconv.FormatBool(v))
	default:
		j.text.WriteString("null")
	}
	return ""
}

func (j *jsonWriter) object() string {
	seen := map[string]bool{}
	j.text.WriteByte('{')
	for j.tokens.More() {
		token, err := j.tokens.Token()
		name, ok := token.(string)
		switch {
		case err != nil || !ok:
			return "is not JSON"
		case seen[name]:
			return "has a name twice in one object"
		case strings.ContainsRune(name, utf8.RuneError):
			return brokenCharacter
		}
		if len(seen) > 0 {
			j.text.WriteByte(',')
		}
		seen[name] = true
		j.stray(InJSONName, name)
		j.text.WriteString(quoteJSON(name) + ":")
		if reason := j.below(name); reason != "" {
			return reason
		}
	}
	return j.end('}')
}

func (j *jsonWriter) array() string {
	j.text.WriteByte('[')
	for i := 0; j.tokens.More(); i++ {
		if i > 0 {
			j.text.WriteByte(',')
		}
		if reason := j.below(strconv.Itoa(i)); reason != "" {
			return reason
		}
	}
	return j.end(']')
}

func (j *jsonWriter) below(name string) string {
	j.at = append(j.at, name)
	reason := j.value()
	j.at = j.at[:len(j.at)-1]
	return reason
}

func (j *jsonWriter) end(mark byte) string {
	if _, err := j.tokens.Token(); err != nil {
		return "is not JSON"
	}
	j.text.WriteByte(mark)
	return ""
}

const brokenCharacter = "has half a surrogate pair or U+FFFD in it"

// string refuses U+FFFD: the decoder puts it in the place of half a surrogate
// pair, which other readers take for something else.
func (j *jsonWriter) string(s string) string {
	if strings.ContainsRune(s, utf8.RuneError) {
		return brokenCharacter
	}
	j.writer.value(vault.InJSON, j.pointer, s, quoteJSON)
	return ""
}

// pointer is made only where a handle stands.
func (j *jsonWriter) pointer() string {
	var p vault.Pointer
	for _, name := range j.at {
		p = p.Child(name)
	}
	return string(p)
}

// quoteJSON writes a string of UTF-8 (RFC 8259 §7). Characters that mean
// something in HTML stay as they are: nobody reads this as HTML.
func quoteJSON(s string) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string is always written
	return strings.TrimSuffix(b.String(), "\n")
}

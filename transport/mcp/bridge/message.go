package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

var errMessage = errors.New("not a JSON-RPC message")

// message is what the desk sent: an answer, a request or a notification.
type message struct {
	text   []byte // on one line
	id     []byte // as written; nil: none or null
	method string // "": an answer
	result []byte // of an answer that is no error
	failed []byte // the error of an answer
}

func (m message) isAnswer() bool { return m.method == "" }

// readMessage reads one message. Package envelope is not asked: it bounds the
// members of an object, and an answer may hold an object with many. What counts
// here is that a line is one message, and whose.
func readMessage(text []byte) (message, error) {
	var m message
	if !utf8.Valid(text) {
		return m, errMessage
	}
	parts, err := members(text)
	if err != nil || string(parts["jsonrpc"]) != `"2.0"` {
		return m, errMessage
	}
	if id := parts["id"]; string(id) != "null" {
		m.id = id
	}
	m.result, m.failed = parts["result"], parts["error"]
	if method, ok := parts["method"]; ok {
		if json.Unmarshal(method, &m.method) != nil || m.method == "" {
			return m, errMessage
		}
	}
	answers := m.result != nil || m.failed != nil
	if m.isAnswer() != answers || m.result != nil && m.failed != nil {
		return m, errMessage
	}
	m.text, err = oneLine(text)
	return m, err
}

// members returns the members of an object by their exact names. A name that
// stands twice is an error.
func members(text []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, errMessage
	}
	parts := map[string]json.RawMessage{}
	for dec.More() {
		token, err := dec.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, errMessage
		}
		if _, twice := parts[name]; twice {
			return nil, errMessage
		}
		var part json.RawMessage
		if err := dec.Decode(&part); err != nil {
			return nil, errMessage
		}
		parts[name] = part
	}
	if _, err := dec.Token(); err != nil || dec.InputOffset() != int64(len(bytes.TrimRight(text, " \t\r\n"))) {
		return nil, errMessage
	}
	return parts, nil
}

// oneLine takes out what would make two lines of it.
func oneLine(text []byte) ([]byte, error) {
	text = bytes.TrimSpace(text)
	if !bytes.ContainsAny(text, "\r\n") {
		return text, nil
	}
	var out bytes.Buffer
	if err := json.Compact(&out, text); err != nil {
		return nil, errMessage
	}
	return out.Bytes(), nil
}

// sameID compares ids, which an encoder between may have written differently.
func sameID(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y string
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && x == y && a[0] == '"' && b[0] == '"'
}

// compact takes the blanks out of a JSON value.
func compact(value []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, value) != nil {
		return []byte("null")
	}
	return out.Bytes()
}

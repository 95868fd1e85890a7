package envelope_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
)

// FuzzCheck holds Check to a slow oracle over encoding/json: the same messages
// pass, and the same parts are found in them.
func FuzzCheck(f *testing.F) {
	seeds := []string{
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"a":[1,2.5e-3,true,null,"é😀"]}}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x","reason":"\ud83d\ude00\u00e9\/\\"}}`,
		`{"jsonrpc":"2.0","id":"a","result":{}}`, `{"jsonrpc":"2.0","id":null,"error":{"code":1}}`,
		`[{"jsonrpc":"2.0","id":1,"method":"a"},7]`, `[]`, ` {} `, `3`, `"x"`, `null`, ``,
		`{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"a","METHOD":"b"}`, `{"jsonrpc":"2.0","id":1,"method":"a","param\u017f":{}}`,
		`{"a":1,"\u0061":2}`, `{"a":{"b":[{"c":1,"c":1}]}}`, `{"a":"\ud800"}`, `{"a":"\udc00\ud800"}`, `{"a":"\ud800x\u0041"}`, `{"a":"\\\ud800\\udc00"}`, `{"a":"\u0000"}`, "{\"a\":\"\xff\"}",
		"\ufeff{}", `{"a":1e999}`, `{"a":-0.0e+00}`, `{"a":01}`, `{"a":1}{"b":2}`, `{"a":1,}`, `{"a":tru}`, "{\"a\":\"\x01\"}",
		`{"jsonrpc":"2.0","id":9007199254740993,"method":"a"}`, `{"jsonrpc":"2.0","id":-1,"method":"a","params":[]}`,
		nested(64), nested(65), wide(256), wide(257), `{"jsonrpc":"2.0","id":1.0,"method":"a"}`, `{"\u006aſonrpc":"2.0"}`, `{"id":1,"\\u0069d":2}`,
	}
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, bad := envelope.Check(text)
		got := fmt.Sprintf("%d id=%s method=%s params=%s", m.Kind, m.ID, m.Method, m.Params)
		if bad != nil {
			got = fmt.Sprintf("refused %d id=%s", bad.Code, bad.ID)
		}
		if want := oracle(text); got != want {
			t.Errorf("%q\ngot  %s\nwant %s", text, got, want)
		}
		if bad == nil && m.Kind == envelope.Batch {
			if _, err := envelope.Split(text); err != nil && !strings.Contains(err.Text, "batch") {
				t.Errorf("%q cannot be split: %v", text, err)
			}
		}
	})
}

// oracle says of text what Check should.
func oracle(text []byte) string {
	if !strict(text) {
		return "refused -32700 id="
	}
	trimmed := bytes.TrimSpace(text)
	switch trimmed[0] {
	case '[':
		return "3 id= method= params="
	case '{':
	default:
		return "refused -32600 id="
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(trimmed, &members); err != nil {
		return err.Error()
	}
	id, hasID := members["id"]
	goodID := true
	if hasID {
		n, err := strconv.ParseInt(string(id), 10, 64)
		exact := err == nil && n <= 1<<53 && n >= -(1<<53) && strconv.FormatInt(n, 10) == string(id)
		if goodID = exact || id[0] == '"' && len(id) <= envelope.MaxIDBytes; !goodID {
			id = nil
		}
	}
	_, result := members["result"]
	_, errored := members["error"]
	method, hasMethod := members["method"]
	params, hasParams := members["params"]
	refused := "refused -32600 id=" + string(id)
	if misspelt(members, "jsonrpc", "id", "method", "params", "result", "error") || string(members["jsonrpc"]) != `"2.0"` {
		return refused
	}
	inner := map[string]json.RawMessage{}
	if hasParams && params[0] == '{' {
		if err := json.Unmarshal(params, &inner); err != nil {
			return err.Error()
		}
		if misspelt(inner, "_meta", "name", "arguments", "task", "requestId", "reason", "cursor", "protocolVersion", "clientInfo",
			"capabilities", "inputResponses", "requestState", "notifications", "level", "uri", "ref", "argument", "context", "taskId") {
			return refused
		}
	}
	switch {
	case !hasMethod && (result || errored):
		return fmt.Sprintf("2 id=%s method= params=%s", members["id"], params)
	case !goodID, !hasMethod, result, errored, hasParams && params[0] != '{',
		!regexp.MustCompile(`^"[a-zA-Z0-9/_.$-]{1,128}"$`).Match(method):
		return refused
	case hasID:
		return fmt.Sprintf("0 id=%s method=%s params=%s", id, bytes.Trim(method, `"`), params)
	default:
		return fmt.Sprintf("1 id= method=%s params=%s", bytes.Trim(method, `"`), params)
	}
}

// misspelt finds names that are a known one but for case.
func misspelt(members map[string]json.RawMessage, known ...string) bool {
	for name := range members {
		if !slices.Contains(known, name) && slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) }) {
			return true
		}
	}
	return false
}

var escape = regexp.MustCompile(`\\u([0-9a-fA-F]{4})`)

// strict reads text token by token.
func strict(text []byte) bool {
	if !json.Valid(text) || !utf8.Valid(text) {
		return false
	}
	// Escapes, once escaped backslashes are out of the way.
	plain := bytes.ReplaceAll(text, []byte(`\\`), []byte("xx"))
	high := -1 // where a high surrogate ended
	for _, at := range escape.FindAllSubmatchIndex(plain, -1) {
		r, err := strconv.ParseUint(string(plain[at[2]:at[3]]), 16, 32)
		isLow := r >= 0xDC00 && r <= 0xDFFF
		if err != nil || r == 0 || isLow && high != at[0] || !isLow && high >= 0 {
			return false
		}
		if high = -1; r >= 0xD800 && r <= 0xDBFF {
			high = at[1]
		}
	}
	if high >= 0 {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	type level struct {
		names map[string]bool // nil in arrays
		key   bool            // a name comes next
	}
	var open []level
	for {
		token, err := d.Token()
		if err == io.EOF {
			return true
		}
		if err != nil {
			return false
		}
		if n := len(open); n > 0 && open[n-1].names != nil && token != json.Delim('}') {
			top := &open[n-1]
			if top.key = !top.key; top.key {
				name, ok := token.(string)
				if !ok || top.names[name] || len(top.names) == envelope.MaxMembers {
					return false
				}
				top.names[name] = true
				continue
			}
		}
		switch v := token.(type) {
		case json.Delim:
			switch v {
			case '{':
				open = append(open, level{names: map[string]bool{}})
			case '[':
				open = append(open, level{})
			default:
				open = open[:len(open)-1]
			}
			if len(open) > envelope.MaxDepth {
				return false
			}
		case json.Number:
			if f, err := v.Float64(); err != nil || math.IsInf(f, 0) {
				return false
			}
		}
	}
}

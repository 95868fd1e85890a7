package bridge_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/bridge"
)

func TestMessage(t *testing.T) {
	for text, want := range map[string]string{
		`{"jsonrpc":"2.0","id":1,"result":{}}`:                              `{"jsonrpc":"2.0","id":1,"result":{}}`,
		" {\"jsonrpc\":\"2.0\",\n\"id\":1,\r\n\"result\":{\"a\":[1 ,2]}}\n": `{"jsonrpc":"2.0","id":1,"result":{"a":[1,2]}}`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":1}}`:                    `{"jsonrpc":"2.0","id":null,"error":{"code":1}}`,
		`{"jsonrpc":"2.0","method":"n"}`:                                    `{"jsonrpc":"2.0","method":"n"}`,
		`{"jsonrpc":"2.0","id":"a","method":"n","params":{}}`:               `{"jsonrpc":"2.0","id":"a","method":"n","params":{}}`,
		``:     "",
		`null`: "",
		`[]`:   "",
		`{`:    "",
		`{"jsonrpc":"2.0","id":1,"result":{}} {}`:            "",
		`{"jsonrpc":"2.0","id":1,"result":{}}x`:              "",
		`{"jsonrpc":"1.0","id":1,"result":{}}`:               "",
		`{"id":1,"result":{}}`:                               "",
		`{"jsonrpc":"2.0","ID":1,"RESULT":{}}`:               "",
		`{"jsonrpc":"2.0","id":1,"id":2,"result":{}}`:        "",
		`{"jsonrpc":"2.0","id":1,"result":{},"error":{}}`:    "",
		`{"jsonrpc":"2.0","id":1,"method":"n","result":{}}`:  "",
		`{"jsonrpc":"2.0","id":1}`:                           "",
		`{"jsonrpc":"2.0","id":1,"method":7}`:                "",
		`{"jsonrpc":"2.0","id":1,"method":""}`:               "",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"\xff\"}": "",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"a\nb\"}": "",
		"\x00{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}":   "",
		"\uFEFF{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}": "",
	} {
		got, _, err := bridge.ReadMessage([]byte(text))
		if (err == nil) != (want != "") || err == nil && string(got) != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// FuzzMessage: what is passed on is one line and the same JSON.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"result":{"a":"\u2028"}}`))
	f.Add([]byte("{\"jsonrpc\":\"2.0\",\n\"method\":\"n\"}"))
	f.Add([]byte(`{"jsonrpc":"2.0","id":"x","error":{}} `))
	f.Fuzz(func(t *testing.T, text []byte) {
		line, _, err := bridge.ReadMessage(text)
		if err != nil {
			return
		}
		var was, is bytes.Buffer
		if bytes.ContainsAny(line, "\r\n") || json.Compact(&was, text) != nil || json.Compact(&is, line) != nil || !bytes.Equal(was.Bytes(), is.Bytes()) {
			t.Errorf("%q from %q", line, text)
		}
	})
}

func TestSameID(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{`1`, `1`, true}, {`"a"`, `"a"`, true}, {`"a"`, `"\u0061"`, true}, {`1`, `"1"`, false}, {`1`, `2`, false}, {`"a"`, `"b"`, false},
	} {
		if got := bridge.SameID([]byte(test.a), []byte(test.b)); got != test.want {
			t.Errorf("%s and %s: %t", test.a, test.b, got)
		}
	}
}

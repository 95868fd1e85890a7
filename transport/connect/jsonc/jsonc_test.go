package jsonc_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/transport/connect/jsonc"
)

type entry struct {
	Command string   `json:"command"`
	Args    []string `json:"args"`
}

var coat = entry{Command: "/opt/coat & check", Args: []string{"mcp"}}

func TestSet(t *testing.T) {
	const pretty = `{
    "command": "/opt/coat & check",
    "args": [
      "mcp"
    ]
  }`
	deep := strings.ReplaceAll(pretty, "\n", "\n  ")
	const flat = `{"command":"/opt/coat & check","args":["mcp"]}`
	for name, tt := range map[string]struct {
		d          jsonc.Dialect
		path       string // dot-separated, s.c when empty
		have, want string
	}{
		"nothing":          {have: "", want: "{\n  \"s\": {\n    \"c\": " + deep + "\n  }\n}\n"},
		"byte order mark":  {have: "\xef\xbb\xbf", want: "\xef\xbb\xbf{\n  \"s\": {\n    \"c\": " + deep + "\n  }\n}\n"},
		"white space":      {have: " \n", want: " \n{\n  \"s\": {\n    \"c\": " + deep + "\n  }\n}\n"},
		"comment alone":    {d: jsonc.Comments, have: "// mine", want: "// mine\n{\n  \"s\": {\n    \"c\": " + deep + "\n  }\n}\n"},
		"empty":            {have: "{}", want: "{\n  \"s\": {\n    \"c\": " + deep + "\n  }\n}"},
		"empty, two lines": {path: "c", have: "{\n}\n", want: "{\n  \"c\": " + pretty + "\n}\n"},
		"empty with a comment": {
			d: jsonc.Comments, path: "c",
			have: "{\n\t// none yet\n}\n",
			want: "{\n\t// none yet\n  \"c\": " + pretty + "\n}\n",
		},
		"empty with a block comment": {
			d: jsonc.Comments, path: "c", have: "{ /* none */ }", want: "{ /* none */ \n  \"c\": " + pretty + "\n}",
		},
		"other members": {
			path: "c",
			have: "{\n  \"z\": 1.0e2,\n  \"a\": \"\\u00e9\"\n}",
			want: "{\n  \"z\": 1.0e2,\n  \"a\": \"\\u00e9\",\n  \"c\": " + pretty + "\n}",
		},
		"other servers": {
			have: "{\n  \"s\": {\n    \"b\": {\"url\": \"x\"}\n  },\n  \"t\": []\n}\n",
			want: "{\n  \"s\": {\n    \"b\": {\"url\": \"x\"},\n    \"c\": " + deep + "\n  },\n  \"t\": []\n}\n",
		},
		"no server yet": {
			have: "{\n  \"s\": {},\n  \"t\": []\n}\n",
			want: "{\n  \"s\": {\n    \"c\": " + deep + "\n  },\n  \"t\": []\n}\n",
		},
		"tabs": {
			path: "c",
			have: "{\n\t\"a\": 1\n}",
			want: "{\n\t\"a\": 1,\n\t\"c\": {\n\t\t\"command\": \"/opt/coat & check\",\n\t\t\"args\": [\n\t\t\t\"mcp\"\n\t\t]\n\t}\n}",
		},
		"CR LF and a byte order mark": {
			path: "c",
			have: "\xef\xbb\xbf{\r\n  \"a\": 1\r\n}\r\n",
			want: "\xef\xbb\xbf{\r\n  \"a\": 1,\r\n  \"c\": " + strings.ReplaceAll(pretty, "\n", "\r\n") + "\r\n}\r\n",
		},
		"CR LF, empty": {
			path: "c", have: "{\r\n}\r\n", want: "{\r\n  \"c\": " + strings.ReplaceAll(pretty, "\n", "\r\n") + "\r\n}\r\n",
		},
		"one line":              {have: `{"a":1}`, want: `{"a":1,"s":{"c":` + flat + `}}`},
		"one line, empty":       {have: `{"s":{}}`, want: `{"s":{"c":` + flat + `}}`},
		"one line, in the file": {have: "{\n  \"s\": { \"b\": 1 }\n}", want: "{\n  \"s\": { \"b\": 1,\"c\":" + flat + " }\n}"},
		"one line, comma":       {d: jsonc.Comments, path: "c", have: `{"a":1,}`, want: `{"a":1,"c":` + flat + `}`},
		"one line, comment": {
			d: jsonc.Comments, path: "c", have: "{\"a\":1 // one\n}", want: "{\"a\":1,\"c\":" + flat + " // one\n}",
		},
		"comment behind the last": {
			d: jsonc.Comments, path: "c",
			have: "{\n  // first\n  \"a\": 1 /* one */ // uno \n  // end\n}",
			want: "{\n  // first\n  \"a\": 1, /* one */ // uno \n  \"c\": " + pretty + "\n  // end\n}",
		},
		"trailing comma": {
			d: jsonc.Comments, path: "c",
			have: "{\n  \"a\": 1, // one\n}",
			want: "{\n  \"a\": 1, // one\n  \"c\": " + pretty + "\n}",
		},
		"trailing comma on its own line": {
			d: jsonc.Comments, path: "c",
			have: "{\n  \"a\": 1 // one,\n  ,\n}",
			want: "{\n  \"a\": 1 // one,\n  ,\n  \"c\": " + pretty + "\n}",
		},
		"a comment over two lines": {
			d: jsonc.Comments, path: "c",
			have: "{\n  \"a\": 1 /* one\n  two */\n}",
			want: "{\n  \"a\": 1, /* one\n  two */\n  \"c\": " + pretty + "\n}",
		},
		"brace on the last line": {
			path: "c", have: "{\n  \"a\": 1 }", want: "{\n  \"a\": 1,\n  \"c\": " + pretty + " }",
		},
		"commas in front": {
			path: "c", have: "{\n  \"a\": 1\n  , \"b\": 2\n}", want: "{\n  \"a\": 1\n  , \"b\": 2,\n  \"c\": " + pretty + "\n}",
		},
		"names and braces in text and comments": {
			d: jsonc.Comments, path: "c",
			have: "{\n  /* \"c\": { */\n  \"a\": \"\\\"c\\\": { // } /*\"\n}",
			want: "{\n  /* \"c\": { */\n  \"a\": \"\\\"c\\\": { // } /*\",\n  \"c\": " + pretty + "\n}",
		},
		"replaced": {
			path: "c",
			have: "{\n  \"c\": {\"command\": \"old\", \"x\": [1, 2]},\n  \"d\": 1\n}",
			want: "{\n  \"c\": " + pretty + ",\n  \"d\": 1\n}",
		},
		"replaced, name escaped": {path: "c", have: "{\n  \"\\u0063\" : null\n}", want: "{\n  \"\\u0063\" : " + pretty + "\n}"},
		"replaced on one line":   {path: "c", have: `{"c":1,"d":2}`, want: `{"c":` + flat + `,"d":2}`},
		"a twice, not in the way": {
			path: "c", have: `{"a":1,"a":2}`, want: `{"a":1,"a":2,"c":` + flat + `}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := []string{"s", "c"}
			if tt.path != "" {
				path = strings.Split(tt.path, ".")
			}
			got, err := jsonc.Set([]byte(tt.have), tt.d, coat, path...)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Fatalf("got\n%q\nwant\n%q", got, tt.want)
			}
			again, err := jsonc.Set(got, tt.d, coat, path...)
			if err != nil || string(again) != tt.want {
				t.Fatalf("a second time (%v):\n%q", err, again)
			}
		})
	}
}

func TestSyntaxError(t *testing.T) {
	for name, tt := range map[string]struct {
		d            jsonc.Dialect
		have         string
		line, column int
	}{
		"cut":                        {have: "{\n  \"s\": {\n", line: 3, column: 1},
		"cut in text":                {have: "{\n  \"s", line: 2, column: 3},
		"cut in an escape":           {have: "{\"a\":\"\\", line: 1, column: 6},
		"no comma":                   {have: "{\n  \"a\": 1\n  \"b\": 2\n}", line: 3, column: 3},
		"no comma in a list":         {have: "[1 2]", line: 1, column: 4},
		"no colon":                   {have: `{"a" 1}`, line: 1, column: 6},
		"no value":                   {have: `{"a":}`, line: 1, column: 6},
		"no name":                    {have: `{,}`, line: 1, column: 2},
		"bare name":                  {have: `{a: 1}`, line: 1, column: 2},
		"single quotes":              {have: `{'a': 1}`, line: 1, column: 2},
		"two commas":                 {d: jsonc.Comments, have: `{"a":1,,}`, line: 1, column: 8},
		"trailing comma":             {have: "{\"a\":1,\n}", line: 1, column: 7},
		"trailing comma in a list":   {have: `{"a":[1,]}`, line: 1, column: 8},
		"comment":                    {have: "{\r\n  // x\r\n}", line: 2, column: 3},
		"comment without an end":     {d: jsonc.Comments, have: "{}\n/* x", line: 2, column: 1},
		"slash":                      {d: jsonc.Comments, have: "{} / x", line: 1, column: 4},
		"hash comment":               {d: jsonc.Comments, have: "# x\n{}", line: 1, column: 1},
		"two values":                 {have: "{}\n{}", line: 2, column: 1},
		"merge conflict":             {have: "<<<<<<< HEAD\n{}", line: 1, column: 1},
		"bad escape":                 {have: `{"a":"\x"}`, line: 1, column: 6},
		"line end in text":           {have: "{\"a\":\"x\n\"}", line: 1, column: 8},
		"leading zero":               {have: `{"a":01}`, line: 1, column: 6},
		"NaN":                        {have: `{"a":NaN}`, line: 1, column: 6},
		"word":                       {have: `{"a":nul}`, line: 1, column: 6},
		"too deep":                   {have: strings.Repeat("[", 100_000), line: 1, column: 1002},
		"not UTF-8":                  {have: "{\"\u00e9\":\"\xff\"}", line: 1, column: 7},
		"UTF-16":                     {have: "\xff\xfe{\x00}\x00", line: 1, column: 1},
		"list at the root":           {have: "\xef\xbb\xbf []", line: 1, column: 2},
		"text at the root":           {have: `"x"`, line: 1, column: 1},
		"servers is a list":          {have: "{\n  \"s\": []\n}", line: 2, column: 8},
		"servers is null":            {have: `{"s":null}`, line: 1, column: 6},
		"servers twice":              {have: "{\"s\":{},\n\"s\":{}}", line: 2, column: 1},
		"servers twice, one escaped": {have: `{"s":{},"\u0073":{}}`, line: 1, column: 9},
		"entry twice":                {have: `{"s":{"c":1,"c":2}}`, line: 1, column: 13},
		"CR alone ends a line":       {have: "{\r\"a\" 1}", line: 2, column: 5},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := jsonc.Set([]byte(tt.have), tt.d, coat, "s", "c")
			var bad *jsonc.SyntaxError
			if !errors.As(err, &bad) || out != nil {
				t.Fatalf("%q, %v", out, err)
			}
			if bad.Line != tt.line || bad.Column != tt.column || bad.Msg == "" {
				t.Fatalf("%v, want line %d, column %d", err, tt.line, tt.column)
			}
			if _, _, err := jsonc.Get([]byte(tt.have), tt.d, "s", "c"); !errors.As(err, &bad) {
				t.Fatalf("Get: %v", err)
			}
		})
	}
}

func TestGet(t *testing.T) {
	src := []byte(`{"a":{"b":[1,"x",null,true,{"c":-2.5e1}]},"n":1e999}`)
	v, ok, err := jsonc.Get(src, jsonc.Plain, "a", "b")
	if want := []any{1.0, "x", nil, true, map[string]any{"c": -25.0}}; err != nil || !ok || !reflect.DeepEqual(v, want) {
		t.Fatalf("%v %v %v", v, ok, err)
	}
	for _, path := range [][]string{{"x"}, {"a", "x"}, {"x", "y"}} {
		if v, ok, err := jsonc.Get(src, jsonc.Plain, path...); v != nil || ok || err != nil {
			t.Fatalf("%v: %v %v %v", path, v, ok, err)
		}
	}
	if _, ok, err := jsonc.Get([]byte(" // x\n"), jsonc.Comments, "a"); ok || err != nil {
		t.Fatal(ok, err)
	}
}

func TestSetRefuses(t *testing.T) {
	if _, err := jsonc.Set([]byte("{}"), jsonc.Plain, 1); err == nil {
		t.Error("no path")
	}
	for _, have := range []string{"", "{}", `{"a":1}`, "{\n\"a\":1}", `{"c":1}`} {
		if out, err := jsonc.Set([]byte(have), jsonc.Plain, math.NaN(), "c"); err == nil || out != nil {
			t.Errorf("%s: %q, %v", have, out, err)
		}
	}
}

// FuzzSet holds what Set promises: the result parses, has the member, and keeps
// all others, every byte of the rest, and itself when set again.
func FuzzSet(f *testing.F) {
	for _, seed := range []string{
		"", "{}", " {\n}\n", "{\"a\":1}", "{\n  \"s\": {\n    \"b\": 1\n  }\n}\n", "{\n\t\"s\": {\"c\": {\"x\": [1,2,{}]}}, // c\n}\n",
		"\xef\xbb\xbf{\r\n  \"a\": \"\\u00e9\" /* x */\r\n}", "// only\n", "{ /* x */ }", "{\"s\":{},\"s\":{}}", "{\"s\":[]}", "[]",
		"{\n  \"a\": 1 // one,\n  ,\n}", "{\"a\":1 // x\n}", "{\n// }\n}", "{\r\"a\":1\r}", "{\r\r}", "{\"s\": {\n    } }", "\"\\", "{\"s\":{/*}*/}}", "{\"a\":\"//\",\"b\":\"/*\"}",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, src string, comments bool) {
		d := jsonc.Plain
		if comments {
			d = jsonc.Comments
		}
		out, err := jsonc.Set([]byte(src), d, coat, "s", "c")
		plain := strings.TrimPrefix(src, "\xef\xbb\xbf")
		if err != nil {
			var v map[string]json.RawMessage
			if d == jsonc.Plain && utf8.ValidString(src) && json.Unmarshal([]byte(plain), &v) == nil && v != nil && v["s"] == nil &&
				!strings.Contains(err.Error(), "nested") && !strings.Contains(err.Error(), "twice") {
				t.Fatalf("refused what is JSON: %v", err)
			}
			return
		}
		if d == jsonc.Plain && !json.Valid([]byte(strings.TrimPrefix(string(out), "\xef\xbb\xbf"))) {
			t.Fatalf("made what is not JSON: %q", out)
		}
		got, ok, err := jsonc.Get(out, d, "s", "c")
		if want := map[string]any{"command": coat.Command, "args": []any{"mcp"}}; err != nil || !ok || !reflect.DeepEqual(got, want) {
			t.Fatalf("the member is %v, %v: %q", got, err, out)
		}
		if again, err := jsonc.Set(out, d, coat, "s", "c"); err != nil || string(again) != string(out) {
			t.Fatalf("not the same again: %v\n%q\n%q", err, out, again)
		}
		_, had, err := jsonc.Get([]byte(src), d, "s", "c")
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(others(t, []byte(src), d), others(t, out, d)) {
			t.Fatalf("other members changed:\n%q\n%q", src, out)
		}
		if !had && !within(src, string(out)) {
			t.Fatalf("bytes were lost:\n%q\n%q", src, out)
		}
		if had {
			inner, err := jsonc.Set([]byte(src), d, 0, "s", "c")
			if err != nil {
				t.Fatal(err)
			}
			at := strings.LastIndex(string(inner), "0")
			for at > 0 && !sameAround(string(inner), at, src, string(out)) {
				at = strings.LastIndex(string(inner[:at]), "0")
			}
			if at <= 0 {
				t.Fatalf("more than the value changed:\n%q\n%q", src, out)
			}
		}
	})
}

// sameAround says whether both texts start and end as inner does around at.
func sameAround(inner string, at int, texts ...string) bool {
	for _, text := range texts {
		if !strings.HasPrefix(text, inner[:at]) || !strings.HasSuffix(text, inner[at+1:]) {
			return false
		}
	}
	return true
}

// others is the whole value without s.c, and without an s that is then empty.
func others(t *testing.T, src []byte, d jsonc.Dialect) any {
	t.Helper()
	v, _, err := jsonc.Get(src, d)
	if err != nil {
		t.Fatal(err)
	}
	root, ok := v.(map[string]any)
	if !ok {
		return map[string]any{}
	}
	if s, ok := root["s"].(map[string]any); ok {
		if delete(s, "c"); len(s) == 0 {
			delete(root, "s")
		}
	}
	return root
}

// within says whether b is a with text put in.
func within(a, b string) bool {
	for i := range len(b) {
		if a != "" && a[0] == b[i] {
			a = a[1:]
		}
	}
	return a == ""
}

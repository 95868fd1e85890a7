package envelope_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
)

func TestCheckFindsParts(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"request": {
			`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"get_secret","arguments":{"a":[1,{}]}}}`,
			`request id 7 method tools/call tool get_secret arguments {"a":[1,{}]} plain`,
		},
		"progress": {
			`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"_meta":{"progressToken":1},"name":"a"}}`,
			`request id 7 method tools/call tool a plain`,
		},
		"task":            {`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a","task":{}}}`, `request id 7 method tools/call tool a`},
		"escaped tool":    {`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"\u0061"}}`, `request id 7 method tools/call plain`},
		"odd meta":        {`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a","_meta":[]}}`, `request id 7 method tools/call tool a`},
		"text id, blanks": {" {\"id\" : \"a\" ,\r\n\t\"method\":\"ping\",\"jsonrpc\":\"2.0\"} ", `request id "a" method ping plain`},
		"negative id":     {`{"jsonrpc":"2.0","id":-9007199254740992,"method":"ping"}`, `request id -9007199254740992 method ping plain`},
		"notification": {
			`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x"}}`,
			`notification method notifications/cancelled cancels "x"`,
		},
		"modern": {
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"io.modelcontextprotocol\/protocolVersion":"2026-07-28"}}}`,
			`request id 1 method tools/call revision 2026-07-28`,
		},
		"odd revision": {
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-\u0032\u0038"}}}`,
			`request id 1 method tools/call`,
		},
		"result":        {`{"jsonrpc":"2.0","id":1,"result":{}}`, `response id 1`},
		"error":         {`{"jsonrpc":"2.0","id":null,"error":{}}`, `response id null`},
		"batch":         {`[{"jsonrpc":"2.0","id":1,"method":"ping"},3]`, `batch`},
		"case is free":  {`{"jsonrpc":"2.0","id":1,"method":"a","params":{"arguments":{"A":1,"a":2,"ſ":3},"_meta":{"A":1,"a":2}}}`, `request id 1 method a arguments {"A":1,"a":2,"ſ":3} plain`},
		"extra members": {`{"jsonrpc":"2.0","id":1,"method":"a","x":{"x":{"x":1}}}`, `request id 1 method a plain`},
		"pair":          {`{"jsonrpc":"2.0","id":1,"method":"a","x":"\ud83d\ude00\u00e9é😀"}`, `request id 1 method a plain`},
		"numbers":       {`{"jsonrpc":"2.0","id":1,"method":"a","x":[0,-0,1.5e3,-2E-3,1e308,0.0]}`, `request id 1 method a plain`},
		"deep":          {nested(64), `request id 1 method a plain`},
		"many members":  {wide(256), `request id 1 method a plain`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := envelope.Check([]byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(m); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// describe names what was found; params are told by their parts.
func describe(m envelope.Message) string {
	out := []string{[]string{"request", "notification", "response", "batch"}[m.Kind]}
	for _, part := range []struct {
		name string
		text []byte
	}{{"id", m.ID}, {"method", m.Method}, {"tool", m.Tool}, {"arguments", m.Arguments}, {"cancels", m.RequestID}, {"revision", m.Version}} {
		if part.text != nil {
			out = append(out, part.name, string(part.text))
		}
	}
	if m.Plain {
		out = append(out, "plain")
	}
	return strings.Join(out, " ")
}

// nested is a message of depth levels.
func nested(depth int) string {
	return `{"jsonrpc":"2.0","id":1,"method":"a","x":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + "}"
}

// wide has an object of n members.
func wide(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%d":%d`, i, i)
	}
	return `{"jsonrpc":"2.0","id":1,"method":"a","x":{` + strings.TrimPrefix(b.String(), ",") + "}}"
}

func TestCheckRefuses(t *testing.T) {
	const parse, invalid = envelope.ParseError, envelope.InvalidRequest
	request := func(member string) string { return `{"jsonrpc":"2.0","id":1,"method":"a",` + member + `}` }
	tests := map[string]struct {
		text string
		code int
		id   string // what the answer's id is
	}{
		"empty":                {"", parse, ""},
		"blank":                {" \t", parse, ""},
		"byte order mark":      {"\ufeff" + request(`"x":1`), parse, ""},
		"not JSON":             {`{jsonrpc:"2.0"}`, parse, ""},
		"cut off":              {`{"jsonrpc":"2.0","id":1,"method":"a"`, parse, ""},
		"cut off in text":      {`{"jsonrpc":"2`, parse, ""},
		"two messages":         {request(`"x":1`) + request(`"x":1`), parse, ""},
		"trailing comma":       {`{"jsonrpc":"2.0","id":1,"method":"a",}`, parse, ""},
		"comma in array":       {request(`"x":[1,]`), parse, ""},
		"single quotes":        {`{'jsonrpc':'2.0'}`, parse, ""},
		"raw NUL":              {request("\"x\":\"\x00\""), parse, ""},
		"NUL outside":          {request(`"x":1`) + "\x00", parse, ""},
		"escaped NUL":          {request(`"x":"\u0000"`), parse, ""},
		"newline in text":      {request("\"x\":\"\n\""), parse, ""},
		"invalid UTF-8":        {request("\"x\":\"\xff\""), parse, ""},
		"overlong UTF-8":       {request("\"x\":\"\xc0\xaf\""), parse, ""},
		"surrogate in UTF-8":   {request("\"x\":\"\xed\xa0\x80\""), parse, ""},
		"lone high surrogate":  {request(`"x":"\ud800"`), parse, ""},
		"high without low":     {request(`"x":"\ud800\u0041"`), parse, ""},
		"lone low surrogate":   {request(`"x":"\udc00"`), parse, ""},
		"two low surrogates":   {request(`"x":"\udc00\udc00"`), parse, ""},
		"bad escape":           {request(`"x":"\x41"`), parse, ""},
		"bad hex":              {request(`"x":"\u00g0"`), parse, ""},
		"huge number":          {request(`"x":1e999`), parse, ""},
		"long number":          {request(`"x":` + strings.Repeat("9", 400)), parse, ""},
		"leading zero":         {request(`"x":01`), parse, ""},
		"plus":                 {request(`"x":+1`), parse, ""},
		"bare point":           {request(`"x":1.`), parse, ""},
		"NaN":                  {request(`"x":NaN`), parse, ""},
		"65 levels":            {nested(65), parse, ""},
		"100,000 levels":       {strings.Repeat("[", 100_000), parse, ""},
		"257 members":          {wide(257), parse, ""},
		"same name":            {request(`"method":"b"`), parse, ""},
		"same name, escaped":   {request(`"\u006dethod":"b"`), parse, ""},
		"same name, deep":      {request(`"params":{"arguments":{"x":[{"a":1,"a":2}]}}`), parse, ""},
		"METHOD":               {`{"jsonrpc":"2.0","id":1,"METHOD":"a"}`, invalid, "1"},
		"METHOD beside method": {request(`"METHOD":"b"`), invalid, "1"},
		"long s":               {request(`"param\u017f":{}`), invalid, "1"},
		"raw long s":           {request(`"paramſ":{}`), invalid, "1"},
		"Params member":        {request(`"params":{"Name":"x"}`), invalid, "1"},
		"Kelvin":               {request("\"params\":{\"tas\u212a\":1}"), invalid, "1"},
		"number":               {`3`, invalid, ""},
		"text":                 {`"x"`, invalid, ""},
		"no jsonrpc":           {`{"id":1,"method":"a"}`, invalid, "1"},
		"jsonrpc 1.0":          {`{"jsonrpc":"1.0","id":1,"method":"a"}`, invalid, "1"},
		"jsonrpc number":       {`{"jsonrpc":2.0,"id":1,"method":"a"}`, invalid, "1"},
		"no method":            {`{"jsonrpc":"2.0","id":"q"}`, invalid, `"q"`},
		"method number":        {`{"jsonrpc":"2.0","id":1,"method":1}`, invalid, "1"},
		"empty method":         {`{"jsonrpc":"2.0","id":1,"method":""}`, invalid, "1"},
		"odd method":           {`{"jsonrpc":"2.0","id":1,"method":"a b"}`, invalid, "1"},
		"escaped method":       {`{"jsonrpc":"2.0","id":1,"method":"\u0061"}`, invalid, "1"},
		"request and response": {request(`"result":1`), invalid, "1"},
		"id null":              {`{"jsonrpc":"2.0","id":null,"method":"a"}`, invalid, ""},
		"id object":            {`{"jsonrpc":"2.0","id":{},"method":"a"}`, invalid, ""},
		"id fraction":          {`{"jsonrpc":"2.0","id":1.5,"method":"a"}`, invalid, ""},
		"id power":             {`{"jsonrpc":"2.0","id":1e2,"method":"a"}`, invalid, ""},
		"id beyond 2^53":       {`{"jsonrpc":"2.0","id":9007199254740993,"method":"a"}`, invalid, ""},
		"id minus zero":        {`{"jsonrpc":"2.0","id":-0,"method":"a"}`, invalid, ""},
		"id too long":          {`{"jsonrpc":"2.0","id":"` + strings.Repeat("x", 255) + `","method":"a"}`, invalid, ""},
		"params array":         {request(`"params":[]`), invalid, "1"},
		"params null":          {request(`"params":null`), invalid, "1"},
		"params text":          {request(`"params":"x"`), invalid, "1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := envelope.Check([]byte(test.text))
			if err == nil {
				t.Fatal("accepted")
			}
			if err.Code != test.code || string(err.ID) != test.id {
				t.Errorf("code %d, id %q, want %d, %q: %s", err.Code, err.ID, test.code, test.id, err.Text)
			}
		})
	}
}

func TestSplit(t *testing.T) {
	got, err := envelope.Split([]byte(` [ {"a":[1,2]} , 3,"x" ] `))
	if err != nil || fmt.Sprintf("%s", got) != `[{"a":[1,2]} 3 "x"]` {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := envelope.Split([]byte(`[]`)); err == nil {
		t.Error("an empty batch was accepted")
	}
	if _, err := envelope.Split([]byte(`[` + strings.Repeat("1,", 64) + `1]`)); err == nil {
		t.Error("a batch of 65 was accepted")
	}
}

func TestCheckDoesNotAllocate(t *testing.T) {
	line := []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_secret","arguments":{"path":"a/b","é":"\u00e9"}}}`)
	if n := testing.AllocsPerRun(100, func() { _, _ = envelope.Check(line) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCheck(b *testing.B) {
	line := []byte(`{"jsonrpc":"2.0","id":12345,"method":"tools/call","params":{"name":"get_secret","arguments":{"path":"production/openai/api-key","as":"handle"},"_meta":{"progressToken":17}}}`)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := envelope.Check(line); err != nil {
			b.Fatal(err)
		}
	}
}

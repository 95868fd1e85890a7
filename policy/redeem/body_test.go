package redeem_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// hostile is a value that tries to leave every place it is put into.
const hostile = `v"},"admin":true,"x":"\u0022&admin=true%26+ <>é` + "\r\n--boundary\r\nContent-Disposition: form-data; name=\"admin\"\r\n\r\n\t1"

const formType = "application/x-www-form-urlencoded"

func typed(contentType, body string) redeem.Call {
	return redeem.Call{Method: "POST", URL: base, Body: body, ContentType: contentType}
}

// readBody returns the body of a request that sent wrote.
func readBody(t *testing.T, r *http.Request) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestBodies(t *testing.T) {
	h := newHandle(t)
	quoted := `"v\"},\"admin\":true,\"x\":\"\\u0022&admin=true%26+ <>é\r\n--boundary\r\nContent-Disposition: form-data; name=\"admin\"\r\n\r\n\t1"`
	escaped := url.QueryEscape(hostile)
	escaped = strings.ReplaceAll(escaped, "+", "%20")
	for name, c := range map[string]struct {
		call redeem.Call
		in   string
		want string
		kind string
	}{
		"JSON":                     {redeem.Call{JSON: json.RawMessage(` { "b" : 1e400, "a" : {"key": "` + h + `" , "c":[true,null,"é\/\u003c"]} } `)}, "json:/a/key", `{"b":1e400,"a":{"key":` + quoted + `,"c":[true,null,"é/<"]}}`, "application/json"},
		"JSON with a type":         {redeem.Call{JSON: json.RawMessage(`["` + h + `"]`), Headers: []redeem.Field{{"Content-Type", "application/vnd.api+json"}}}, "json:/0", `[` + quoted + `]`, "application/vnd.api+json"},
		"JSON as text":             {typed("", `{"key": "`+h+`"}`), "json:/key", `{"key":` + quoted + `}`, "application/json"},
		"JSON as typed text":       {typed(`application/json; charset="UTF-8"`, `{"k~/": [[], "`+h+`"]}`), "json:/k~0~1/1", `{"k~/":[[],` + quoted + `]}`, `application/json; charset="UTF-8"`},
		"JSON, the handle escaped": {typed("", `{"k\u0065y":"\u0061`+h[1:]+`"}`), "json:/key", `{"key":` + quoted + `}`, "application/json"},
		"a form":                   {redeem.Call{Form: []redeem.Field{{"a b", "c&d"}, {"key", h}, {"e", ""}}}, "form:key", "a%20b=c%26d&key=" + escaped + "&e=", formType},
		"a form as text":           {typed(formType, "a=b+c&&d&k%65y="+h), "form:key", "a=b%20c&d=&key=" + escaped, formType},
	} {
		t.Run(name, func(t *testing.T) {
			c.call.Method, c.call.URL = "POST", base
			r, _ := sent(t, c.call, h, c.in, "", hostile)
			if got := readBody(t, r); got != c.want || r.Header.Get("Content-Type") != c.kind {
				t.Fatalf("%s\n%q\n%q", r.Header.Get("Content-Type"), got, c.want)
			}
		})
	}
}

// A body without a handle goes out as it was written, odd spellings and all.
func TestBodiesWithoutHandles(t *testing.T) {
	for _, c := range []redeem.Call{
		typed("", `{"a" : 1, "a" : 2}`), typed("application/json", `{"a"`), typed(formType, "a=%zz&a&&"), typed("multipart/form-data; boundary=x", "--x"),
		typed("application/json", `"\ud800"`), typed("text/plain", "\x00\xff"),
	} {
		raw, err := redeem.Wire(prepare(t, c), nil, nil)
		if err != nil || !strings.HasSuffix(string(raw), "\r\n\r\n"+c.Body) {
			t.Errorf("%q: %q %v", c.Body, raw, err)
		}
	}
	for _, c := range []struct{ given, want string }{{`{ "a" : [ 1.50 , "\u0041" ] }`, `{"a":[1.50,"A"]}`}, {`0`, `0`}, {`{}`, `{}`}, {`[]`, `[]`}} {
		raw, err := redeem.Wire(prepare(t, redeem.Call{Method: "POST", URL: base, JSON: json.RawMessage(c.given)}), nil, nil)
		if err != nil || !strings.HasSuffix(string(raw), "\r\n\r\n"+c.want) {
			t.Errorf("%s: %q %v", c.given, raw, err)
		}
	}
}

func TestMultipart(t *testing.T) {
	h := newHandle(t)
	r, _ := sent(t, redeem.Call{Method: "POST", URL: base, Parts: []redeem.Part{
		{Name: "purpose", Value: "--x\r\n\r\n"}, {Name: "key", Value: "k=" + h}, {Name: "füle", Value: "text", Filename: "résumé.txt", ContentType: "text/plain"},
	}}, h, "form:key: k={}", "", hostile)
	media, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" || len(parameters["boundary"]) < 26 {
		t.Fatal(r.Header)
	}
	parts := multipart.NewReader(r.Body, parameters["boundary"])
	for _, want := range []redeem.Part{{Name: "purpose", Value: "--x\r\n\r\n"}, {Name: "key", Value: "k=" + hostile}, {Name: "füle", Value: "text", Filename: "résumé.txt", ContentType: "text/plain"}} {
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		value, err := io.ReadAll(part)
		got := redeem.Part{Name: part.FormName(), Value: string(value), Filename: part.FileName(), ContentType: part.Header.Get("Content-Type")}
		if err != nil || got != want {
			t.Fatalf("%+v, want %+v, %v", got, want, err)
		}
	}
	if _, err := parts.NextRawPart(); err != io.EOF {
		t.Fatal(err)
	}
}

// No two requests share a boundary: it cannot be known when a value is stored.
func TestBoundaries(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		raw, err := redeem.Wire(prepare(t, redeem.Call{Method: "POST", URL: base, Parts: []redeem.Part{{Name: "a"}}}), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		seen[string(raw)] = true
	}
	if len(seen) != 100 {
		t.Fatalf("%d boundaries for 100 requests", len(seen))
	}
}

func TestRefusedBodies(t *testing.T) {
	h := newHandle(t)
	text := func(s string) json.RawMessage { return json.RawMessage(s) }
	long := strings.Repeat("a", redeem.MaxBodyBytes)
	for name, c := range map[string]struct {
		call redeem.Call
		code string
	}{
		"two bodies":                        {redeem.Call{Body: "a", JSON: text("1")}, redeem.CodeBody},
		"two others":                        {redeem.Call{Form: []redeem.Field{}, Parts: []redeem.Part{}}, redeem.CodeBody},
		"no JSON":                           {redeem.Call{JSON: text("{")}, redeem.CodeBody},
		"nothing":                           {redeem.Call{JSON: text("")}, redeem.CodeBody},
		"two documents":                     {redeem.Call{JSON: text("1 2")}, redeem.CodeBody},
		"JSON that is not UTF-8":            {redeem.Call{JSON: text("\"\xff\"")}, redeem.CodeBody},
		"a name twice":                      {redeem.Call{JSON: text(`{"a":1,"b":{},"a":2}`)}, redeem.CodeBody},
		"a name twice, disguised":           {redeem.Call{JSON: text(`{"a":1,"\u0061":2}`)}, redeem.CodeBody},
		"a name twice, below":               {redeem.Call{JSON: text(`[{"a":{"b":1,"b":1}}]`)}, redeem.CodeBody},
		"half a pair":                       {redeem.Call{JSON: text(`{"a":"\ud800"}`)}, redeem.CodeBody},
		"half a pair in a name":             {redeem.Call{JSON: text(`{"\udc00":1}`)}, redeem.CodeBody},
		"deep":                              {redeem.Call{JSON: text(strings.Repeat("[", 102) + strings.Repeat("]", 102))}, redeem.CodeBody},
		"text with a name twice":            {typed("", `{"key":"`+h+`","key":"other"}`), redeem.CodeBody},
		"text that is no JSON":              {typed("application/json", `{"key":"`+h+`"`), redeem.CodeBody},
		"text with a byte order mark":       {typed("application/json", "\ufeff"+`{"key":"`+h+`"}`), redeem.CodeBody},
		"text with a comment":               {typed("application/json", `{"key":"`+h+`"/**/}`), redeem.CodeBody},
		"a form with a field twice":         {redeem.Call{Form: []redeem.Field{{"key", "x"}, {"key", h}}}, redeem.CodeBody},
		"text of a form with a field twice": {typed(formType, "key="+h+"&k%65y=x"), redeem.CodeBody},
		"text of a form that is broken":     {typed(formType, "key="+h+"&a=%g"), redeem.CodeBody},
		"a part twice":                      {redeem.Call{Parts: []redeem.Part{{Name: "key", Value: h}, {Name: "key", Value: "x"}}}, redeem.CodeBody},
		"a part and a file of one name":     {redeem.Call{Parts: []redeem.Part{{Name: "key", Value: h}, {Name: "key", Filename: "f", Value: "x"}}}, redeem.CodeBody},
		"a part without a name":             {redeem.Call{Parts: []redeem.Part{{Value: h}}}, redeem.CodeBody},
		"a part with a quotation mark":      {redeem.Call{Parts: []redeem.Part{{Name: `a"; name="b`}}}, redeem.CodeBody},
		"a file with a line break":          {redeem.Call{Parts: []redeem.Part{{Name: "a", Filename: "b\r\nX: y"}}}, redeem.CodeBody},
		"a file with a backslash":           {redeem.Call{Parts: []redeem.Part{{Name: "a", Filename: `b\`}}}, redeem.CodeBody},
		"a part's type with a line break":   {redeem.Call{Parts: []redeem.Part{{Name: "a", ContentType: "b\r\nX: y"}}}, redeem.CodeBody},
		"a part with a long name":           {redeem.Call{Parts: []redeem.Part{{Name: strings.Repeat("a", 1025)}}}, redeem.CodeBody},
		"a part that is not UTF-8":          {redeem.Call{Parts: []redeem.Part{{Name: "\xff"}}}, redeem.CodeBody},
		"JSON with another type":            {redeem.Call{JSON: text("1"), ContentType: "text/plain"}, redeem.CodeHeader},
		"JSON in another charset":           {redeem.Call{JSON: text("1"), ContentType: "application/json; charset=utf-16"}, redeem.CodeHeader},
		"a form with another type":          {redeem.Call{Form: []redeem.Field{{"a", "b"}}, ContentType: "application/json"}, redeem.CodeHeader},
		"parts with a type":                 {redeem.Call{Parts: []redeem.Part{{Name: "a"}}, Headers: []redeem.Field{{"content-type", "multipart/form-data; boundary=x"}}}, redeem.CodeHeader},
		"JSON too long":                     {redeem.Call{JSON: text(`"` + long + `"`)}, redeem.CodeBody},
		"a form too long":                   {redeem.Call{Form: []redeem.Field{{"a", long}}}, redeem.CodeBody},
		"parts too long":                    {redeem.Call{Parts: []redeem.Part{{Name: "a", Value: long}}}, redeem.CodeBody},
		"many handles":                      {redeem.Call{JSON: text(`["` + strings.Repeat(h+" ", redeem.MaxHandles+1) + `"]`)}, redeem.CodePlace},
		"many handles in names":             {redeem.Call{Form: []redeem.Field{{strings.Repeat(h+" ", redeem.MaxHandles+1), ""}}}, redeem.CodePlace},
	} {
		t.Run(name, func(t *testing.T) {
			c.call.Method, c.call.URL = "POST", base
			_, err := redeem.Prepare(c.call)
			if r := refusal(t, err); r.Code != c.code || r.Next == "" || strings.Contains(r.Error(), h) {
				t.Fatalf("%+v", r)
			}
		})
	}
}

// A handle stands in its place, or the request is not made.
func TestFitsInBodies(t *testing.T) {
	h := newHandle(t)
	doc := func(s string) redeem.Call { return redeem.Call{JSON: json.RawMessage(s)} }
	for name, c := range map[string]struct {
		call redeem.Call
		in   string
		fits bool
	}{
		"JSON":                        {doc(`{"a":{"b":["x","` + h + `"]}}`), "json:/a/b/1", true},
		"JSON with a template":        {doc(`{"a":"Bearer ` + h + `"}`), "json:/a: Bearer {}", true},
		"a numeric name":              {doc(`{"0":"` + h + `"}`), "json:/0", true},
		"an empty name":               {doc(`{"":"` + h + `"}`), "json:/", true},
		"another field":               {doc(`{"a":"` + h + `"}`), "json:/b", false},
		"the same name below":         {doc(`{"x":{"a":"` + h + `"}}`), "json:/a", false},
		"the same name above":         {doc(`{"a":"` + h + `"}`), "json:/x/a", false},
		"a name with a slash":         {doc(`{"a/b":"` + h + `"}`), "json:/a/b", false},
		"another element":             {doc(`["","` + h + `"]`), "json:/0", false},
		"another spelling of one":     {doc(`["` + h + `"]`), "json:/00", false},
		"the whole document":          {doc(`"` + h + `"`), "json:/", false},
		"a name":                      {doc(`{"a":{"` + h + `":""}}`), "json:/a", false},
		"something behind":            {doc(`{"a":"` + h + ` "}`), "json:/a", false},
		"twice":                       {doc(`{"a":"` + h + h + `"}`), "json:/a", false},
		"in two fields":               {doc(`{"a":"` + h + `","b":"` + h + `"}`), "json:/a", false},
		"in a string of JSON":         {doc(`{"a":"{\"b\":\"` + h + `\"}"}`), "json:/a/b", false},
		"a header instead":            {redeem.Call{Headers: []redeem.Field{{"A", h}}}, "json:/A", false},
		"a form instead":              {redeem.Call{Form: []redeem.Field{{"a", h}}}, "json:/a", false},
		"other text":                  {typed("text/plain", `{"a":"`+h+`"}`), "json:/a", false},
		"another charset":             {typed("application/json; charset=utf-7", `{"a":"`+h+`"}`), "json:/a", false},
		"a list of documents":         {typed("application/x-ndjson", `{"a":"`+h+`"}`), "json:/a", false},
		"a form":                      {redeem.Call{Form: []redeem.Field{{"a", h}}}, "form:a", true},
		"a form, another field":       {redeem.Call{Form: []redeem.Field{{"b", h}}}, "form:a", false},
		"a form, another case":        {redeem.Call{Form: []redeem.Field{{"A", h}}}, "form:a", false},
		"a form, a name":              {redeem.Call{Form: []redeem.Field{{h, "a"}}}, "form:a", false},
		"a form, behind a semicolon":  {typed(formType, "x=1;a="+h), "form:a", false},
		"a form, in the query":        {redeem.Call{Query: []redeem.Field{{"a", h}}}, "form:a", false},
		"a form in another charset":   {typed(formType+"; charset=utf-16", "a="+h), "form:a", false},
		"a part":                      {redeem.Call{Parts: []redeem.Part{{Name: "a", Value: h}}}, "form:a", true},
		"a part, another name":        {redeem.Call{Parts: []redeem.Part{{Name: "b", Value: h}}}, "form:a", false},
		"a part, a file":              {redeem.Call{Parts: []redeem.Part{{Name: "a", Value: h, Filename: "x"}}}, "form:a", false},
		"a part, with a type":         {redeem.Call{Parts: []redeem.Part{{Name: "a", Value: h, ContentType: "application/json"}}}, "form:a", false},
		"a part, its name":            {redeem.Call{Parts: []redeem.Part{{Name: h}}}, "form:a", false},
		"a part, a file's name":       {redeem.Call{Parts: []redeem.Part{{Name: "a", Filename: h}}}, "form:a", false},
		"a part, its type":            {redeem.Call{Parts: []redeem.Part{{Name: "a", ContentType: "text/" + h}}}, "form:a", false},
		"a multipart body as text":    {typed("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"+h+"\r\n--x--"), "form:a", false},
		"a form instead of JSON text": {typed("", "a="+h), "form:a", false},
	} {
		t.Run(name, func(t *testing.T) {
			c.call.Method, c.call.URL = "POST", base
			p, d := prepare(t, c.call), destination(t, "api.example.com", c.in)
			_, err := p.Fit(h, "", []vault.Destination{{HTTP: &d}})
			if c.fits {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if r := refusal(t, err); r.Code != redeem.CodePlace || !strings.Contains(r.Next, d.In.Name) || strings.Contains(r.Error(), h) {
				t.Fatalf("%+v", r)
			}
			values, places := one(h, canary, d)
			if _, err := redeem.Wire(p, values, places); err == nil {
				t.Fatal("written")
			}
		})
	}
}

// Two values in one body, one of them longer than its handle.
func TestTwoHandlesInOneBody(t *testing.T) {
	a, b := newHandle(t), newHandle(t)
	value := map[string]secret.Value{a: secret.New([]byte(strings.Repeat("long", 20))), b: secret.New([]byte("b"))}
	for name, call := range map[string]redeem.Call{
		"json": {JSON: json.RawMessage(`{"a":"` + a + `","b":"` + b + `","c":"c"}`)},
		"form": {Form: []redeem.Field{{"a", a}, {"b", b}, {"c", "c"}}},
	} {
		call.Method, call.URL = "POST", base
		in := map[string]string{"json": "json:/", "form": "form:"}[name]
		raw, err := redeem.Wire(prepare(t, call), value, map[string]redeem.Placement{
			a: {Destination: destination(t, "api.example.com", in+"a")}, b: {Destination: destination(t, "api.example.com", in+"b")},
		})
		want := map[string]string{"json": `{"a":"` + strings.Repeat("long", 20) + `","b":"b","c":"c"}`, "form": "a=" + strings.Repeat("long", 20) + "&b=b&c=c"}[name]
		if err != nil || !strings.HasSuffix(string(raw), "\r\n\r\n"+want) {
			t.Errorf("%s: %s %v", name, raw, err)
		}
	}
}

func TestUnfitValuesInBodies(t *testing.T) {
	h := newHandle(t)
	for _, c := range []struct {
		in, value string
		fits      bool
	}{
		{"json:/k", "a\x00b", false},
		{"json:/k", "a\x1bb", false},
		{"json:/k", "a\xffb", false},
		{"json:/k", "\t-----BEGIN\r\nKEY\n", true},
		{"form:k", "a\x00b", false},
		{"form:k", "a\x7fb", false},
		{"form:k", "a\xff\r\n\tb", true},
	} {
		call := redeem.Call{Method: "POST", URL: base, JSON: json.RawMessage(`{"k":"` + h + `"}`)}
		if strings.HasPrefix(c.in, "form:") {
			call.JSON, call.Form = nil, []redeem.Field{{"k", h}}
		}
		values, places := one(h, c.value, destination(t, "api.example.com", c.in))
		_, err := redeem.Wire(prepare(t, call), values, places)
		switch {
		case c.fits && err != nil:
			t.Errorf("%q in %s: %v", c.value, c.in, err)
		case !c.fits && refusal(t, err).Code != redeem.CodeValue:
			t.Errorf("%q in %s: %v", c.value, c.in, err)
		}
	}
}

// Whatever the value, the body has the fields it had, and the value in one of
// them.
func TestNoValueBreaksOut(t *testing.T) {
	h := newHandle(t)
	rapid.Check(t, func(t2 *rapid.T) {
		checkValue(t, h, string(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom([]byte("\"\\&=+%;\r\n\t<>{}[]:,-'`/ \u2028é")), rapid.ByteRange(' ', '~')), 1, 60).Draw(t2, "value")))
	})
}

// Every byte at the start, in the middle and at the end of a value.
func TestBytesInBodies(t *testing.T) {
	h := newHandle(t)
	for b := range 256 {
		c := string([]byte{byte(b)})
		for _, value := range []string{c + "v", "v" + c + "v", "v" + c} {
			checkValue(t, h, value)
		}
	}
}

// checkValue puts a value into each kind of body and reads it back with other
// readers.
func checkValue(t *testing.T, h, value string) {
	t.Helper()
	three := []redeem.Field{{"a", "b"}, {"key", h}, {"c", "1"}}
	parts := []redeem.Part{{Name: "a", Value: "b"}, {Name: "key", Value: h}, {Name: "c", Value: "1"}}
	for _, call := range []redeem.Call{{JSON: json.RawMessage(`{"a":"b","key":"` + h + `","c":"1"}`)}, {Form: three}, {Parts: parts}} {
		in := "form:key"
		if call.JSON != nil {
			in = "json:/key"
		}
		call.Method, call.URL = "POST", base
		values, places := one(h, value, destination(t, "api.example.com", in))
		raw, err := redeem.Wire(prepare(t, call), values, places)
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\r\n", r) || r == 0x7f }) || call.JSON != nil && !utf8.ValidString(value) {
			if r := refusal(t, err); r.Code != redeem.CodeValue {
				t.Fatalf("%q: %v", value, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string][]string{}
		switch {
		case call.JSON != nil:
			var object map[string]string
			err = json.Unmarshal([]byte(readBody(t, r)), &object)
			for name, text := range object {
				got[name] = []string{text}
			}
		case call.Form != nil:
			got, err = url.ParseQuery(readBody(t, r))
		default:
			if err = r.ParseMultipartForm(1 << 20); err == nil && len(r.MultipartForm.File) == 0 {
				got = r.MultipartForm.Value
			}
		}
		if want := map[string][]string{"a": {"b"}, "key": {value}, "c": {"1"}}; err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %q %v", value, got, err)
		}
	}
}

func FuzzJSONBody(f *testing.F) {
	for _, s := range []string{`{"a":1,"b":[true,null,"x"]}`, `{"a":1,"a":2}`, `"\ud800"`, `[[[]]]`, `{"":{}} `, "\ufeff1", `1e999`, `-0`, `{"a\u0000":"\u2028"}`, `{"a"`, `[1,]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, document string) {
		p, err := redeem.Prepare(redeem.Call{Method: "POST", URL: base, JSON: json.RawMessage(document)})
		if err != nil {
			_ = refusal(t, err)
			return
		}
		if len(p.Handles()) > 0 {
			return
		}
		write := func(p *redeem.Prepared) string {
			raw, err := redeem.Wire(p, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, body, _ := strings.Cut(string(raw), "\r\n\r\n")
			return body
		}
		body := write(p)
		if again := write(prepare(t, redeem.Call{Method: "POST", URL: base, JSON: json.RawMessage(body)})); again != body {
			t.Fatalf("%q became %q, then %q", document, body, again)
		}
		var was, is any
		if json.Unmarshal([]byte(document), &was) == nil {
			if err := json.Unmarshal([]byte(body), &is); err != nil || !same(was, is) {
				t.Fatalf("%q became %q", document, body)
			}
		}
	})
}

func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

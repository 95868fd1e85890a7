package redeem_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
)

const base = "https://api.example.com/v1"

func TestMethods(t *testing.T) {
	for in, want := range map[string]string{"": "GET", "get": "GET", "POST": "POST", "Patch": "PATCH", "QUERY": "QUERY"} {
		if got := prepare(t, redeem.Call{Method: in, URL: base}).Target().Method; got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
	for _, in := range []string{"CONNECT", "trace", "GET ", "GET\r\nX:", "G ET", "GÉT", "GET/", "VERSION-CONTROL", strings.Repeat("A", 21)} {
		_, err := redeem.Prepare(redeem.Call{Method: in, URL: base})
		if r := refusal(t, err); r.Code != redeem.CodeMethod {
			t.Errorf("%q: %v", in, r)
		}
	}
}

func TestRefusedHeaders(t *testing.T) {
	steering := []string{
		"Host", "host", "HOST", "Connection", "Keep-Alive", "Content-Length", "Transfer-Encoding", "transfer-encoding", "Accept-Encoding", "Range", "If-Range",
		"Upgrade", "TE", "Te", "Trailer", "Expect", "Proxy-Authorization", "Proxy-Connection", "proxy-anything", "HTTP2-Settings", "Forwarded",
		"X-Forwarded-For", "X-Forwarded-Host", "x-forwarded-proto", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL",
		"X_HTTP_Method_Override", "X-Forwarded_Host", "content_length", "X_Y", "X.Y",
	}
	broken := []string{"", " ", "X Y", "X:", ":path", "X\r\nY", "X\x00", "Xé", "X-Ä", "X(", "Host ", " Host", "X\tY", "Transfer-Encoding\x0b"}
	for _, name := range append(steering, broken...) {
		_, err := redeem.Prepare(redeem.Call{URL: base, Headers: []redeem.Field{{Name: name, Value: "x"}}})
		if r := refusal(t, err); r.Code != redeem.CodeHeader || r.Next == "" {
			t.Errorf("%q: %v", name, r)
		}
	}
	for _, value := range []string{"a\r\nX: y", "a\nb", "a\rb", "a\x00b", "é", "a\x7fb", "a\tb", "\n", "a\r\n b"} {
		_, err := redeem.Prepare(redeem.Call{URL: base, Headers: []redeem.Field{{Name: "X-A", Value: value}}})
		if r := refusal(t, err); r.Code != redeem.CodeHeader {
			t.Errorf("%q: %v", value, r)
		}
	}
}

func TestRefusedCalls(t *testing.T) {
	handle := newHandle(t)
	many := make([]redeem.Field, redeem.MaxHeaders+1)
	for i := range many {
		many[i] = redeem.Field{Name: "X-A", Value: "b"}
	}
	for name, c := range map[string]struct {
		call redeem.Call
		code string
	}{
		"handle in the host":                           {redeem.Call{URL: "https://" + handle + ".evil.example/"}, redeem.CodeURL},
		"handle in the name of a header, value broken": {redeem.Call{URL: base, Headers: []redeem.Field{{handle, "\n"}}}, redeem.CodeHeader},
		"body too long":                                {redeem.Call{Method: "POST", URL: base, Body: strings.Repeat("a", redeem.MaxBodyBytes+1)}, redeem.CodeBody},
		"too many headers":                             {redeem.Call{URL: base, Headers: many}, redeem.CodeHeader},
		"headers too long":                             {redeem.Call{URL: base, Headers: []redeem.Field{{"X-A", strings.Repeat("a", redeem.MaxHeaderBytes)}}}, redeem.CodeHeader},
		"query too long":                               {redeem.Call{URL: base, Query: []redeem.Field{{"a", strings.Repeat("a", redeem.MaxQueryBytes)}}}, redeem.CodeQuery},
		"nameless parameter":                           {redeem.Call{URL: base, Query: []redeem.Field{{"", "a"}}}, redeem.CodeQuery},
		"authorization twice":                          {redeem.Call{URL: base, Headers: []redeem.Field{{"Authorization", "a"}, {"authorization", "b"}}}, redeem.CodeHeader},
		"content type twice":                           {redeem.Call{URL: base, Headers: []redeem.Field{{"Content-Type", "a"}}, ContentType: "b"}, redeem.CodeHeader},
		"content type broken":                          {redeem.Call{URL: base, ContentType: "a\r\nX: y"}, redeem.CodeHeader},
		"header of the handle twice":                   {redeem.Call{URL: base, Headers: []redeem.Field{{"X-Key", handle}, {"x-key", "other"}}}, redeem.CodeHeader},
		"parameter of the handle twice":                {redeem.Call{URL: base + "?key=other", Query: []redeem.Field{{"key", handle}}}, redeem.CodeQuery},
		"the same, disguised":                          {redeem.Call{URL: base + "?k%65y=other&key=" + handle}, redeem.CodeQuery},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := redeem.Prepare(c.call)
			if r := refusal(t, err); r.Code != c.code || strings.Contains(r.Error(), handle) {
				t.Fatal(r)
			}
		})
	}
}

func TestContentType(t *testing.T) {
	for body, want := range map[string]string{"": "", `{"a":1}`: "application/json", "a=b": "text/plain; charset=utf-8"} {
		sent, err := redeem.Wire(prepare(t, redeem.Call{Method: "POST", URL: base, Body: body}), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(sent), "Content-Type: "+want+"\r\n"); got != (want != "") || want == "" && strings.Contains(string(sent), "Content-Type") {
			t.Errorf("%q: %s", body, sent)
		}
	}
	for _, c := range []redeem.Call{
		{Method: "POST", URL: base, Body: "a=b", ContentType: "application/x-www-form-urlencoded"},
		{Method: "POST", URL: base, Body: "a=b", Headers: []redeem.Field{{"content-type", "application/x-www-form-urlencoded"}}},
	} {
		sent, _ := redeem.Wire(prepare(t, c), nil, nil)
		if strings.Count(string(sent), "Content-Type: application/x-www-form-urlencoded\r\n") != 1 {
			t.Errorf("%s", sent)
		}
	}
}

func TestFits(t *testing.T) {
	h := newHandle(t)
	header := func(name, value string) redeem.Call {
		return redeem.Call{URL: base, Headers: []redeem.Field{{Name: name, Value: value}}}
	}
	encoded := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	const bearer = "put it in header Authorization as `Bearer HANDLE`."
	for name, c := range map[string]struct {
		call  redeem.Call
		in    string
		shape string
		next  string // "" when it fits
	}{
		"bearer":                      {header("Authorization", "Bearer "+h), "header:Authorization: Bearer {}", "", ""},
		"bearer, odd spelling":        {header("aUTHORIZATION", " Bearer "+h+" "), "header:Authorization: Bearer {}", "", ""},
		"own header":                  {header("x-api-key", h), "header:X-Api-Key: {}", "", ""},
		"cookie":                      {header("Cookie", "session="+h), "header:Cookie: session={}", "", ""},
		"shaped":                      {header("Authorization", "Bearer sk-proj-"+h), "header:Authorization: Bearer {}", "sk-proj-{handle}", ""},
		"bare in spite of a shape":    {header("Authorization", "Bearer "+h), "header:Authorization: Bearer {}", "sk-proj-{handle}", ""},
		"query of the URL":            {redeem.Call{URL: base + "?a=1&key=" + h + "&b"}, "query:key", "", ""},
		"query field":                 {redeem.Call{URL: base, Query: []redeem.Field{{"key", h}}}, "query:key", "", ""},
		"query, escaped":              {redeem.Call{URL: base + "?k%65y=%61" + h[1:]}, "query:key", "", ""},
		"basic, clear":                {header("Authorization", "Basic user:"+h), "basic:user:{}", "", ""},
		"basic, clear, other case":    {header("Authorization", "basic user:"+h), "basic:user:{}", "", ""},
		"basic, without the word":     {header("Authorization", "user:"+h), "basic:user:{}", "", ""},
		"basic, base64":               {header("Authorization", "Basic "+encoded("user:"+h)), "basic:user:{}", "", ""},
		"basic, base64, shaped":       {header("Authorization", "Basic "+encoded("user:x-"+h)), "basic:user:{}", "x-{handle}", ""},
		"basic, as the user name":     {header("Authorization", "Basic "+h+":"), "basic:{}:", "", ""},
		"a pair that is stored whole": {header("Authorization", "Basic "+h), "header:Authorization: Basic {}", "", ""},

		"other header":                {header("X-Other", "Bearer "+h), "header:Authorization: Bearer {}", "", bearer},
		"other scheme":                {header("Authorization", "Token "+h), "header:Authorization: Bearer {}", "", bearer},
		"no scheme":                   {header("Authorization", h), "header:Authorization: Bearer {}", "", bearer},
		"something behind":            {header("Authorization", "Bearer "+h+" x"), "header:Authorization: Bearer {}", "", bearer},
		"something before":            {header("X-Api-Key", "x"+h), "header:X-Api-Key: {}", "", "put it in header X-Api-Key as `HANDLE`."},
		"twice":                       {header("X-Api-Key", h+" "+h), "header:X-Api-Key: {}", "", "put it in header X-Api-Key as `HANDLE`."},
		"a hole of its own":           {header("X-Api-Key", "{}"+h), "header:X-Api-Key: {}", "", "put it in header X-Api-Key as `HANDLE`."},
		"foreign shape":               {header("Authorization", "Bearer sk-"+h), "header:Authorization: Bearer {}", "sk-proj-{handle}", bearer},
		"shape without a rule":        {header("Authorization", "Bearer sk-"+h), "header:Authorization: Bearer {}", "", bearer},
		"name of a header":            {header(h, "x"), "header:Authorization: Bearer {}", "", bearer},
		"body":                        {redeem.Call{Method: "POST", URL: base, Body: `{"key":"` + h + `"}`}, "header:Authorization: Bearer {}", "", bearer},
		"content type":                {redeem.Call{Method: "POST", URL: base, Body: "a", ContentType: "text/" + h}, "header:Authorization: Bearer {}", "", bearer},
		"path":                        {redeem.Call{URL: base + "/" + h}, "header:Authorization: Bearer {}", "", bearer},
		"path, escaped":               {redeem.Call{URL: base + "/%61%73h%5f" + h[4:]}, "header:Authorization: Bearer {}", "", bearer},
		"query instead":               {redeem.Call{URL: base + "?key=" + h}, "header:Authorization: Bearer {}", "", bearer},
		"header instead":              {header("Authorization", "Bearer "+h), "query:key", "", "put it in query parameter key as `HANDLE`."},
		"other parameter":             {redeem.Call{URL: base + "?q=" + h}, "query:key", "", "put it in query parameter key as `HANDLE`."},
		"part of a parameter":         {redeem.Call{URL: base + "?key=x" + h}, "query:key", "", "put it in query parameter key as `HANDLE`."},
		"behind a semicolon":          {redeem.Call{URL: base + "?a=1;key=" + h}, "query:key", "", "put it in query parameter key as `HANDLE`."},
		"name of a parameter":         {redeem.Call{URL: base + "?" + h + "=x"}, "query:key", "", "put it in query parameter key as `HANDLE`."},
		"parameter without a value":   {redeem.Call{URL: base + "?" + h}, "query:key", "", "put it in query parameter key as `HANDLE`."},
		"basic for another user":      {header("Authorization", "Basic root:"+h), "basic:user:{}", "", "put it in header Authorization as `Basic user:HANDLE`."},
		"basic, base64, another user": {header("Authorization", "Basic "+encoded("root:"+h)), "basic:user:{}", "", "put it in header Authorization as `Basic user:HANDLE`."},
		"basic instead of bearer":     {header("Authorization", "Basic user:"+h), "header:Authorization: Bearer {}", "", bearer},
		"basic in another header":     {header("X-Auth", "user:"+h), "basic:user:{}", "", "put it in header Authorization as `Basic user:HANDLE`."},
		"right and also in the body": {
			redeem.Call{Method: "POST", URL: base, Headers: []redeem.Field{{"Authorization", "Bearer " + h}}, Body: h}, "header:Authorization: Bearer {}", "", bearer,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := prepare(t, c.call)
			if got := p.Handles(); len(got) != 1 || got[0] != h {
				t.Fatalf("handles %v", got)
			}
			d := destination(t, "api.example.com", c.in)
			place, err := p.Fit(h, c.shape, []vault.Destination{{HTTP: &d}})
			if c.next == "" {
				if err != nil || !place.Destination.Equal(d) || place.Shape != c.shape {
					t.Fatalf("%v, %v", place, err)
				}
				return
			}
			if r := refusal(t, err); r.Code != redeem.CodePlace || !strings.EqualFold(r.Next, c.next) || strings.Contains(r.Reason, h) {
				t.Fatalf("%+v", r)
			}
			// The last step refuses as well, whatever the caller made of the first.
			values, places := one(h, canary, d)
			if _, err := redeem.NewClient(nil).Do(t.Context(), "agent:test", p, values, places); err == nil {
				t.Fatal("sent")
			}
		})
	}
}

func TestFitChoosesAmongDestinations(t *testing.T) {
	h := newHandle(t)
	p := prepare(t, redeem.Call{URL: base + "?key=" + h})
	elsewhere, header, query := destination(t, "other.example.com", "query:key"), destination(t, "api.example.com", "header:X-Key"), destination(t, "api.example.com", "query:key")
	place, err := p.Fit(h, "", []vault.Destination{{}, {HTTP: &elsewhere}, {HTTP: &header}, {HTTP: &query}})
	if err != nil || !place.Destination.Equal(query) {
		t.Fatalf("%v, %v", place, err)
	}
	for _, list := range [][]vault.Destination{nil, {{}}, {{HTTP: &elsewhere}}} {
		_, err := p.Fit(h, "", list)
		if r := refusal(t, err); r.Code != redeem.CodeDestination {
			t.Fatal(r)
		}
	}
	if _, err := p.Fit(newHandle(t), "", []vault.Destination{{HTTP: &query}}); err == nil {
		t.Fatal("a handle that is not there fits")
	}
}

func TestMistypedHandleIsFound(t *testing.T) {
	h := newHandle(t)
	last := "a"
	if strings.HasSuffix(h, last) {
		last = "b"
	}
	typo := h[:len(h)-1] + last
	if got := prepare(t, redeem.Call{URL: base, Headers: []redeem.Field{{"Authorization", "Bearer " + typo}}}).Handles(); len(got) != 1 || got[0] != typo {
		t.Fatalf("%v", got)
	}
}

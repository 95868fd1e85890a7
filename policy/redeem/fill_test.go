package redeem_test

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// sent prepares, fits and writes a call with one handle, and reads it back.
func sent(t *testing.T, c redeem.Call, handle, in, shape, value string) (*http.Request, string) {
	t.Helper()
	p, d := prepare(t, c), destination(t, "api.example.com", in)
	place, err := p.Fit(handle, shape, []vault.Destination{{HTTP: &d}})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := redeem.Wire(p, map[string]secret.Value{handle: secret.New([]byte(value))}, map[string]redeem.Placement{handle: place})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), handle) {
		t.Fatalf("the handle was sent: %s", raw)
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return r, string(raw)
}

func TestFill(t *testing.T) {
	h := newHandle(t)
	t.Run("header", func(t *testing.T) {
		r, _ := sent(t, redeem.Call{URL: base, Headers: []redeem.Field{{"Authorization", "Bearer sk-" + h}}}, h, "header:Authorization: Bearer {}", "sk-{handle}", canary)
		if r.Header.Get("Authorization") != "Bearer "+canary {
			t.Fatal(r.Header)
		}
	})
	t.Run("query", func(t *testing.T) {
		r, raw := sent(t, redeem.Call{URL: base + "?a=%2f&key=" + h + "&b", Query: []redeem.Field{{"c d", "e+f"}}}, h, "query:key", "", canary)
		if r.URL.Query().Get("key") != canary || !strings.HasPrefix(raw, "GET /v1?a=%2f&key=sk-canary%2FZq7%2BWx2%25Vy%269&b&c%20d=e%2Bf HTTP/1.1\r\n") {
			t.Fatal(raw)
		}
	})
	t.Run("basic", func(t *testing.T) {
		for _, value := range []string{"Basic user:" + h, "user:" + h} {
			r, _ := sent(t, redeem.Call{URL: base, Headers: []redeem.Field{{"Authorization", value}}}, h, "basic:user:{}", "", canary+"é:x")
			if user, password, ok := r.BasicAuth(); !ok || user != "user" || password != canary+"é:x" {
				t.Fatal(r.Header)
			}
		}
	})
	t.Run("two handles", func(t *testing.T) {
		g := newHandle(t)
		p := prepare(t, redeem.Call{URL: base + "?one=" + h + "&two=" + g, Headers: []redeem.Field{{"X-Key", "z"}}})
		first, second := destination(t, "api.example.com", "query:one"), destination(t, "api.example.com", "query:two")
		raw, err := redeem.Wire(p, map[string]secret.Value{h: secret.New([]byte("a value much longer than the handle it stands for is")), g: secret.New([]byte("short"))},
			map[string]redeem.Placement{h: {Destination: first}, g: {Destination: second}})
		if err != nil || !strings.HasPrefix(string(raw), "GET /v1?one=a%20value%20much%20longer%20than%20the%20handle%20it%20stands%20for%20is&two=short HTTP/1.1") {
			t.Fatalf("%s %v", raw, err)
		}
	})
}

func TestFillRefuses(t *testing.T) {
	h := newHandle(t)
	p := prepare(t, redeem.Call{URL: base, Headers: []redeem.Field{{"X-Key", h}}})
	d := destination(t, "api.example.com", "header:X-Key")
	values, places := one(h, canary, d)
	other := destination(t, "other.example.com", "header:X-Key")
	for name, c := range map[string]struct {
		values map[string]secret.Value
		places map[string]redeem.Placement
		code   string
	}{
		"no value":          {nil, places, redeem.CodePlace},
		"no place":          {values, nil, redeem.CodePlace},
		"empty value":       {map[string]secret.Value{h: {}}, places, redeem.CodeValue},
		"other destination": {values, map[string]redeem.Placement{h: {Destination: other}}, redeem.CodeDestination},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := redeem.Wire(p, c.values, c.places)
			if r := refusal(t, err); r.Code != c.code {
				t.Fatal(r)
			}
		})
	}
}

func TestUnfitValues(t *testing.T) {
	h := newHandle(t)
	header := func(name, value string) redeem.Call {
		return redeem.Call{URL: base, Headers: []redeem.Field{{Name: name, Value: value}}}
	}
	for name, c := range map[string]struct {
		call      redeem.Call
		in, value string
		fits      bool
	}{
		"space at the end":     {header("X-Key", h), "header:X-Key", canary + " ", false},
		"space at the start":   {header("X-Key", h), "header:X-Key", " " + canary, false},
		"space behind Bearer":  {header("Authorization", "Bearer "+h), "header:Authorization: Bearer {}", " " + canary, true},
		"line break":           {header("X-Key", h), "header:X-Key", canary + "\n", false},
		"colon in a user name": {header("Authorization", "Basic "+h+":x"), "basic:{}:x", "a:b", false},
		"colon in a password":  {header("Authorization", "Basic x:"+h), "basic:x:{}", "a:b", true},
		"as long as allowed":   {header("X-Key", h), "header:X-Key", strings.Repeat("a", redeem.MaxFillBytes), true},
		"longer":               {header("X-Key", h), "header:X-Key", strings.Repeat("a", redeem.MaxFillBytes+1), false},
		"other letters":        {header("X-Key", h), "header:X-Key", "é", false},
		"the same in a query":  {redeem.Call{URL: base + "?k=" + h}, "query:k", "é\xff", true},
	} {
		t.Run(name, func(t *testing.T) {
			values, places := one(h, c.value, destination(t, "api.example.com", c.in))
			_, err := redeem.Wire(prepare(t, c.call), values, places)
			if c.fits {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if r := refusal(t, err); r.Code != redeem.CodeValue || strings.Contains(r.Error(), canary) {
				t.Fatal(r)
			}
		})
	}
}

// TestBytes puts every byte into every position a caller or a value controls:
// it is refused, or arrives as the one request that was meant.
func TestBytes(t *testing.T) {
	h := newHandle(t)
	header := func(name, value string) []redeem.Field { return []redeem.Field{{Name: name, Value: value}} }
	positions := map[string]func(c string) (redeem.Call, string, string){
		"header name": func(c string) (redeem.Call, string, string) {
			return redeem.Call{URL: base, Headers: header("X-"+c+"A", "v")}, "", ""
		},
		"header value": func(c string) (redeem.Call, string, string) {
			return redeem.Call{URL: base, Headers: header("X-A", "v"+c+"v")}, "", ""
		},
		"path":      func(c string) (redeem.Call, string, string) { return redeem.Call{URL: base + "/a" + c + "b"}, "", "" },
		"URL query": func(c string) (redeem.Call, string, string) { return redeem.Call{URL: base + "?a=" + c + "b"}, "", "" },
		"query name": func(c string) (redeem.Call, string, string) {
			return redeem.Call{URL: base, Query: header("a"+c, "b")}, "", ""
		},
		"query value": func(c string) (redeem.Call, string, string) {
			return redeem.Call{URL: base, Query: header("a", "b"+c)}, "", ""
		},
		"in a header": func(c string) (redeem.Call, string, string) {
			return redeem.Call{URL: base, Headers: header("X-Key", h)}, "header:X-Key", "v" + c + "v"
		},
		"at its end": func(c string) (redeem.Call, string, string) {
			return redeem.Call{URL: base, Headers: header("X-Key", h)}, "header:X-Key", "vv" + c
		},
		"in a query": func(c string) (redeem.Call, string, string) {
			return redeem.Call{URL: base + "?k=" + h}, "query:k", "v" + c + "v"
		},
		"in basic": func(c string) (redeem.Call, string, string) {
			return redeem.Call{URL: base, Headers: header("Authorization", "Basic u:"+h)}, "basic:u:{}", "v" + c + "v"
		},
		"in the user": func(c string) (redeem.Call, string, string) {
			return redeem.Call{URL: base, Headers: header("Authorization", "Basic "+h+":")}, "basic:{}:", "v" + c + "v"
		},
	}
	for name, position := range positions {
		t.Run(name, func(t *testing.T) {
			for b := range 256 {
				checkByte(t, b, h, position)
			}
		})
	}
}

func checkByte(t *testing.T, b int, h string, position func(string) (redeem.Call, string, string)) {
	t.Helper()
	call, in, value := position(string([]byte{byte(b)}))
	p, err := redeem.Prepare(call)
	if err != nil {
		_ = refusal(t, err)
		return
	}
	var values map[string]secret.Value
	var places map[string]redeem.Placement
	if in != "" {
		values, places = one(h, value, destination(t, "api.example.com", in))
	}
	raw, err := redeem.Wire(p, values, places)
	if err != nil {
		if r := refusal(t, err); strings.Contains(r.Error(), value) {
			t.Fatalf("byte %#x: %v", b, r)
		}
		return
	}
	if b < ' ' || b == 0x7f {
		if in != "" {
			t.Fatalf("byte %#x of a value was sent", b)
		}
		if bytes.Contains(raw[:len(raw)-4], []byte{byte(b)}) && b != '\r' && b != '\n' {
			t.Fatalf("byte %#x was sent raw", b)
		}
	}
	head, rest, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	lines := bytes.Split(head, []byte("\r\n"))
	want := 4 + len(call.Headers) // request line, Host, User-Agent, Accept-Encoding
	if len(lines) != want || len(rest) != 0 || bytes.ContainsAny(bytes.Join(lines, nil), "\r\n\x00") || bytes.Count(lines[0], []byte(" ")) != 2 {
		t.Fatalf("byte %#x: %q", b, raw)
	}
}

package vault_test

import (
	"net/textproto"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
)

func TestParsePlace(t *testing.T) {
	for in, want := range map[string]string{
		"header:Authorization: Bearer {}":   "header:Authorization: Bearer {}",
		"header:authorization:Bearer {}":    "header:Authorization: Bearer {}",
		"header:x-api-key":                  "header:X-Api-Key: {}",
		"header:X-API-KEY: {}":              "header:X-Api-Key: {}",
		"header:Authorization: token={};v2": "header:Authorization: token={};v2",
		"header:Cookie: session={}":         "header:Cookie: session={}",
		"query:key":                         "query:key",
		"query:api:key":                     "query:api:key",
		"basic:user:{}":                     "basic:user:{}",
		"basic:{}:":                         "basic:{}:",
		"basic::{}":                         "basic::{}",
		"json:/token":                       "json:/token",
		"json:/auth/token: {}":              "json:/auth/token",
		"json:/auth: Bearer {}":             "json:/auth: Bearer {}",
		"json:/a~1b/~0c/0//":                "json:/a~1b/~0c/0//",
		"json:/urn:a/b c":                   "json:/urn:a/b c",
		"form:client_secret":                "form:client_secret",
		"form:user[token]: key={}":          "form:user[token]: key={}",
	} {
		p, err := vault.ParsePlace(in)
		if err != nil || p.String() != want {
			t.Errorf("%q: %q, %v, want %q", in, p, err, want)
		}
	}
	if vault.Bearer.String() != "header:Authorization: Bearer {}" || vault.Bearer.Fill("x") != "Bearer x" {
		t.Errorf("the default is %q", vault.Bearer)
	}
	if got := (vault.Place{Template: "a{}b"}).Fill("{}{}"); got != "a{}{}b" {
		t.Errorf("filled: %q", got)
	}
}

func TestParsePlaceRefuses(t *testing.T) {
	for _, in := range []string{
		"", "header", "header:", "header::{}", "header:X Y: {}", "header:X\r\nY: {}", "header:X: a\r\nEvil: {}", "header:X: {}{}", "header:X: none", "header:X: \x00{}", "header:X: ä{}",
		"header:X: {} ", "header:X:  {}", "header:Host: {}", "header:host", "header:Content-Length: {}", "header:Transfer-Encoding", "header:Connection: {}", "header:TE: {}", "header:Upgrade: {}",
		"header:Proxy-Authorization: {}", "header:proxy-connection", "header:Expect", "header:Range", "header:" + strings.Repeat("x", 600),
		"query:", "query:a=b", "query:a&b", "query:a b", "query:a%20", "query:ä", "query:a#b", "query:a+b", "query:a?b",
		"basic:", "basic:{}", "basic:user", "basic:user:pass", "basic:{}:{}", "basic:us\ner:{}",
		"json:", "json:token", "json:/~", "json:/~2", "json:/a~", "json:/ä", "json:/a\n", "json:/a: none", "json:/a: {}{}", "json:/a: ä{}", "json:/a: b: {}{}", "json:/" + strings.Repeat("x", 600),
		"form:", "form: {}", "form:a b", "form:a=b", "form:a&b", "form:a+b", "form:a%20", "form:a\"b", `form:a\b`, "form:ä", "form:a\r\nb", "form:a: none", "form:a: \n{}",
		"body:x", "JSON:/a", "forms:a", "multipart:a", "Header:X: {}", " header:X: {}", "cookie:x",
	} {
		p, err := vault.ParsePlace(in)
		if err == nil {
			t.Errorf("%q was read as %q", in, p)
			continue
		}
		wantInvalid(t, err, "in", in)
	}
}

func FuzzPlace(f *testing.F) {
	for _, s := range []string{"header:Authorization: Bearer {}", "header:x-api-key", "query:key", "basic:user:{}", "basic:{}:", "header:X: {}\r\n", "query:a&b", "header:Host: {}", "json:/a~1b/0: Bearer {}", "form:a[b]", "json:/~2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := vault.ParsePlace(s)
		if err != nil {
			wantInvalid(t, err, "in", "")
			return
		}
		again, err := vault.ParsePlace(p.String())
		if err != nil || again != p {
			t.Fatalf("%q gives %+v, which gives %+v, %v", s, p, again, err)
		}
		if p.In == vault.InHeader && textproto.CanonicalMIMEHeaderKey(p.Name) != p.Name {
			t.Fatalf("%q names the header %q", s, p.Name)
		}
		if strings.ContainsAny(p.Fill("x"), "\r\n\x00") {
			t.Fatalf("%q breaks the line", s)
		}
	})
}

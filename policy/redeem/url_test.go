package redeem_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/redeem"
)

func TestCanonicalURL(t *testing.T) {
	for raw, want := range map[string]string{
		"https://api.example.com":                        "https://api.example.com/",
		"https://api.example.com/":                       "https://api.example.com/",
		"HTTPS://API.Example.COM/v1":                     "https://api.example.com/v1",
		"https://api.example.com./v1":                    "https://api.example.com/v1",
		"https://api.example.com:443/v1":                 "https://api.example.com/v1",
		"http://api.example.com:80/v1":                   "http://api.example.com/v1",
		"https://api.example.com:80/v1":                  "https://api.example.com:80/v1",
		"https://api.example.com:8443/v1/":               "https://api.example.com:8443/v1/",
		"https://api.example.com/a%20b":                  "https://api.example.com/a%20b",
		"https://api.example.com/%61%2d%7e":              "https://api.example.com/a-~",
		"https://api.example.com/%c3%a9":                 "https://api.example.com/%C3%A9",
		"https://api.example.com/a;b=1":                  "https://api.example.com/a;b=1",
		"https://api.example.com/a%3bb":                  "https://api.example.com/a%3Bb",
		"https://api.example.com/m/x:generate":           "https://api.example.com/m/x:generate",
		"https://api.example.com/...":                    "https://api.example.com/...",
		"https://api.example.com/a.b/..c/.d":             "https://api.example.com/a.b/..c/.d",
		"https://api.example.com/@me/!$&'()*+,=":         "https://api.example.com/@me/!$&'()*+,=",
		"https://api.example.com/a?":                     "https://api.example.com/a",
		"https://api.example.com?a=1":                    "https://api.example.com/?a=1",
		"https://api.example.com/a?b=%2f&c[]=1&d":        "https://api.example.com/a?b=%2f&c[]=1&d",
		"https://api.example.com/a?b=c?d/../e&f=%00":     "https://api.example.com/a?b=c?d/../e&f=%00",
		"https://api.example.com/a?b=http://x.example/@": "https://api.example.com/a?b=http://x.example/@",
		"https://bücher.example/":                        "https://xn--bcher-kva.example/",
		"https://a_b.example.com/":                       "https://a_b.example.com/",
		"http://[::ffff:127.0.0.1]/":                     "http://127.0.0.1/",
		"http://127.0.0.1:8080/x":                        "http://127.0.0.1:8080/x",
		"http://[::1]:8080/x":                            "http://[::1]:8080/x",
		"http://[0:0::1]/":                               "http://[::1]/",
		"http://localhost:1/":                            "http://localhost:1/",
	} {
		t.Run(raw, func(t *testing.T) {
			p := prepare(t, redeem.Call{URL: raw})
			if p.URL() != want {
				t.Fatalf("got %s, want %s", p.URL(), want)
			}
			if again := prepare(t, redeem.Call{URL: p.URL()}); again.URL() != want {
				t.Fatalf("once more: %s", again.URL())
			}
		})
	}
}

// refusedURLs is a list of spellings that some reader takes for another
// request.
func refusedURLs() []string {
	out := []string{
		"", " ", "https", "https:", "https:/", "https://", "https:///", "https:///v1", "//api.example.com/", "/v1", "v1", "?", "#",
		"ftp://api.example.com/", "file:///etc/passwd", "javascript:alert(1)", "data:,x", "ws://api.example.com/", "wss://api.example.com/",
		"gopher://api.example.com/", "unix:///run/x", "https+unix://x/", "mailto:a@example.com", "view-source:https://api.example.com/",
		"https:api.example.com", "https:/api.example.com/", "https:///api.example.com/", "https:////api.example.com/", "https:?x", "https:#x",
		" https://api.example.com/", "https://api.example.com/ ", "\thttps://api.example.com/", "https ://api.example.com/", "https: //api.example.com/",
		"https\t://api.example.com/", "ht\ntps://api.example.com/", "https://api.example.com/\n", "https://api.exa\nmple.com/", "https://api.example.com\r\nX: y/",
		"https://user@api.example.com/", "https://user:pass@api.example.com/", "https://:@api.example.com/", "https://@api.example.com/",
		"https://api.example.com@evil.example/", "https://api.example.com:443@evil.example/", "https://api.example.com%40evil.example/",
		"https://evil.example\\@api.example.com/", "https://api.example.com\\.evil.example/", "https:\\\\api.example.com\\", "https://api.example.com\\v1",
		"https://api.example.com/v1\\..\\admin", "https://evil.example#@api.example.com/", "https://evil.example/#api.example.com",
		"https://api.example.com/#", "https://api.example.com/v1#frag", "https://api.example.com#", "https://api.example.com?#",
		"https://:443/", "https://:/", "https://./", "https://../", "https://.api.example.com/", "https://api..example.com/", "https://api.example.com../",
		"https://api.example.com:/", "https://api.example.com:0/", "https://api.example.com:00443/", "https://api.example.com:0443/", "https://api.example.com:65536/",
		"https://api.example.com:-1/", "https://api.example.com:+443/", "https://api.example.com:443:443/", "https://api.example.com:4 43/", "https://api.example.com:443a/",
		"https://api.example.com:0x1bb/", "https://api.example.com:４４３/", "https://api.example.com:99999999999999999999/", "https://api.example.com:443%20/",
		"http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.1/", "http://127.0.1/", "http://1.2.3.4.5/", "http://1.2.3.256/",
		"http://0x7f.0.0.1/", "http://127.0.0.0x1/", "http://127.0.0.01/", "http://00000177.1/", "http://1/", "http://0/", "http://1.2.3.4./",
		"http://[::1/", "http://::1/", "http://[::1]x/", "http://[::1]:x/", "http://[::1%25lo]/", "http://[::1%lo]/", "http://[fe80::1%25eth0]/", "http://[127.0.0.1]/",
		"https://gооd.com/", "http://[]/", "http://[g::1]/", "http://[v1.x]/", "http://[[::1]]/", "http://[::1]]/",
		"https://api.example.com%2eevil.example/", "https://api%2eexample.com/", "https://%61pi.example.com/", "https://api.example.com%00.evil.example/",
		"https://api.example.com%20/", "https://api example.com/", "https://api,example.com/", "https://api.example.com;evil.example/", "https://api.example.com&evil.example/",
		"https://*.example.com/", "https://-api.example.com/", "https://api-.example.com/", "https://a\u200bpi.example.com/", "https://api.example.com\u2044evil/",
		"https://" + strings.Repeat("a", 64) + ".example.com/", "https://" + strings.Repeat("a.", 130) + "com/", "https://exa\u00admple%.com/", "https://\xff.example.com/",
		"https://api.example.com/v1/é", "https://api.example.com/?q=é", "https://api.example.com/\x7f", "https://api.example.com/\x00", "https://api.example.com/a b",
		"https://api.example.com/%", "https://api.example.com/%2", "https://api.example.com/%zz", "https://api.example.com/a%", "https://api.example.com/%u002e",
		"https://api.example.com/%c0%ae", "https://api.example.com/%c0%af", "https://api.example.com/%e0%80%af", "https://api.example.com/%f0%80%80%af",
		"https://api.example.com/%ff", "https://api.example.com/%c3", "https://api.example.com/%ed%a0%80",
		"https://api.example.com/%ef%bc%8e%ef%bc%8e/x", "https://api.example.com/a%ef%bc%8fb", "https://api.example.com/%e2%80%a5", "https://api.example.com/e%cc%81",
		"https://api.example.com/\"", "https://api.example.com/<", "https://api.example.com/>", "https://api.example.com/^", "https://api.example.com/`",
		"https://api.example.com/{x}", "https://api.example.com/|", "https://api.example.com/[x]",
		"https://api.example.com/?%", "https://api.example.com/?a=%2", "https://api.example.com/?a=%zz", "https://api.example.com/?a=\"", "https://api.example.com/?a=<b>",
		"https://api.example.com/?a={b}", "https://api.example.com/?a=`", "https://api.example.com/?a=^", "https://api.example.com/?a=|",
		"https://api.example.com/" + strings.Repeat("a", redeem.MaxURLBytes),
	}
	dots := []string{
		".", "..", "%2e", "%2E", "%2e%2e", ".%2e", "%2e.", "..;", "..;a=b", ".;", "%2e%2e;x", "..%3b", ";x", "%2f", "%2F", "%2f..", "..%2f", "%5c", "%5C..", "..%5c",
		"%00", "a%00", "%0a", "%0d%0a", "%09", "%1f", "%7f", "%25", "%252e", "%252e%252e", "%25%32%65", "%252f", "%255c", "%3f", "%3fa=b", "%23", "%23a",
	}
	for _, dot := range dots {
		for _, form := range []string{"/%s", "/%s/", "/v1/%s", "/v1/%s/admin", "/v1/a/%s/..", "//%s"} {
			out = append(out, "https://api.example.com"+fmt.Sprintf(form, dot))
		}
	}
	return append(out, "https://api.example.com//", "https://api.example.com//v1", "https://api.example.com/v1//", "https://api.example.com/v1//a", "https://api.example.com///")
}

func TestRefusedURL(t *testing.T) {
	urls := refusedURLs()
	if len(urls) < 300 {
		t.Fatalf("only %d rows", len(urls))
	}
	for _, raw := range urls {
		p, err := redeem.Prepare(redeem.Call{URL: raw})
		if err == nil {
			t.Errorf("%q became %s", raw, p.URL())
			continue
		}
		if r := refusal(t, err); r.Code != redeem.CodeURL || r.Next == "" {
			t.Errorf("%q: %+v", raw, r)
		}
	}
}

// The reason names the first rule a reader would look for.
func TestRefusedURLReasons(t *testing.T) {
	for raw, want := range map[string]string{
		"https://user:pass@api.example.com/":  "has user information before the host",
		"https://api.example.com/#x":          "has a fragment",
		"https://api.example.com\\v1":         "a backslash",
		"https://api.example.com:0443/":       "has a port",
		"https://api.example.com/v1/../admin": "has a dot segment",
		"https://api.example.com/v1/%252e":    "hides a separator",
		"https://api.example.com//v1":         "has an empty segment",
		"ftp://api.example.com/":              "does not start with http:// or https://",
	} {
		_, err := redeem.Prepare(redeem.Call{URL: raw})
		if r := refusal(t, err); !strings.Contains(r.Reason, want) {
			t.Errorf("%s: %s", raw, r.Reason)
		}
	}
}

// wire checks that what net/http writes is the request that was checked.
func wire(t *testing.T, p *redeem.Prepared) {
	t.Helper()
	sent, err := redeem.Wire(p, nil, nil)
	if err != nil {
		t.Fatalf("%s: %v", p.URL(), err)
	}
	target := p.Target()
	rest := strings.TrimPrefix(p.URL(), target.Origin())
	line, _, _ := bytes.Cut(sent, []byte("\r\n"))
	if want := target.Method + " " + rest + " HTTP/1.1"; string(line) != want {
		t.Fatalf("wrote %q, want %q", line, want)
	}
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(sent)))
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimPrefix(target.Origin(), target.Scheme+"://"); request.Host != want {
		t.Fatalf("host %q, want %q", request.Host, want)
	}
}

func FuzzURL(f *testing.F) {
	for _, raw := range refusedURLs() {
		f.Add(raw)
	}
	for _, raw := range []string{
		"https://api.example.com/v1/%41%c3%a9;x?a=%2f&b[]=c", "http://[::1]:8080/a//b", "HTTP://bücher.example.:80?x", "http://127.0.0.1:1/%7e",
		"https://api.example.com/a:b@c!$&'()*+,=?", "https://xn--bcher-kva.example/..%61",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := redeem.Prepare(redeem.Call{URL: raw})
		if err != nil {
			_ = refusal(t, err)
			return
		}
		again, err := redeem.Prepare(redeem.Call{URL: p.URL()})
		if err != nil || again.URL() != p.URL() || again.Target() != p.Target() {
			t.Fatalf("%q became %q, then %v", raw, p.URL(), err)
		}
		path := p.Target().Path
		for segment := range strings.SplitSeq(path[1:], "/") {
			if segment == "." || segment == ".." {
				t.Fatalf("%q has a dot segment", path)
			}
		}
		if strings.Contains(path, "//") || len(p.Handles()) == 0 && strings.ContainsAny(p.URL(), "\\# \r\n\x00") {
			t.Fatalf("%q is not canonical", p.URL())
		}
		if len(p.Handles()) == 0 {
			wire(t, p)
		}
	})
}

package redact_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/policy/redact"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

const (
	who  = "agent:claude"
	name = "production/openai/api-key"
	mask = "[secret production/openai/api-key]"
)

// awkward has every character that some encoder escapes.
const awkward = `k3y/"<&'>\ +=%?#;ü~Zq`

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func value(s string) secret.Value { return secret.New([]byte(s)) }

// keeping returns a scrubber that holds values for who, the i-th as "v/i", or
// a single one as name.
func keeping(tb testing.TB, values ...string) *redact.Scrubber {
	tb.Helper()
	c := &clock{time.Unix(1, 0)}
	s := redact.New(c.now)
	for i, v := range values {
		path := vault.Path(fmt.Sprintf("v/%d", i))
		if len(values) == 1 {
			path = name
		}
		if !s.Keep(who, path, value(v), c.t.Add(time.Hour)) {
			tb.Fatalf("value %d is not maskable", i)
		}
	}
	return s
}

// spelled is one text with a value in it.
type spelled struct{ how, text string }

// spellings writes v as the encoders of the standard library and the usual
// others do.
func spellings(v string) []spelled {
	out := []spelled{{"raw", v}, {"hex", hex.EncodeToString([]byte(v))}, {"HEX", strings.ToUpper(hex.EncodeToString([]byte(v)))}}
	for kind, e := range map[string]*base64.Encoding{"std": base64.StdEncoding, "rawstd": base64.RawStdEncoding, "url": base64.URLEncoding, "rawurl": base64.RawURLEncoding} {
		for before := range 4 {
			for after := range 4 {
				text := strings.Repeat("~", before) + v + strings.Repeat("\xff", after)
				out = append(out, spelled{fmt.Sprint("base64 ", kind, before, after), e.EncodeToString([]byte(text))})
			}
		}
	}
	out = append(out, spelled{"QueryEscape", url.QueryEscape(v)}, spelled{"PathEscape", url.PathEscape(v)}, spelled{"url.Path", (&url.URL{Path: v}).EscapedPath()},
		spelled{"encodeURIComponent", strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(url.QueryEscape(v))},
		spelled{"lower-case percent", lowerPercent(url.QueryEscape(v))}, spelled{"all percent", each(v, "%%%02x")}, spelled{"ALL PERCENT", each(v, "%%%02X")},
		spelled{"html.EscapeString", html.EscapeString(v)}, spelled{"apos", strings.ReplaceAll(html.EscapeString(v), "&#39;", "&apos;")},
		spelled{"hex entities", strings.NewReplacer("&amp;", "&#x26;", "&lt;", "&#x3c;", "&gt;", "&#x3E;", "&#34;", "&quot;", "&#39;", "&#x27;").Replace(html.EscapeString(v))},
		spelled{"%q", fmt.Sprintf("%q", v)}, spelled{"%+q", fmt.Sprintf("%+q", v)})
	if !utf8.ValidString(v) {
		return out // what writes characters loses such bytes, so they are not there to be found
	}
	out = append(out, spelled{"all decimal entities", eachRune(v, "&#%d;")}, spelled{"all hex entities", eachRune(v, "&#x%x;")})
	return append(out, strung(v)...)
}

// strung is v inside strings of JSON and languages.
func strung(v string) []spelled {
	compact, _ := json.Marshal(v)
	var plain strings.Builder
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v)
	slashes := strings.ReplaceAll(string(compact), "/", `\/`)
	out := []spelled{{"json.Marshal", string(compact)}, {"json without HTML", plain.String()}, {"PHP", slashes}}
	units := &strings.Builder{}
	for _, r := range v {
		if r < 0x10000 {
			fmt.Fprintf(units, `\u%04X`, r)
			continue
		}
		fmt.Fprintf(units, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
	}
	return append(out, spelled{"all \\u", units.String()})
}

func each(v, format string) string {
	var b strings.Builder
	for i := range len(v) {
		fmt.Fprintf(&b, format, v[i])
	}
	return b.String()
}

func eachRune(v, format string) string {
	var b strings.Builder
	for _, r := range v {
		fmt.Fprintf(&b, format, r)
	}
	return b.String()
}

func lowerPercent(s string) string {
	out := []byte(s)
	for i := range out {
		if i >= 1 && out[i-1] == '%' || i >= 2 && out[i-2] == '%' {
			out[i] = strings.ToLower(s[i : i+1])[0]
		}
	}
	return string(out)
}

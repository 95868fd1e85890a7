package vault_test

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/coatcheck-dev/coatcheck/vault"
)

func TestParseHost(t *testing.T) {
	for in, want := range map[string]string{
		"api.openai.com":    "api.openai.com",
		"API.OpenAI.com":    "api.openai.com",
		"api.openai.com.":   "api.openai.com",
		"localhost":         "localhost",
		"a_b.internal":      "a_b.internal",
		"r3---sn.example":   "r3---sn.example",
		"1password.com":     "1password.com",
		"x.0xyz":            "x.0xyz",
		"bücher.example":    "xn--bcher-kva.example",
		"BÜCHER.example.":   "xn--bcher-kva.example",
		"xn--bcher-kva.com": "xn--bcher-kva.com",
		"XN--BCHER-KVA.com": "xn--bcher-kva.com",
		"api。openai。com":    "api.openai.com", // ideographic full stops
		"ａｐｉ.openai.com":    "api.openai.com", // full-width letters
		"例え.example":        "xn--r8jz45g.example",
		"日本のsony.example":   "xn--sony-4c4cn272ao4b.example",
		"127.0.0.1":         "127.0.0.1",
		"::1":               "::1",
		"[::1]":             "::1",
		"[2001:DB8:0::1]":   "2001:db8::1",
		"[::ffff:10.0.0.1]": "10.0.0.1",
		"::ffff:0a00:0001":  "10.0.0.1",
		"straße.example":    "xn--strae-oqa.example",
		"σίσυφος.example":   "xn--kxa6ajbbmh.example",
	} {
		got, err := vault.ParseHost(in)
		if err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestParseHostRefuses(t *testing.T) {
	for _, in := range []string{
		"", ".", "..", "a..b", ".a", "a.com..", "-a.com", "a-.com", "a b.com", " a.com", "a.com ", "a.com\n", "a\x00.com", "a/b", "a@b", "a?b", "a#b", "a%2e.com", "a\\b", "*.a.com", "a.*",
		"a.com:80", "a,b", "user@host", strings.Repeat("a", 64) + ".com", strings.Repeat("a.", 127) + "com",
		// addresses in unusual spellings
		"2130706433", "0x7f000001", "0x7f.1", "127.1", "127.0.1", "0177.0.0.1", "127.0.0.01", "127.0.0.1.", "1.2.3.4.5", "256.1.1.1", "a.1", "a.0x1f", "a.0x", "１２７.0.0.1",
		// IPv6
		":", ":::", "[::1", "::1]", "[::1]]", "[[::1]]", "fe80::1%eth0", "[fe80::1%25eth0]", "[127.0.0.1]", "[a.com]", "[]", "::1:",
		// names that lie about their script
		"gооd.com", "аpple.com", "xn--pple-43d.com", "xn--gd-jlcb.com", "pаypal.example", "ｇооd.com", "日本а.example", "xn--a", "xn--\u00fc.com", "a\u200db.com", "a\u202eb.com", "\u00ad",
	} {
		got, err := vault.ParseHost(in)
		if err == nil {
			t.Errorf("%q was read as %q", in, got)
			continue
		}
		wantInvalid(t, err, "host", in)
	}
}

func TestParseHostPattern(t *testing.T) {
	for in, want := range map[string]string{
		"api.openai.com": "api.openai.com", "*.OpenAI.com": "*.openai.com", "*.corp.internal": "*.corp.internal", "*.example.co.uk.": "*.example.co.uk",
		"*.bücher.example": "*.xn--bcher-kva.example", "*.amazonaws.com": "*.amazonaws.com", "127.0.0.1": "127.0.0.1", "[::1]": "::1",
	} {
		if got, err := vault.ParseHostPattern(in); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"*", "*.", "*.com", "*.co.uk", "*.github.io", "*.s3.amazonaws.com", "*.ck", "*.localhost", "*.internal", "*.127.0.0.1", "*.[::1]", "*.::1", "*.1", "**.example.com", "*.*.example.com",
		"a*.example.com", "*a.example.com", "a.*.com", "*example.com", ".example.com", "*..example.com", "*.xn--p1ai",
	} {
		got, err := vault.ParseHostPattern(in)
		if err == nil {
			t.Errorf("%q was read as %q", in, got)
			continue
		}
		wantInvalid(t, err, "host", in)
	}
}

func TestMatchHost(t *testing.T) {
	for _, tc := range []struct {
		pattern, host string
		want          bool
	}{
		{"example.com", "example.com", true},
		{"example.com", "a.example.com", false},
		{"example.com", "evilexample.com", false},
		{"example.com", "example.com.evil", false},
		{"*.example.com", "a.example.com", true},
		{"*.example.com", "a.b.example.com", true},
		{"*.example.com", "example.com", false},
		{"*.example.com", "evilexample.com", false},
		{"*.example.com", "a.example.com.evil", false},
		{"*.example.com", ".example.com", false},
		{"*.amazonaws.com", "sts.amazonaws.com", true},
		{"*.amazonaws.com", "s3.amazonaws.com", false},
		{"*.amazonaws.com", "evil.s3.amazonaws.com", false},
		{"*.corp.internal", "a.corp.internal", true},
		{"127.0.0.1", "127.0.0.1", true},
		{"::1", "::1", true},
		{"", "", true},
	} {
		if got := vault.MatchHost(tc.pattern, tc.host); got != tc.want {
			t.Errorf("%q covers %q: %v", tc.pattern, tc.host, got)
		}
	}
}

// A pattern that refuses may name any suffix, and covers all that lies below.
func TestWideHostPatterns(t *testing.T) {
	for in, want := range map[string]string{"*.com": "*.com", "*.S3.amazonaws.com.": "*.s3.amazonaws.com", "*.ck": "*.ck", "*.internal": "*.internal", "a.example.com": "a.example.com"} {
		if got, err := vault.ParseWideHostPattern(in); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "*", "*.", "*.127.0.0.1", "*.[::1]", "*.1", "*.*.com", "a*.com", "a.*.com", "*com"} {
		got, err := vault.ParseWideHostPattern(in)
		if err == nil {
			t.Errorf("%q was read as %q", in, got)
			continue
		}
		wantInvalid(t, err, "host", in)
	}
	for _, tc := range []struct {
		pattern, host string
		want          bool
	}{
		{"*.amazonaws.com", "bucket.s3.amazonaws.com", true},
		{"*.amazonaws.com", "s3.amazonaws.com", true},
		{"*.com", "example.com", true},
		{"*.s3.amazonaws.com", "bucket.s3.amazonaws.com", true},
		{"*.example.com", "a.b.example.com", true},
		{"*.example.com", "example.com", false},
		{"*.example.com", "evilexample.com", false},
		{"example.com", "example.com", true},
		{"example.com", "a.example.com", false},
	} {
		if got := vault.MatchHostWide(tc.pattern, tc.host); got != tc.want {
			t.Errorf("%q covers %q: %v", tc.pattern, tc.host, got)
		}
	}
}

// TestMatchHostIsByLabel: what matches lies below the pattern at a dot.
func TestMatchHostIsByLabel(t *testing.T) {
	label := rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?`)
	name := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(label, 1, 4).Draw(t, "labels"), ".") + rapid.SampledFrom([]string{".com", ".example", ".co.uk", ".internal", "com"}).Draw(t, "end")
	})
	rapid.Check(t, func(t *rapid.T) {
		suffix := name.Draw(t, "suffix")
		host := rapid.OneOf(name, rapid.Custom(func(t *rapid.T) string {
			return label.Draw(t, "front") + rapid.SampledFrom([]string{"", ".", "-"}).Draw(t, "joint") + suffix
		})).Draw(t, "host")
		pattern, err := vault.ParseHostPattern("*." + suffix)
		if err != nil {
			return
		}
		canonical, err := vault.ParseHost(host)
		if err != nil {
			return
		}
		if below := strings.HasSuffix(canonical, "."+suffix); vault.MatchHost(pattern, canonical) && !below {
			t.Fatalf("%q covers %q", pattern, canonical)
		}
	})
}

func FuzzHost(f *testing.F) {
	for _, s := range []string{"api.openai.com", "[::1]", "127.0.0.1", "0x7f.1", "bücher.example", "a。b", "xn--bcher-kva", "*.example.com", "a..b", "::ffff:1.2.3.4", "a_b", "E.com."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, err := vault.ParseHost(s)
		if err != nil {
			wantInvalid(t, err, "host", "")
			return
		}
		if again, err := vault.ParseHost(host); err != nil || again != host {
			t.Fatalf("%q gives %q, which gives %q, %v", s, host, again, err)
		}
		for i := range len(host) {
			if c := host[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("/\\?#@%*[]", c) >= 0 || c >= 'A' && c <= 'Z' {
				t.Fatalf("%q gives %q", s, host)
			}
		}
		if _, err := netip.ParseAddr(host); err != nil && strings.ContainsAny(host, ":") {
			t.Fatalf("%q gives %q, neither address nor name", s, host)
		}
		if !vault.MatchHost(host, host) || vault.MatchHost("*."+host, host) {
			t.Fatalf("%q does not match as it should", host)
		}
	})
}

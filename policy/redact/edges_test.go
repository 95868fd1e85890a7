package redact_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/redact"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// TestRareEscapes: what few encoders write, and what only looks like it.
func TestRareEscapes(t *testing.T) {
	const v = "sk-proj-Ab3Cd4Ef5Gh6"
	s := keeping(t, v)
	for _, first := range []string{`\x{73}`, `\u{73}`, `\163`, `\U00000073`, `\s`, "%u0073", "&#x000000000000000000000000000000000000000000000073;", "&#115", "=73", "s\\\n", "s=\r\n"} {
		if got, n := scrub(t, s, first+v[1:]); n != 1 || got != mask {
			t.Errorf("%s: %s", first, got)
		}
	}
	for _, text := range []string{`\ud800\u0041k-proj`, `\ud83dx`, `\x{110000}`, `\u{}`, `\`, "&#;", "&#x;", "&#1114112;", "&nosuchname;", "&", "%u00", "%", "=", "&ampere;"} {
		if got, n := scrub(t, s, text); n != 0 || got != text {
			t.Errorf("%s: %s", text, got)
		}
	}
	punctuated := keeping(t, "a&b;c\u00acd 1234 XY")
	for _, text := range []string{"a&ampb&semi;c&notd 1234 XY", "a&amp;b&#59c&not;d 1234 XY"} {
		if got, n := scrub(t, punctuated, text); n != 1 || got != mask {
			t.Errorf("%s: %s", text, got)
		}
	}
}

// TestPartsAreApart: words that do not belong together spell nothing together.
func TestPartsAreApart(t *testing.T) {
	word := base64.StdEncoding.EncodeToString(random(7, 60))
	one, _ := base64.StdEncoding.DecodeString(word)
	two, _ := base64.RawStdEncoding.DecodeString(word[1 : len(word)-3])
	s := keeping(t, string(one[len(one)-10:])+"\xff"+string(two[:10]))
	if got, n := scrub(t, s, word); n != 0 || got != word {
		t.Fatal(n, got)
	}
}

func TestNoMaskIsSafe(t *testing.T) {
	c := &clock{time.Unix(1, 0)}
	s := redact.New(c.now)
	for i, end := range []string{"[", "<", "(", "{", "*"} {
		s.Keep(who, vault.Path(fmt.Sprint("v/", i)), value("Ab3Cd4Ef5Gh6"+end), c.t.Add(time.Hour))
	}
	if clean, found, err := s.Safely(who, []byte("Ab3Cd4Ef5Gh6["), false); !errors.Is(err, redact.ErrWithheld) || clean != nil || found.Masks != 0 {
		t.Fatal(clean, found, err)
	}
	whole := keeping(t, "ab [secret production/openai/api-key] Xy9")
	if got, _ := scrub(t, whole, "ab [secret production/openai/api-key] Xy9"); got != "[secret]" {
		t.Fatal(got)
	}
}

func TestNamed(t *testing.T) {
	const v = "sk-proj-Ab3Cd4Ef5Gh6"
	s := keeping(t, v)
	for name, want := range map[string]bool{
		"Content-Type": false, "": false, "X-Request-Id-1234567890-1234": false, "Sk-Proj-Ab3cd4ef5gh6": true, "X-SK-PROJ-AB3CD4EF5GH6-Y": true,
		"X-" + fmt.Sprintf("%X", v): true, strings.ToUpper(base64.RawStdEncoding.EncodeToString([]byte(v))): true,
	} {
		if s.Named(who, name) != want {
			t.Errorf("%s: not %v", name, want)
		}
		if s.Named("agent:other", name) {
			t.Errorf("%s is named for another principal", name)
		}
	}
}

// TestGoneBesideOthers: a value whose time is over is not looked for, while
// others are.
func TestGoneBesideOthers(t *testing.T) {
	c := &clock{time.Unix(1, 0)}
	s := redact.New(c.now)
	var all []string
	for i := range 40 {
		v := fmt.Sprintf("value-Number-%02d-Ab3Cd4Ef5", i)
		all = append(all, v)
		s.Keep(who, vault.Path(fmt.Sprint("v/", i)), value(v), c.t.Add(time.Duration(i+1)*time.Minute))
	}
	for gone := range 40 {
		got, n := scrub(t, s, strings.Join(all, "\n"))
		if n != 40-gone || !strings.HasPrefix(got, strings.Join(all[:gone], "\n")) {
			t.Fatalf("%d gone: %d masks: %s", gone, n, got)
		}
		c.t = c.t.Add(time.Minute)
	}
	if got, n := scrub(t, s, all[39]); n != 0 || got != all[39] {
		t.Fatal(got)
	}
}

// TestWorkIsBounded: a search that is not done in time shows nothing.
func TestWorkIsBounded(t *testing.T) {
	text := []byte(strings.Repeat("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo= ", 100))
	if values := []string{awkward}; redact.Within(1000, values, text) >= 0 || redact.Within(1<<20, values, text) < 0 {
		t.Fatal("work is not counted")
	}
	long := string(random(5, 60000)) // the middle of it, again and again
	text = []byte(strings.Repeat(long[len(long)/2-6:len(long)/2+6], 6000))
	if clean, found, err := keeping(t, long).Safely(who, text, false); !errors.Is(err, redact.ErrWithheld) || clean != nil || found.Masks != 0 {
		t.Fatal(len(clean), found, err)
	}
}

func TestNothingToLookFor(t *testing.T) {
	stream := redact.New(time.Now).Stream(who, io.Discard)
	if n, err := stream.Write([]byte("text")); n != 4 || err != nil || stream.Close() != nil || stream.Cut() != nil {
		t.Fatal(n, err)
	}
}

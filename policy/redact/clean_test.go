package redact_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
)

var cleanMiB = flag.Int("clean.mib", 2, "MiB of clean text that must pass as it is")

var vocabulary = strings.Fields("the of and request response token secret key value production openai error failed user account Paris weather " +
	"function return const import package string buffer index internationalization configuration authorization description created updated id")

// cleanText returns text of the kinds that servers answer with, about 64 KiB.
func cleanText(r *rand.Rand) []byte {
	var b bytes.Buffer
	words := func(n int) string {
		out := make([]string, n)
		for i := range out {
			out[i] = vocabulary[r.IntN(len(vocabulary))]
		}
		return strings.Join(out, " ")
	}
	blob := func(n int) []byte {
		out := make([]byte, n)
		for i := range out {
			out[i] = byte(r.Uint32())
		}
		return out
	}
	for b.Len() < 64<<10 {
		switch r.IntN(8) {
		case 0:
			fmt.Fprintf(&b, `{"id":"msg_%x","created":%d,"content":%q,"url":"https://x.example/?q=%s"},`, blob(12), r.Uint32(), words(20)+"\n\t\"", url.QueryEscape(words(3)))
		case 1:
			fmt.Fprintf(&b, "2026-11-26T06:%02d:%02d.%03dZ INFO %s request_id=%x bytes=%d\n", r.IntN(60), r.IntN(60), r.IntN(1000), words(6), blob(16), r.IntN(1e6))
		case 2:
			fmt.Fprintln(&b, base64.StdEncoding.EncodeToString(blob(r.IntN(3000))))
		case 3:
			fmt.Fprintf(&b, "<p class=\"%s\">%s &amp; %s&nbsp;&#39;%s&#39;</p>\n", words(1), html.EscapeString(words(9)), words(4), words(2))
		case 4:
			fmt.Fprintf(&b, "\tif %s := %q; err != nil {\n\t\treturn fmt.Errorf(\"%%w: \\x%02x\", err)\n\t}\n", words(1), words(5), r.IntN(256))
		case 5:
			fmt.Fprintln(&b, hex.EncodeToString(blob(r.IntN(200))))
		case 6:
			b.Write(blob(r.IntN(500)))
		default:
			fmt.Fprintf(&b, "%s=%s\r\n", words(1), base64.RawURLEncoding.EncodeToString([]byte(words(8))))
		}
	}
	return b.Bytes()
}

// expecting fails on the first byte that is not what was written.
type expecting struct{ want bytes.Buffer }

func (e *expecting) Write(p []byte) (int, error) {
	if !bytes.Equal(e.want.Next(len(p)), p) {
		return 0, errors.New("clean text was changed")
	}
	return len(p), nil
}

// TestCleanText: text without a value passes as it is, byte for byte.
func TestCleanText(t *testing.T) {
	values := []string{}
	for _, v := range shapes() {
		values = append(values, v)
	}
	for i := range 100 {
		values = append(values, providerKey(i))
	}
	s := keeping(t, values...)
	r := rand.New(rand.NewPCG(1, 2))
	var want expecting
	stream := s.Stream(who, &want)
	for size := 0; size < *cleanMiB<<20; {
		text := cleanText(r)
		want.want.Write(text)
		size += len(text)
		if _, err := stream.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.Close(); err != nil || stream.Masked() != 0 || want.want.Len() != 0 {
		t.Fatal(err, stream.Masked(), want.want.Len())
	}
}

// TestGuesses: 100,000 guesses tell nothing about a value that is not whole in
// the guess, nor about one that somebody else has spent.
func TestGuesses(t *testing.T) {
	const v = "sk-proj-Ab3Cd4Ef5Gh6Ij7Kl8Mn9"
	s := keeping(t, v)
	r := rand.New(rand.NewPCG(3, 4))
	letters := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	for i := range 100_000 {
		guess := []byte(v)
		switch i % 4 {
		case 0: // one letter is another
			at := r.IntN(len(guess))
			c := letters[r.IntN(len(letters))]
			if strings.EqualFold(string(guess[at:at+1]), string(c)) || guess[at] == '-' {
				continue
			}
			guess[at] = c
		case 1: // the beginning
			guess = guess[:r.IntN(len(guess))]
		case 2: // the end
			guess = guess[1+r.IntN(len(guess)-1):]
			if len(guess) == len(v) {
				continue
			}
		default: // two letters change places
			at := r.IntN(len(guess) - 1)
			guess[at], guess[at+1] = guess[at+1], guess[at]
			if strings.EqualFold(strings.ReplaceAll(string(guess), "-", ""), strings.ReplaceAll(v, "-", "")) {
				continue
			}
		}
		if i%8 > 3 {
			guess = []byte(base64.StdEncoding.EncodeToString(guess))
		}
		if clean, n := s.Scrub(who, guess); n != 0 || !bytes.Equal(clean, guess) {
			t.Fatalf("guess %d: %q became %q", i, guess, clean)
		}
		if clean, n := s.Scrub("agent:other", []byte(v)); n != 0 || string(clean) != v {
			t.Fatalf("somebody else's value became %q", clean)
		}
	}
}

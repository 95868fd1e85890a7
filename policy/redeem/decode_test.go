package redeem_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/coatcheck-dev/coatcheck/policy/redeem"
)

type encoder func(io.Writer) io.WriteCloser

// encoders are by the name that Content-Encoding has for them; "deflate, bare"
// is how some servers read deflate.
var encoders = map[string]encoder{
	"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
	"x-gzip":  func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
	"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
	"br":      func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) },
	"zstd": func(w io.Writer) io.WriteCloser {
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			panic(err)
		}
		return z
	},
	"deflate, bare": func(w io.Writer) io.WriteCloser {
		z, err := flate.NewWriter(w, flate.DefaultCompression)
		if err != nil {
			panic(err)
		}
		return z
	},
}

func encode(tb testing.TB, kind string, text []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := encoders[kind](&b)
	if _, err := w.Write(text); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func named(kind string) string { name, _, _ := strings.Cut(kind, ","); return name }

// text is JSON of n bytes that compresses as JSON does.
func text(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `{"id":%d,"name":"item %x","price":%d.%02d},`, i, i*7919, i%100, i%97)
	}
	return b.Bytes()[:n]
}

func TestEveryEncoding(t *testing.T) {
	for kind := range encoders {
		t.Run(kind, func(t *testing.T) {
			for _, want := range [][]byte{nil, []byte("a"), []byte(canary), text(100_000), bytes.Repeat([]byte("0"), 60_000)} {
				got, more, _, err := redeem.Decode(t.Context(), bytes.NewReader(encode(t, kind, want)), named(kind), 1<<20)
				if err != nil || more || !bytes.Equal(got, want) {
					t.Fatalf("%d bytes became %d, %v %v", len(want), len(got), more, err)
				}
			}
			long := encode(t, kind, text(300_000))
			got, more, _, err := redeem.Decode(t.Context(), bytes.NewReader(long), named(kind), 100_000)
			if err != nil || !more || !bytes.Equal(got, text(100_000)) {
				t.Fatalf("cut: %d bytes, %v %v", len(got), more, err)
			}
			whole := encode(t, kind, text(2000))
			for i := 1; i < len(whole); i++ {
				if got, _, _, err := redeem.Decode(t.Context(), bytes.NewReader(whole[:i]), named(kind), 1<<20); err == nil {
					t.Fatalf("%d of %d bytes became %d without an error", i, len(whole), len(got))
				} else {
					upstream(t, err, redeem.CodeEncoding)
				}
			}
			_, _, _, err = redeem.Decode(t.Context(), bytes.NewReader(append(slices.Clone(whole), "x"...)), named(kind), 1<<20)
			upstream(t, err, redeem.CodeEncoding)
			_, _, _, err = redeem.Decode(t.Context(), strings.NewReader("no such encoding, but text"), named(kind), 1<<20)
			upstream(t, err, redeem.CodeEncoding)
			_, _, _, err = redeem.Decode(t.Context(), io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), broken{}), named(kind), 1<<20)
			upstream(t, err, redeem.CodeCut)
		})
	}
}

// broken is a connection that ends early.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New(canary) }

func TestNestedEncodings(t *testing.T) {
	want := text(5000)
	var kinds []string
	for kind := range encoders {
		kinds = append(kinds, kind)
	}
	for _, outer := range kinds {
		for _, inner := range kinds {
			both := encode(t, outer, encode(t, inner, want))
			got, _, _, err := redeem.Decode(t.Context(), bytes.NewReader(both), named(inner)+" , "+strings.ToUpper(named(outer)), 1<<20)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s in %s: %d bytes, %v", inner, outer, len(got), err)
			}
		}
	}
	three := encode(t, "gzip", encode(t, "br", encode(t, "zstd", want)))
	if got, _, _, err := redeem.Decode(t.Context(), bytes.NewReader(three), "zstd, br, identity, gzip", 1<<20); err != nil || !bytes.Equal(got, want) {
		t.Errorf("three: %v", err)
	}
	for _, name := range []string{"gzip, gzip, gzip, gzip", "rot13", "gzip, compress", "aes128gcm", "gzip;q=1", "gzip br", "dcb", "exi"} {
		if _, _, known, _ := redeem.Decode(t.Context(), bytes.NewReader(three), name, 1<<20); known {
			t.Errorf("%s is known", name)
		}
	}
}

// Gzip files and zstd frames may follow each other (RFC 1952 §2.2, RFC 8878 §3).
func TestMembers(t *testing.T) {
	for _, kind := range []string{"gzip", "zstd"} {
		body := slices.Concat(encode(t, kind, []byte("sk-")), encode(t, kind, nil), encode(t, kind, []byte("canary")))
		if got, _, _, err := redeem.Decode(t.Context(), bytes.NewReader(body), kind, 100); err != nil || string(got) != "sk-canary" {
			t.Errorf("%s: %q %v", kind, got, err)
		}
	}
}

// endless yields n bytes by repeating a piece, and counts what is read.
type endless struct {
	piece []byte
	at    int
	left  int64
	read  int64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(int64(len(p)), e.left)], e.piece[e.at:])
	e.at = (e.at + n) % len(e.piece)
	e.left -= int64(n)
	e.read += int64(n)
	return n, nil
}

// TestBombs: a gigabyte of nothing, in every encoding and two deep, is given up
// early and in little memory.
func TestBombs(t *testing.T) {
	const gigabyte, block = 1 << 30, 1 << 20
	// A deflate stream of whole blocks, over and over, is one as well.
	var stream bytes.Buffer
	w := encoders["deflate, bare"](&stream).(*flate.Writer)
	if _, err := w.Write(make([]byte, block)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	zeros := bytes.Repeat(stream.Bytes(), gigabyte/block)
	single := slices.Concat(encode(t, "gzip", nil)[:10], zeros)
	bombs := map[string]func() io.Reader{}
	for encoding, body := range map[string][]byte{
		"gzip": single, "gzip, gzip": encode(t, "gzip", single), "deflate": zeros, "deflate, deflate": slices.Concat([]byte("\x78\x9c"), encode(t, "deflate, bare", zeros)),
		"zstd": bytes.Repeat(encode(t, "zstd", make([]byte, block)), gigabyte/block), "br": encode(t, "br", make([]byte, 64*block)),
	} {
		bombs[encoding] = func() io.Reader { return bytes.NewReader(body) }
	}
	// Members without content: much work for no text.
	empty := encode(t, "gzip", nil)
	bombs["x-gzip"] = func() io.Reader { return &endless{piece: empty, left: gigabyte} }
	folded := encode(t, "gzip", bytes.Repeat(empty, gigabyte/20/len(empty)))
	bombs["gzip, x-gzip"] = func() io.Reader { return bytes.NewReader(folded) }
	for encoding, body := range bombs {
		t.Run(encoding, func(t *testing.T) {
			in := body()
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			_, _, _, err := redeem.Decode(t.Context(), in, encoding, redeem.DefaultMaxBody)
			runtime.ReadMemStats(&after)
			upstream(t, err, redeem.CodeExpands)
			// All that was ever allocated, so more than was ever held.
			if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
				t.Errorf("%d MiB", used>>20)
			}
			if e, ok := in.(*endless); ok && e.read > 4<<20 {
				t.Errorf("%d bytes were read", e.read)
			}
		})
	}
}

// The whole way, over HTTP/1.1 and HTTP/2: what was encoded comes back as text,
// without the headers that tell its length.
func TestEncodedAnswers(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		for kind := range encoders {
			t.Run(fmt.Sprint(kind, h2), func(t *testing.T) {
				var asked string
				api := newAPI(t, h2, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					asked = r.Header.Get("Accept-Encoding")
					w.Header().Set("Content-Encoding", named(kind))
					if r.Method != http.MethodHead {
						_, _ = w.Write(encode(t, kind, []byte(`{"key":"`+r.Header.Get("X-Key")+`"}`)))
					}
				}))
				for method, want := range map[string]string{"GET": `{"key":"` + canary + `"}`, "HEAD": ""} {
					got, err := api.ask(t, method, "/")
					if err != nil || string(got.Body) != want || got.Withheld != "" {
						t.Fatalf("%s: %+v %v", method, got, err)
					}
					for _, h := range got.Headers {
						if h.Name == "Content-Length" || h.Name == "Content-Encoding" {
							t.Errorf("%+v", h)
						}
					}
				}
				if asked != "gzip, deflate, br, zstd" {
					t.Fatalf("asked for %q", asked)
				}
			})
		}
	}
}

// A body in another charset comes with the name that brings it to UTF-8.
func TestCharsets(t *testing.T) {
	wide := func(s string, order int) string {
		var b strings.Builder
		for _, r := range s {
			pair := [2]byte{byte(r >> 8), byte(r)}
			b.WriteByte(pair[order])
			b.WriteByte(pair[1-order])
		}
		return b.String()
	}
	for name, c := range map[string]struct{ kind, body, charset, want string }{
		"none":              {"application/json", "é", "", "é"},
		"UTF-8":             {"text/plain; charset=UTF8", "é", "", "é"},
		"ASCII":             {"text/plain; charset=us-ascii", canary, "windows-1252", canary},
		"Latin 1":           {"text/plain; charset=iso-8859-1", "sch\xf6n", "windows-1252", "schön"},
		"Cyrillic":          {"text/html; charset=windows-1251", "\xea\xeb\xfe\xf7", "windows-1251", "ключ"},
		"Japanese":          {"text/html; charset=Shift_JIS", "\x8c\xae", "shift_jis", "鍵"},
		"UTF-16":            {"text/plain; charset=utf-16", wide(canary, 1), "utf-16le", canary},
		"UTF-16, other end": {"text/plain; charset=utf-16be", wide(canary, 0), "utf-16be", canary},
		"a mark":            {"application/json", "\xff\xfe" + wide(canary, 1), "utf-16le", canary},
		"another mark":      {"text/plain; charset=utf-8", "\xfe\xff" + wide(canary, 0), "utf-16be", canary},
		"UTF-7":             {"text/plain; charset=utf-7", "+AGE-", redeem.WithheldCharset, ""},
		"EBCDIC":            {"text/plain; charset=ibm037", "\xa2\x92", redeem.WithheldCharset, ""},
		"UTF-32":            {"text/plain; charset=utf-32", "s\x00\x00\x00", redeem.WithheldCharset, ""},
		"its mark":          {"text/plain", "\xff\xfe\x00\x00s\x00\x00\x00", redeem.WithheldCharset, ""},
		"its other mark":    {"text/plain", "\x00\x00\xfe\xff\x00\x00\x00s", redeem.WithheldCharset, ""},
		"escapes":           {"text/plain; charset=iso-2022-kr", "a", redeem.WithheldCharset, ""},
		"two":               {"text/plain; charset=utf-8; charset=ibm037", "\xa2\x92", redeem.WithheldCharset, ""},
		"half a parameter":  {"text/plain; charset=ibm037; x", "\xa2\x92", redeem.WithheldCharset, ""},
		"two headers":       {"text/plain\r\nContent-Type: text/plain; charset=utf-16be", wide(canary, 0), redeem.WithheldCharset, ""},
		"two that agree":    {"text/plain\r\nContent-Type: text/html; charset=utf-8", canary, "", canary},
		"half of another":   {"text/plain; x", "a", "", "a"},
		"nonsense":          {"text/plain; charset=canary", "a", redeem.WithheldCharset, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := newRawServer(t, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", c.kind, len(c.body), c.body))
			got, err := ask(t, redeem.NewClient(nil), "GET", server.URL)
			if err != nil {
				t.Fatal(err)
			}
			if c.charset == redeem.WithheldCharset {
				if got.Withheld != c.charset || got.Body != nil {
					t.Fatalf("%+v", got)
				}
				return
			}
			text := got.Body
			if got.Charset != "" {
				text = redeem.UTF8(text, got.Charset)
			}
			if got.Charset != c.charset || string(text) != c.want || string(got.Body) != c.body {
				t.Fatalf("%+v is %q", got, text)
			}
		})
	}
}

// Whatever comes, there is text within the limit or a code.
func FuzzDecode(f *testing.F) {
	for kind := range encoders {
		f.Add(encode(f, kind, []byte(canary)), named(kind))
		f.Add(encode(f, "gzip", encode(f, kind, text(2000))), named(kind)+", gzip")
	}
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), "gzip")
	f.Add([]byte("\x28\xb5\x2f\xfd\xff\xff\xff\xff\xff\xff"), "zstd")
	f.Add([]byte("x"), "rot13")
	f.Fuzz(func(t *testing.T, body []byte, encoding string) {
		const limit = 4096
		got, more, known, err := redeem.Decode(t.Context(), bytes.NewReader(body), encoding, limit)
		if len(got) > limit || more && len(got) != limit || (err != nil || !known) && got != nil {
			t.Fatalf("%d bytes, %v %v %v", len(got), more, known, err)
		}
		var u *redeem.Upstream
		if err != nil && (!errors.As(err, &u) || u.Code != redeem.CodeEncoding && u.Code != redeem.CodeExpands) {
			t.Fatal(err)
		}
	})
}

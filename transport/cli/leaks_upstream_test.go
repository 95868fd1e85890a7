package cli_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/net/http/httpguts"
)

// piece is a value in one spelling, between marks that no spelling has.
type piece struct {
	name string // of the encoding and of what stands beside the value
	text string
	left int // bytes that may be left of text, beside a mask
}

func opening(i int) string { return "~" + strconv.Itoa(i) + "~" }

// marked is all pieces, each between its marks.
func marked(pieces []piece) string {
	var b strings.Builder
	for i, p := range pieces {
		b.WriteString(opening(i) + p.text)
	}
	return b.String() + opening(len(pieces))
}

// channel is a part of an answer that an upstream can hide a value in.
type channel struct {
	name  string
	only  string            // the protocol that has it; "": both
	most  int               // bytes of pieces in one answer
	fits  func(string) bool // what can stand there; nil: everything
	send  func(w http.ResponseWriter, pieces []piece)
	shown string // where in the tool's result it is to be found masked: body, headers, redirect; "": nowhere
}

// leaky is an API that puts what it was told to put, where it was told to, into
// its answers, over HTTP/1.1 and HTTP/2.
type leaky struct {
	base    map[string]string // by protocol, "h1" and "h2"
	trust   string            // file of the certificate
	mu      sync.Mutex
	next    func(w http.ResponseWriter)
	value   string // what is to arrive
	arrived int
	wrong   int
}

func newLeaky(t *testing.T) *leaky {
	t.Helper()
	l := &leaky{base: map[string]string{}}
	quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of connections that are broken on purpose
	one := httptest.NewUnstartedServer(l)
	one.Config.ErrorLog = quiet
	one.Start()
	t.Cleanup(one.Close)
	two := httptest.NewUnstartedServer(l)
	two.EnableHTTP2, two.Config.ErrorLog = true, quiet
	two.StartTLS()
	t.Cleanup(two.Close)
	l.base["h1"], l.base["h2"] = one.URL, two.URL
	l.trust = t.TempDir() + "/trust.pem"
	if err := os.WriteFile(l.trust, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: two.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return l
}

// answers says what is to arrive next and what is then answered.
func (l *leaky) answers(value string, next func(w http.ResponseWriter)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.value, l.next = value, next
}

func (l *leaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var got struct{ Key string }
	err := json.NewDecoder(r.Body).Decode(&got)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.arrived++; err != nil || got.Key != l.value || (r.TLS != nil) != (r.ProtoMajor == 2) {
		l.wrong++
	}
	l.next(w)
}

// whole answers with a body, which coded changes and the header fields name.
func whole(status int, coded func(string) []byte, fields ...string) func(http.ResponseWriter, []piece) {
	return func(w http.ResponseWriter, pieces []piece) {
		for i := 0; i < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		body := coded(marked(pieces))
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}
}

func asIs(s string) []byte { return []byte(s) }

// compressed returns what a compressor makes of a text.
func compressed(open func(io.Writer) io.WriteCloser) func(string) []byte {
	return func(s string) []byte {
		var b bytes.Buffer
		w := open(&b)
		_, _ = io.WriteString(w, s)
		_ = w.Close()
		return b.Bytes()
	}
}

func zipped(w io.Writer) io.WriteCloser   { return gzip.NewWriter(w) }
func deflated(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }
func brotlied(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) }
func standard(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z }

// wide returns a text in UTF-16 with its mark.
func wide(order binary.AppendByteOrder) func(string) []byte {
	return func(s string) []byte {
		out := order.AppendUint16(nil, 0xfeff)
		for _, u := range utf16.Encode([]rune(s)) {
			out = order.AppendUint16(out, u)
		}
		return out
	}
}

func narrow(s string) []byte {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		out = append(out, byte(r))
	}
	return out
}

func isLatin(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r > 0xff || r >= 0x80 && r < 0xa0 })
}

func isName(s string) bool { return len(s) < 60 && httpguts.ValidHeaderFieldName(s) }

// document is pieces as the strings of a JSON document.
func document(pieces []piece) []byte {
	var texts []string
	for i, p := range pieces {
		texts = append(texts, opening(i)+p.text)
	}
	out, _ := json.Marshal(map[string]any{"error": map[string]any{"code": 1, "echo": append(texts, opening(len(pieces)))}})
	return out
}

// raw answers with bytes of HTTP/1.1 and closes the connection.
func raw(format func(pieces []piece) string) func(http.ResponseWriter, []piece) {
	return func(w http.ResponseWriter, pieces []piece) { hijack(w, format(pieces)) }
}

const (
	inJSON   = "JSON error"
	inBody   = 900 << 10 // less than redeem.DefaultMaxBody
	inHeader = 40 << 10
)

// channels are the parts of an answer. Marks are found in those that are shown.
func channels() []channel {
	field := httpguts.ValidHeaderFieldValue
	ok := "HTTP/1.1 200 OK\r\n"
	cut := func(w http.ResponseWriter, pieces []piece) {
		_, _ = io.WriteString(w, marked(pieces))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	return []channel{
		{"body", "", inBody, nil, whole(200, asIs, "Content-Type", "text/plain; charset=utf-8"), "body"},
		{"body of an error", "", inBody, nil, whole(500, asIs), "body"},
		{"body, in writes of all sizes", "", inBody, nil, func(w http.ResponseWriter, pieces []piece) {
			body, sizes := marked(pieces), []int{1, 2, 3, 5, 7, 11, 64, 1000, 4096}
			for i := 0; body != ""; i++ {
				n := min(sizes[i%len(sizes)], len(body))
				_, _ = io.WriteString(w, body[:n])
				_ = http.NewResponseController(w).Flush()
				body = body[n:]
			}
		}, "body"},
		{"body, in chunks of one byte", "h1", inBody, nil, raw(func(pieces []piece) string {
			var b strings.Builder
			for _, c := range []byte(marked(pieces)) {
				b.Write([]byte{'1', '\r', '\n', c, '\r', '\n'})
			}
			return ok + "Transfer-Encoding: chunked\r\n\r\n" + b.String() + "0\r\n\r\n"
		}), "body"},
		{"gzip", "", inBody, nil, whole(200, compressed(zipped), "Content-Encoding", "gzip"), "body"},
		{"deflate", "", inBody, nil, whole(200, compressed(deflated), "Content-Encoding", "deflate"), "body"},
		{"br", "", inBody, nil, whole(200, compressed(brotlied), "Content-Encoding", "br"), "body"},
		{"zstd", "", inBody, nil, whole(200, compressed(standard), "Content-Encoding", "zstd"), "body"},
		{"zstd in br", "", inBody, nil, whole(200, func(s string) []byte {
			return compressed(brotlied)(string(compressed(standard)(s)))
		}, "Content-Encoding", "zstd, br"), "body"},
		{"UTF-16LE", "", inBody / 2, utf8.ValidString, whole(200, wide(binary.LittleEndian), "Content-Type", "text/plain; charset=utf-16"), "body"},
		{"UTF-16BE", "", inBody / 2, utf8.ValidString, whole(200, wide(binary.BigEndian), "Content-Type", "text/plain; charset=utf-16be"), "body"},
		{"Latin-1", "", inBody, isLatin, whole(200, narrow, "Content-Type", "text/plain; charset=iso-8859-1"), "body"},
		{inJSON, "", inBody / 3, utf8.ValidString, func(w http.ResponseWriter, pieces []piece) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write(document(pieces))
		}, "body"},
		{"header values", "", inHeader, field, func(w http.ResponseWriter, pieces []piece) {
			w.Header().Set("X-Echo", marked(pieces))
		}, "headers"},
		{"Location", "", inHeader / 2, field, func(w http.ResponseWriter, pieces []piece) {
			w.Header().Set("Location", "https://elsewhere.example/?"+marked(pieces))
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, "redirect"},
		// From here on nothing is shown of where the value stands.
		{"names of headers", "", inHeader, isName, func(w http.ResponseWriter, pieces []piece) {
			for _, p := range pieces {
				w.Header().Set(p.text, "1")
				w.Header().Set("X-"+p.text, "1")
			}
		}, ""},
		{"trailers", "", inHeader, field, func(w http.ResponseWriter, pieces []piece) {
			_, _ = io.WriteString(w, "x")
			w.Header().Set(http.TrailerPrefix+"X-Echo", marked(pieces))
		}, ""},
		{"status 103", "", inHeader, field, func(w http.ResponseWriter, pieces []piece) {
			w.Header().Set("Link", marked(pieces))
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			w.WriteHeader(http.StatusOK)
		}, ""},
		{"body cut off", "", inBody, nil, cut, ""},
		{"body that is no gzip", "", inBody, nil, whole(200, asIs, "Content-Encoding", "gzip"), ""},
		{"unknown encoding", "", inBody, nil, whole(200, asIs, "Content-Encoding", "x-echo"), ""},
		{"unknown charset", "", inBody, nil, whole(200, asIs, "Content-Type", "text/plain; charset=utf-7"), ""},
		{"status 206", "", inBody, nil, whole(206, asIs, "Content-Range", "bytes 0-1/2"), ""},
		{"status text", "h1", inHeader, field, raw(func(pieces []piece) string {
			return "HTTP/1.1 200 " + marked(pieces) + "\r\nContent-Length: 0\r\n\r\n"
		}), ""},
		{"status 101", "h1", inHeader, field, raw(func(pieces []piece) string {
			return "HTTP/1.1 101 x\r\nUpgrade: echo\r\nConnection: upgrade\r\nX-Echo: " + marked(pieces) + "\r\n\r\n" + marked(pieces)
		}), ""},
		{"status that is none", "h1", inHeader, nil, raw(func(pieces []piece) string { return "HTTP/1.1 " + marked(pieces) + " x\r\n\r\n" }), ""},
		{"protocol that is none", "h1", inHeader, nil, raw(func(pieces []piece) string { return marked(pieces) + " 200 OK\r\n\r\n" }), ""},
		{"header that is none", "h1", inHeader, nil, raw(func(pieces []piece) string { return ok + marked(pieces) + "\r\n\r\n" }), ""},
		{"length that is none", "h1", inHeader, nil, raw(func(pieces []piece) string { return ok + "Content-Length: " + marked(pieces) + "\r\n\r\n" }), ""},
		{"chunk that is none", "h1", inBody, nil, raw(func(pieces []piece) string {
			return ok + "Transfer-Encoding: chunked\r\n\r\n" + marked(pieces)
		}), ""},
		{"trailer that is none", "h1", inHeader, nil, raw(func(pieces []piece) string {
			return ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n" + marked(pieces) + "\r\n\r\n"
		}), ""},
		{"body that is too short", "h1", inBody, nil, raw(func(pieces []piece) string {
			return ok + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(marked(pieces))+1) + marked(pieces)
		}), ""},
		{"answer nobody asked for", "h1", inBody, nil, raw(func(pieces []piece) string {
			return ok + "Content-Length: 0\r\n\r\n" + marked(pieces)
		}), ""},
	}
}

package bridge_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/bridge"
)

func TestEvents(t *testing.T) {
	for name, test := range map[string]struct{ in, want, lastID string }{
		"none":                 {"", "[]", ""},
		"one":                  {"data: a\n\n", "[a]", ""},
		"all line ends":        {"data: a\r\rdata: b\n\ndata: c\r\n\r\n", "[a b c]", ""},
		"several lines":        {"data: a\ndata: b\n\n", "[a\nb]", ""},
		"one blank goes":       {"data:a\n\ndata:  b\n\n", "[a  b]", ""},
		"comments":             {": hello\n\n:\ndata: a\n\n", "[a]", ""},
		"ids":                  {"id: 1\ndata: a\n\nid: 2\n\n", "[a]", "2"},
		"an id with NUL":       {"id: 1\nid: 2\x00\ndata: a\n\n", "[a]", "1"},
		"kinds":                {"event: message\ndata: a\n\nevent: ping\ndata: b\n\ndata: c\n\n", "[a c]", ""},
		"no data":              {"data\n\ndata:\n\nevent: x\n\n", "[]", ""},
		"cut off":              {"data: a\n\ndata: b\n", "[a]", ""},
		"a mark at the start":  {"\uFEFFdata: a\n\n", "[a]", ""},
		"a mark further on":    {"data: a\n\n\uFEFFdata: b\n\n", "[a]", ""},
		"other fields":         {"foo: 1\nretry: x\nretry: 10\ndata: a\n\n", "[a]", ""},
		"a return at the edge": {"data: " + strings.Repeat("x", 4089) + "\r\n\r\ndata: b\n\n", "[" + strings.Repeat("x", 4089) + " b]", ""},
	} {
		for kind, in := range map[string]io.Reader{"whole": strings.NewReader(test.in), "bytes": iotest.OneByteReader(strings.NewReader(test.in))} {
			got, lastID, err := bridge.ReadEvents(in, 5000)
			if !errors.Is(err, io.EOF) || fmt.Sprint(got) != test.want || lastID != test.lastID {
				t.Errorf("%s, %s: %.60q, last %q, %v", name, kind, got, lastID, err)
			}
		}
	}
	for name, in := range map[string]string{
		"a line": "data: " + strings.Repeat("x", 101) + "\n\n", "many lines": strings.Repeat("data: xxxxxxxxxx\n", 20) + "\n",
		"a comment": ":" + strings.Repeat("x", 200),
	} {
		if got, _, err := bridge.ReadEvents(strings.NewReader(in), 100); !errors.Is(err, bridge.ErrEventTooLong) || len(got) > 0 {
			t.Errorf("%s that is too long: %q, %v", name, got, err)
		}
	}
}

// FuzzEvents: however a stream is cut into reads, it says the same, within its limit.
func FuzzEvents(f *testing.F) {
	for _, in := range []string{"data: a\r\n\r\n", "id: 1\rdata: x\r\r", ": \n\n", "event: ping\ndata: {}\n\n", "\uFEFFdata: a\n\n"} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		whole, id, err := bridge.ReadEvents(strings.NewReader(in), 64)
		bytes, id2, err2 := bridge.ReadEvents(iotest.OneByteReader(strings.NewReader(in)), 64)
		if fmt.Sprint(whole, id) != fmt.Sprint(bytes, id2) || fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Errorf("%q, %v and %q, %v", whole, err, bytes, err2)
		}
		for _, data := range whole {
			if len(data) > 64 {
				t.Errorf("%d bytes", len(data))
			}
		}
	})
}

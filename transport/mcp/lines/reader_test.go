package lines_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/lines"
)

// readLines reads all lines of in.
func readLines(in io.Reader, limit int) (out []string, err error) {
	l := lines.NewReader(in, limit)
	for {
		line, err := l.Next()
		switch {
		case err == nil:
			out = append(out, string(line))
		case errors.Is(err, lines.ErrTooLong):
			out = append(out, "TOO LONG")
		default:
			return out, err
		}
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	for name, test := range map[string]struct{ in, want string }{
		"empty":          {"", `[]`},
		"one":            {"a\n", `[a]`},
		"no newline":     {"a\nb", `[a b]`},
		"blank":          {"\n\na\n", `[  a]`},
		"return":         {"a\r\n", "[a\r]"},
		"at the limit":   {long[:150_000] + "\n", "[" + long[:150_000] + "]"},
		"over the limit": {"a\n" + long[:150_001] + "\nb\n", `[a TOO LONG b]`},
		"over, at end":   {long, `[TOO LONG]`},
		"twice over":     {long + "\n" + long + "\nc", `[TOO LONG TOO LONG c]`},
	} {
		for kind, in := range map[string]io.Reader{"whole": strings.NewReader(test.in), "bytes": iotest.OneByteReader(strings.NewReader(test.in))} {
			t.Run(name+", "+kind, func(t *testing.T) {
				got, err := readLines(in, 150_000)
				if !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
				if fmt.Sprint(got) != test.want {
					t.Errorf("got %.100q", fmt.Sprint(got))
				}
			})
		}
	}
}

// gate is a stream that lets one write through for each token.
type gate struct {
	tokens chan struct{}
	mu     sync.Mutex
	writes []int
	all    bytes.Buffer
	err    error
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.tokens
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writes = append(g.writes, len(p))
	g.all.Write(p)
	return len(p), g.err
}

// TestWriter: a lone message goes out at once; those that come meanwhile go out
// together; a slow reader holds up those who write more; nothing is torn.
func TestWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{tokens: make(chan struct{}, 100)}
		w := lines.NewWriter(g)
		g.tokens <- struct{}{}
		if err := w.Send([]byte("alone\n")); err != nil || len(g.writes) != 1 {
			t.Fatalf("%v, %v", err, g.writes)
		}
		go func() { _ = w.Send([]byte("first\n")) }() // stays in Write
		synctest.Wait()
		for range 10 {
			if err := w.Send([]byte("later\n")); err != nil {
				t.Error(err)
			}
		}
		g.tokens <- struct{}{}
		g.tokens <- struct{}{}
		synctest.Wait()
		if got := fmt.Sprint(g.writes); got != "[6 6 60]" {
			t.Errorf("writes of %s bytes", got)
		}
		if got := g.all.String(); got != "alone\nfirst\n"+strings.Repeat("later\n", 10) {
			t.Errorf("%q", got)
		}

		go func() { _ = w.Send([]byte("stuck\n")) }()
		synctest.Wait()
		big := make([]byte, 1<<20+1)
		_ = w.Send(big)
		var more sync.WaitGroup
		for range 20 {
			more.Go(func() { _ = w.Send(big) })
		}
		synctest.Wait()
		if got := w.Waiting(); got != len(big) {
			t.Errorf("%d bytes wait", got)
		}
		g.mu.Lock()
		g.err = io.ErrShortWrite
		g.mu.Unlock()
		g.tokens <- struct{}{}
		more.Wait()
		if err := w.Send([]byte("x")); !errors.Is(err, io.ErrShortWrite) {
			t.Error(err)
		}
	})
}

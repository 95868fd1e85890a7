package mcp_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/httpd"
	"github.com/coatcheck-dev/coatcheck/transport/mcp"
)

// malformed is how many broken messages each door is sent.
const malformed = 10_000

// spoiler breaks good messages, the same way each time. The canary stands in all
// of them. No line break comes in, so that one is one line.
type spoiler struct{ *rand.Rand }

func newSpoiler() spoiler { return spoiler{rand.New(rand.NewPCG(1, 2))} }

func (s spoiler) next() string {
	whole := []string{
		`{"jsonrpc":"2.0","id":7,"method":"ping","params":{"x":"` + canary + `"}}`,
		`{"jsonrpc":"2.0","id":"` + canary + `","method":"tools/list"}`,
		`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"` + canary + `","arguments":{"a":[1,2.5e3,null,true,"\u00e9"]}}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"` + canary + `"}}`,
		`[{"jsonrpc":"2.0","id":7,"method":"` + canary + `"}]`,
		`{"jsonrpc":"2.0","id":7,"result":{"x":"` + canary + `"}}`,
	}
	text := whole[s.IntN(len(whole))]
	at := s.IntN(len(text))
	put := func(with string) string { return text[:at] + with + text[at:] }
	switch s.IntN(12) {
	case 0:
		return text[:at]
	case 1:
		return text[at:] + " "
	case 2: // another byte
		b := byte(s.IntN(255) + 1)
		if b == '\n' {
			b = 0xff
		}
		return text[:at] + string([]byte{b}) + text[at+1:]
	case 3:
		return put("\x00")
	case 4:
		return put("\xff\xfe")
	case 5:
		return put(`\ud800`)
	case 6:
		return strings.Replace(text, `"jsonrpc"`, `"method":"x","method":"`+canary+`","jsonrpc"`, 1)
	case 7:
		return strings.Replace(text, `"2.0"`, []string{`2.0`, `"2.1"`, `null`, `"2.0","JSONRPC":"2.0"`}[s.IntN(4)], 1)
	case 8:
		return strings.Replace(text, `:7`, []string{`:1e999`, `:7.5`, `:[7]`, `:99999999999999999999`, `:07`, `:-0`}[s.IntN(6)], 1) + "}"
	case 9:
		return strings.Repeat(`{"a":`, 65+s.IntN(2000)) + text
	case 10:
		return "\ufeff" + text
	default:
		return text + text
	}
}

// broken counts the answers that refuse a message, and fails on those that show
// what was sent.
func broken(t *testing.T, answers string) (n int) {
	t.Helper()
	if strings.Contains(answers, `"code":-32603`) || strings.Contains(strings.ReplaceAll(answers, `"id":"`+canary+`"`, ""), canary) {
		t.Errorf("answered %.300q", answers)
	}
	return strings.Count(answers, `"code":-32700`) + strings.Count(answers, `"code":-32600`)
}

// TestStdioMalformed: ten thousand broken lines are answered one by one, and the
// next good one as if nothing had been.
func TestStdioMalformed(t *testing.T) {
	d := newDesk(mcp.Options{})
	w := d.serve(t.Context(), t, one)
	s := newSpoiler()
	sent := make(chan error, 1)
	go func() {
		out := bufio.NewWriter(w.in)
		for range malformed {
			_, _ = out.WriteString(s.next() + "\n")
		}
		_, _ = out.WriteString(toolCall(`"last"`, "echo", `"x"`) + "\n")
		sent <- out.Flush()
	}()
	refused := 0
	for {
		line := w.read()
		if strings.HasPrefix(line, `{"jsonrpc":"2.0","id":"last","result"`) {
			break
		}
		refused += broken(t, line)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if refused < malformed*3/4 {
		t.Errorf("%d of %d were refused", refused, malformed)
	}
	if _, err := w.end(); err != nil {
		t.Error(err)
	}
	if strings.Contains(d.log.String(), canary) || strings.Contains(d.log.String(), `"panic"`) {
		t.Errorf("the log:\n%.2000s", d.log)
	}
}

// TestSSEMalformed is the same at the SSE door, over few connections.
func TestSSEMalformed(t *testing.T) {
	w, _, _ := newDoor(t, httpd.Limits{})
	stream := w.raw("one")
	events := make(chan string, 1)
	go func() {
		var all bytes.Buffer
		for part := make([]byte, 4096); !bytes.Contains(all.Bytes(), []byte(`"id":"last"`)); {
			n, err := stream.Read(part)
			if all.Write(part[:n]); err != nil {
				break
			}
		}
		events <- all.String()
	}()
	s, refused := newSpoiler(), 0
	for range malformed {
		res, err := w.post("one", stream.to, s.next())
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != 202 && res.StatusCode != 400 {
			t.Fatalf("%d %s, %v", res.StatusCode, text, err)
		}
		if n := broken(t, string(text)); n != 0 != (res.StatusCode == 400) {
			t.Fatalf("%d %s", res.StatusCode, text)
		} else {
			refused += n
		}
	}
	w.say("one", stream.to, toolCall(`"last"`, "echo", `"x"`))
	came := <-events
	if refused += broken(t, came); refused < malformed*3/4 || !strings.Contains(came, `"id":"last","result"`) {
		t.Errorf("%d of %d were refused; at the end came %.300q", refused, malformed, came[max(0, len(came)-300):])
	}
	if log := fmt.Sprint(w.log); strings.Contains(log, canary) || strings.Contains(log, `"panic"`) {
		t.Errorf("the log:\n%.2000s", log)
	}
}

package mcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/coatcheck-dev/coatcheck/transport/mcp"
)

// TestStdioClient drives the server with mcp-go's own client, in both eras.
func TestStdioClient(t *testing.T) {
	for name, option := range map[string]client.ClientOption{
		"2026-07-28": client.WithProtocolVersion(mcpgo.ProtocolVersion20260728), "2025-11-25": client.WithProtocolVersion(mcpgo.ProtocolVersion20251125),
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(mcp.Options{})
			inRead, inWrite := io.Pipe()
			outRead, outWrite := io.Pipe()
			served := make(chan error, 1)
			go func() { served <- d.ServeStdio(t.Context(), one, inRead, outWrite) }()
			c := client.NewClient(transport.NewIO(outRead, inWrite, io.NopCloser(strings.NewReader(""))), option)
			drive(t, c, name)
			_ = c.Close()
			_ = inWrite.Close()
			if err := <-served; err != nil {
				t.Error(err)
			}
			_ = outWrite.Close()
			if got := d.clients(); !slices.Equal(got, []string{"probe/7", "probe/7"}) {
				t.Errorf("clients in the record: %q", got)
			}
		})
	}
}

// drive is what every client should see, whatever the door and the era.
func drive(t *testing.T, c *client.Client, version string) {
	t.Helper()
	ctx := t.Context()
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	hello := mcpgo.InitializeRequest{}
	hello.Params.ProtocolVersion = version
	hello.Params.ClientInfo = mcpgo.Implementation{Name: "probe", Version: "7"}
	got, err := c.Initialize(ctx, hello)
	if err != nil {
		t.Fatal(err)
	}
	if got.ProtocolVersion != version || got.ServerInfo.Name != "coatcheck" || !strings.Contains(got.Instructions, "handle") {
		t.Errorf("initialize: %+v", got)
	}
	if got.Capabilities.Tools == nil || got.Capabilities.Resources != nil || got.Capabilities.Prompts != nil || got.Capabilities.Logging != nil {
		t.Errorf("capabilities: %+v", got.Capabilities)
	}
	list, err := c.ListTools(ctx, mcpgo.ListToolsRequest{})
	if err != nil || len(list.Tools) != 5 || list.Tools[0].Name != "echo" || list.Tools[0].Annotations.OpenWorldHint == nil {
		t.Fatalf("tools: %+v, %v", list, err)
	}
	call := mcpgo.CallToolRequest{}
	call.Params.Name = "echo"
	call.Params.Arguments = map[string]any{"a": "<b>"}
	res, err := c.CallTool(ctx, call)
	if err != nil || res.IsError {
		t.Fatal(res, err)
	}
	if text, ok := res.Content[0].(mcpgo.TextContent); !ok || text.Text != `{"got":{"a":"\u003cb\u003e"}}` && text.Text != `{"got":{"a":"<b>"}}` {
		t.Errorf("text %+v", res.Content)
	}
	if m, ok := res.StructuredContent.(map[string]any); !ok || fmt.Sprint(m["got"]) != "map[a:<b>]" {
		t.Errorf("structure %v", res.StructuredContent)
	}
	call.Params.Name = "refuse"
	if res, err = c.CallTool(ctx, call); err != nil || !res.IsError || res.StructuredContent != nil {
		t.Errorf("%+v, %v", res, err)
	}
	call.Params.Name = "none"
	if _, err = c.CallTool(ctx, call); err == nil {
		t.Error("an unknown tool was called")
	}
}

// TestStdioAnswers holds the answer to each odd line, and that the stream goes
// on after it. The canary stands wherever a client could put it.
func TestStdioAnswers(t *testing.T) {
	d := newDesk(mcp.Options{MaxMessageBytes: 4096})
	w := d.serve(t.Context(), t, one)
	w.send(initialize("2025-11-25", "x"))
	w.read()
	fail := func(id string, code int, message string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":"%s"}}`, id, code, message)
	}
	for name, test := range map[string]struct{ line, want string }{
		"not JSON":         {canary, fail("null", -32700, "the message is not valid JSON")},
		"cut":              {`{"jsonrpc":"2.0","id":1,"method":"` + canary, fail("null", -32700, "the message is not valid JSON")},
		"too long":         {`{"x":"` + strings.Repeat(canary, 1000) + `"}`, fail("null", -32600, "the message is longer than 4096 bytes")},
		"deep":             {strings.Repeat("[", 2000), fail("null", -32700, "the message is nested too deeply")},
		"twice":            {`{"jsonrpc":"2.0","id":1,"method":"ping","method":"` + canary + `"}`, fail("null", -32700, "a member name stands twice in one object")},
		"twice in call":    {toolCall("1", "echo", `{"a":1,"a":"`+canary+`"}`), fail("null", -32700, "a member name stands twice in one object")},
		"METHOD":           {`{"jsonrpc":"2.0","id":1,"METHOD":"ping"}`, fail("1", -32600, "a member name of the message is not spelled exactly")},
		"batch":            {`[` + toolCall("1", "echo", `{}`) + `]`, fail("null", -32600, "batches belong to protocol revision 2025-03-26, which this session does not speak")},
		"bad id":           {`{"jsonrpc":"2.0","id":1.5,"method":"ping"}`, fail("null", -32600, "the id is not a short string or a whole number up to 2^53")},
		"unknown method":   {`{"jsonrpc":"2.0","id":1,"method":"` + canary + `"}`, fail("1", -32601, "method not found")},
		"resources":        {`{"jsonrpc":"2.0","id":1,"method":"resources/list"}`, fail("1", -32601, "method not found")},
		"prompts":          {`{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"` + canary + `"}}`, fail("1", -32601, "method not found")},
		"unknown tool":     {toolCall("1", canary, `{}`), fail("1", -32602, "unknown tool: tools/list names those there are")},
		"name a number":    {`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}`, fail("1", -32600, "the message is not a valid request")},
		"no name":          {`{"jsonrpc":"2.0","id":1,"method":"tools/call"}`, fail("1", -32602, "unknown tool: tools/list names those there are")},
		"bad cursor":       {`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":5}}`, fail("1", -32600, "the message is not a valid request")},
		"modern, no caps":  {`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`, fail("1", -32602, "missing or invalid _meta field io.modelcontextprotocol/clientCapabilities")},
		"modern ping":      {`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`, fail("1", -32601, "method not found")},
		"unknown revision": {`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"z` + canary + `","io.modelcontextprotocol/clientCapabilities":{}}}}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"unsupported protocol version","data":{"supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"],"requested":""}}}`},
		"ping":             {`{"jsonrpc":"2.0","id":"7","method":"ping"}`, `{"jsonrpc":"2.0","id":"7","result":{}}`},
		"large id":         {`{"jsonrpc":"2.0","id":9007199254740991,"method":"ping"}`, `{"jsonrpc":"2.0","id":9007199254740991,"result":{}}`},
		"carriage return":  {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r", `{"jsonrpc":"2.0","id":1,"result":{}}`},
		"call":             {toolCall(`"é"`, "echo", `{"a":"<&>"}`), `{"jsonrpc":"2.0","id":"é","result":{"content":[{"type":"text","text":"{\"got\":{\"a\":\"<&>\"}}"}],"structuredContent":{"got":{"a":"<&>"}}}}`},
		"refusal":          {toolCall("1", "refuse", `{}`), `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"{\"code\":\"no\",\"message\":\"No.\",\"next\":\"Ask.\"}"}],"isError":true}}`},
	} {
		t.Run(name, func(t *testing.T) {
			// Lines without an answer come first: they must not disturb.
			w.send("", "  ", `{"jsonrpc":"2.0","id":99,"result":{"x":"`+canary+`"}}`, `{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}`,
				`{"jsonrpc":"2.0","method":"notifications/initialized"}`, `{"jsonrpc":"2.0","method":"notifications/`+canary+`"}`,
				`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"`+canary+`"}}`,
				`{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo"}}`)
			w.send(test.line)
			if got := w.read(); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
	if rest, err := w.end(); err != nil || len(rest) > 0 {
		t.Errorf("%v, %q", err, rest)
	}
	if strings.Contains(d.log.String(), canary) {
		t.Errorf("the log repeats what was sent:\n%s", d.log)
	}
}

// TestFaults: what a tool blurts out in a panic or an error stays inside, and
// the log has the reference.
func TestFaults(t *testing.T) {
	d := newDesk(mcp.Options{})
	w := d.serve(t.Context(), t, one)
	for _, tool := range []string{"panic", "fail"} {
		w.send(toolCall("1", tool, `{}`))
		got := w.read()
		_, after, _ := strings.Cut(got, "ref_")
		if len(after) < 10 || !strings.Contains(got, `"isError":true`) || !strings.Contains(d.log.String(), "ref_"+after[:10]) {
			t.Errorf("%s: %s\n%s", tool, got, d.log)
		}
		if strings.Contains(got+d.log.String(), canary) {
			t.Errorf("%s shows the canary: %s\n%s", tool, got, d.log)
		}
	}
	if log := d.log.String(); !strings.Contains(log, `"cause":"*errors.joinError > *errors.errorString > *json.SyntaxError"`) {
		t.Error(log)
	}
	if _, err := w.end(); err != nil {
		t.Error(err)
	}
}

// TestEndOfInput: calls in flight are answered before the end, the last line
// without a newline too.
func TestEndOfInput(t *testing.T) {
	d := newDesk(mcp.Options{})
	var lines []string
	for i := range 20 {
		lines = append(lines, toolCall(fmt.Sprint(i), "hold", `{}`))
	}
	var out safeBuffer
	done := make(chan error, 1)
	go func() {
		done <- d.ServeStdio(t.Context(), one, strings.NewReader(strings.Join(lines, "\n")), &out)
	}()
	eventually(t, "all twenty run", func() bool { running, _, _ := d.count(); return running == 20 })
	close(d.held)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(out.String(), `"held":true}}}`); got != 20 {
		t.Errorf("%d answers to 20 calls", got)
	}
}

// TestShutdown: calls in flight may finish within the drain time; those that do
// not are stopped. Both end without an error.
func TestShutdown(t *testing.T) {
	for name, finish := range map[string]bool{"in time": true, "stuck": false} {
		t.Run(name, func(t *testing.T) {
			opts := mcp.Options{Drain: time.Minute}
			if !finish {
				opts.Drain = time.Millisecond
			}
			d := newDesk(opts)
			ctx, cancel := context.WithCancel(t.Context())
			w := d.serve(ctx, t, one)
			w.send(toolCall("1", "hold", `{}`))
			eventually(t, "it runs", func() bool { running, _, _ := d.count(); return running == 1 })
			cancel()
			want := `"code\":\"cancelled`
			if finish {
				close(d.held)
				want = `"held":true`
			}
			if got := w.read(); !strings.Contains(got, want) {
				t.Errorf("got %s", got)
			}
			if err := <-w.done; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestParallelSessions: one server, many connections, equal ids: nothing crosses.
func TestParallelSessions(t *testing.T) {
	d := newDesk(mcp.Options{})
	var all sync.WaitGroup
	for i := range 8 {
		w := d.serve(t.Context(), t, one)
		all.Go(func() {
			mark := fmt.Sprintf(`"session-%d"`, i)
			for range 50 {
				w.send(toolCall("1", "echo", mark))
				if got := w.read(); !strings.Contains(got, `"structuredContent":{"got":`+mark+`}`) {
					t.Errorf("%s got %s", mark, got)
				}
			}
			if _, err := w.end(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// TestCancelled: the call stops, gets no answer, and only that call.
func TestCancelled(t *testing.T) {
	d := newDesk(mcp.Options{})
	w := d.serve(t.Context(), t, one)
	w.send(toolCall(`1`, "hold", `{}`), toolCall(`"1"`, "hold", `{}`))
	eventually(t, "both run", func() bool { running, _, _ := d.count(); return running == 2 })
	w.send(toolCall(`1`, "echo", `{}`))
	if got := w.read(); !strings.Contains(got, "not yet answered") {
		t.Errorf("the same id again: %s", got)
	}
	w.send(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"` + canary + `"}}`)
	eventually(t, "one is stopped", func() bool { _, _, stopped := d.count(); return stopped == 1 })
	close(d.held)
	if got := w.read(); !strings.HasPrefix(got, `{"jsonrpc":"2.0","id":"1","result"`) {
		t.Errorf("the other call: %s", got)
	}
	if rest, err := w.end(); err != nil || len(rest) > 0 {
		t.Errorf("%v, %q", err, rest)
	}
}

// TestBound: no more than MaxCalls run; a waiting call can be cancelled, and
// the rest is read and answered meanwhile.
func TestBound(t *testing.T) {
	d := newDesk(mcp.Options{MaxCalls: 4})
	w := d.serve(t.Context(), t, one)
	for i := range 100 {
		w.send(toolCall(fmt.Sprint(i), "hold", `{}`))
	}
	eventually(t, "four run", func() bool { running, _, _ := d.count(); return running == 4 })
	w.send(`{"jsonrpc":"2.0","id":"p","method":"ping"}`)
	if got := w.read(); got != `{"jsonrpc":"2.0","id":"p","result":{}}` {
		t.Errorf("ping: %s", got)
	}
	for i := range 100 {
		w.send(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, i))
	}
	rest, err := w.end()
	if err != nil || len(rest) > 0 {
		t.Errorf("%v, %q", err, rest)
	}
	if _, most, _ := d.count(); most != 4 {
		t.Errorf("%d ran at once", most)
	}
}

// TestBackPressure: a client that sends and never reads is no longer read from,
// instead of being kept in memory.
func TestBackPressure(t *testing.T) {
	d := newDesk(mcp.Options{})
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- d.ServeStdio(t.Context(), one, inRead, outWrite) }()
	big := toolCall("1", "echo", `"`+strings.Repeat("x", 1<<20)+`"`)
	sent := make(chan int, 1)
	go func() {
		n := 0
		for i := range 1000 {
			line := strings.Replace(big, `"id":1`, fmt.Sprintf(`"id":%d`, i), 1)
			if _, err := io.WriteString(inWrite, line+"\n"); err != nil {
				break
			}
			n++
		}
		sent <- n
	}()
	select {
	case n := <-sent:
		t.Errorf("all %d messages were taken", n)
	case <-time.After(300 * time.Millisecond):
	}
	_ = inRead.Close()
	_ = outRead.Close()
	if n := <-sent; n > 64 {
		t.Errorf("%d MiB were taken in", n)
	}
	if err := <-done; err != nil {
		t.Log(err)
	}
}

// TestBrokenStreams: what in and out say ends the session as an error.
func TestBrokenStreams(t *testing.T) {
	d := newDesk(mcp.Options{})
	broken := errors.New("broken")
	if err := d.ServeStdio(t.Context(), one, io.MultiReader(strings.NewReader(toolCall("1", "echo", `{}`)+"\n"), &errReader{broken}), io.Discard); !errors.Is(err, broken) {
		t.Errorf("reading: %v", err)
	}
	in, inWrite := io.Pipe()
	out, outWrite := io.Pipe()
	_ = out.CloseWithError(broken)
	done := make(chan error, 1)
	go func() { done <- d.ServeStdio(t.Context(), one, in, outWrite) }()
	// Calls learn it beside the reading, which ends with a message after that.
	go func() {
		for {
			if _, err := io.WriteString(inWrite, toolCall("1", "echo", `{}`)+"\n"); err != nil {
				return
			}
		}
	}()
	if err := <-done; !errors.Is(err, broken) {
		t.Errorf("writing: %v", err)
	}
	_ = in.Close()
}

type errReader struct{ err error }

func (r *errReader) Read([]byte) (int, error) { return 0, r.err }

// TestBatch: revision 2025-03-26 has batches, and only it.
func TestBatch(t *testing.T) {
	d := newDesk(mcp.Options{})
	w := d.serve(t.Context(), t, one)
	w.send(initialize("2025-03-26", "x"))
	w.read()
	w.send(`[` + strings.Join([]string{
		toolCall("1", "echo", `{}`), `{"jsonrpc":"2.0","method":"notifications/initialized"}`, `7`, `[]`, `{"jsonrpc":"2.0","id":"2","method":"ping"}`,
		initialize("2025-03-26", "x"), `{"jsonrpc":"2.0","id":4,"result":{}}`,
	}, ",") + `]`)
	var answers []struct {
		ID     any
		Result json.RawMessage
		Error  *struct{ Code int }
	}
	if err := json.Unmarshal([]byte(w.read()), &answers); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range answers {
		code := 0
		if a.Error != nil {
			code = a.Error.Code
		}
		got = append(got, fmt.Sprint(a.ID, " ", code, " ", len(a.Result) > 0))
	}
	want := []string{"1 0 true", "<nil> -32600 false", "<nil> -32600 false", "2 0 true", "0 -32600 false"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	w.send(`[]`)
	if got := w.read(); !strings.Contains(got, "the batch is empty") {
		t.Error(got)
	}
	w.send(`[{"jsonrpc":"2.0","method":"notifications/initialized"}]`)
	if rest, err := w.end(); err != nil || len(rest) > 0 {
		t.Errorf("%v, %q", err, rest)
	}
}

// TestClientLabel: what a client calls itself is cut down to a label.
func TestClientLabel(t *testing.T) {
	d := newDesk(mcp.Options{})
	for _, name := range []string{"Claude Code", `evil\u001b[31m\n{\"é\"}`, strings.Repeat("long", 100)} {
		w := d.serve(t.Context(), t, one)
		w.send(initialize("2024-11-05", name), toolCall("1", "echo", `{}`))
		w.read()
		w.read()
		if _, err := w.end(); err != nil {
			t.Error(err)
		}
	}
	want := []string{"Claude Code/1", "evil__31m______/1", strings.Repeat("long", 16)}
	if got := d.clients(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestSubscriptions: nothing can be subscribed to; the acknowledgement goes out
// before the answer.
func TestSubscriptions(t *testing.T) {
	d := newDesk(mcp.Options{})
	w := d.serve(t.Context(), t, one)
	for range 20 {
		w.send(`{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`)
		if first, second := w.read(), w.read(); !strings.Contains(first, "subscriptions/acknowledged") || !strings.Contains(second, `"result"`) {
			t.Fatalf("%s\n%s", first, second)
		}
	}
	if _, err := w.end(); err != nil {
		t.Error(err)
	}
}

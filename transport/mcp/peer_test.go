package mcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/mcp"
)

// TestProgress: on stdio and over SSE, too, what calls say comes before their
// answers and none of it is lost, however quick they are.
func TestProgress(t *testing.T) {
	const calls, each = 200, 20
	talk := doing("talk", func(ctx context.Context) string {
		for i := range each {
			if err := mcp.Notify(ctx, "notifications/progress", map[string]int{"progress": i}); err != nil {
				return err.Error()
			}
		}
		return "done"
	})
	check := func(t *testing.T, id int, read func() string) {
		t.Helper()
		for i := range each {
			if got := read(); !strings.Contains(got, fmt.Sprintf(`"progress":%d}`, i)) {
				t.Fatalf("call %d, %d: %s", id, i, got)
			}
		}
		if got := read(); !strings.Contains(got, fmt.Sprintf(`"id":%d,`, id)) || !strings.Contains(got, "done") {
			t.Fatalf("call %d: %s", id, got)
		}
	}
	t.Run("stdio", func(t *testing.T) {
		w := newDesk(mcp.Options{}, talk).serve(t.Context(), t, one)
		w.send(initialize("2025-11-25", "x"))
		w.read()
		for id := range calls {
			w.send(toolCall(fmt.Sprint(id), "talk", "{}"))
			check(t, id, w.read)
		}
		if _, err := w.end(); err != nil {
			t.Error(err)
		}
	})
	t.Run("SSE", func(t *testing.T) {
		e := newSSE(t, mcp.Options{}, talk).open()
		e.post(initialize("2025-11-25", "x"))
		e.read()
		for id := range calls {
			e.post(toolCall(fmt.Sprint(id), "talk", "{}"))
			check(t, id, e.read)
		}
	})
}

// TestSSEAsk: a client over SSE is asked on its stream and answers by POST to it.
func TestSSEAsk(t *testing.T) {
	d := newSSE(t, mcp.Options{}, asking("sampling/createMessage"))
	mine, other := d.open(), d.open()
	for _, e := range []*events{mine, other} {
		e.post(capableInit)
		e.read()
	}
	mine.post(toolCall("9", "ask", "{}"))
	if got := mine.read(); !strings.Contains(got, `"id":1,"method":"sampling/createMessage"`) {
		t.Fatal(got)
	}
	other.post(`{"jsonrpc":"2.0","id":1,"result":{"by":"other"}}`)
	mine.post(`{"jsonrpc":"2.0","id":1,"result":{"by":"me"}}`)
	if got := mine.read(); !strings.Contains(got, `"id":9`) || !strings.Contains(got, `by\":\"me`) {
		t.Errorf("%s", got)
	}
}

// TestAsk: a client on stdio is asked on its stream and answers there; at the end
// of its input nobody waits for an answer any more.
func TestAsk(t *testing.T) {
	d := newDesk(mcp.Options{}, asking("elicitation/create"), doing("roots", func(ctx context.Context) string {
		_, err := mcp.Ask(ctx, "roots/list", nil)
		return fmt.Sprint(errors.Is(err, mcp.ErrNoCapability))
	}))
	w := d.serve(t.Context(), t, one)
	w.send(capableInit)
	w.read()
	w.send(toolCall("9", "ask", "{}"))
	var request struct {
		ID     json.RawMessage
		Method string
	}
	if err := json.Unmarshal([]byte(w.read()), &request); err != nil || request.Method != "elicitation/create" {
		t.Fatalf("%+v, %v", request, err)
	}
	w.send(`{"jsonrpc":"2.0","id":"` + string(request.ID) + `","result":{"by":"another id"}}`)
	w.send(`{"jsonrpc":"2.0","id":` + string(request.ID) + `,"result":{"by":"me"}}`)
	if got := w.read(); !strings.Contains(got, `"id":9`) || !strings.Contains(got, `by\":\"me`) {
		t.Errorf("%s", got)
	}
	w.send(toolCall("10", "roots", "{}"))
	if got := w.read(); !strings.Contains(got, `"said":"true"`) {
		t.Errorf("%s", got)
	}
	w.send(toolCall("12", "ask", "{}"))
	w.read()
	if rest, err := w.end(); err != nil || len(rest) != 1 || !strings.Contains(rest[0], mcp.ErrEnded.Error()) {
		t.Errorf("%q, %v", rest, err)
	}
	w = d.serve(t.Context(), t, one)
	w.send(modernCall("11", "ask", "{}"))
	if got := w.read(); !strings.Contains(got, mcp.ErrNoRequests.Error()) {
		t.Errorf("%s", got)
	}
}

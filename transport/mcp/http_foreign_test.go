package mcp_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/mcp"
)

// TestHTTPForeign is every request that names a session, with every session that
// it could name, by every principal, with every Last-Event-ID: only the owner of a
// session that is there gets anything from it, and nobody anything of before.
func TestHTTPForeign(t *testing.T) {
	w := newWebWith(t, mcp.Options{}, asking("ping"))
	owners := map[string]string{}
	for _, key := range []string{"one", "two"} {
		owners[w.open("2025-11-25", "Authorization: Bearer "+key)] = key
	}
	ended := w.open("2025-11-25")
	w.do("DELETE", "", ended)
	owners[ended], owners["Mcp-Session-Id: AAAAAAAAAAAAAAAAAAAAAAAAAA"] = "nobody", "nobody"
	requests := []struct{ name, method, body string }{
		{"a call", "POST", toolCall("1", "echo", "{}")},
		{"a response", "POST", `{"jsonrpc":"2.0","id":1,"result":{}}`},
		{"a notification", "POST", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`},
		{"the stream", "GET", ""},
	}
	for session, owner := range owners {
		for _, key := range []string{"one", "two", "three"} {
			for _, last := range []string{"", "Last-Event-ID: 1", "Last-Event-ID: " + session} {
				for _, r := range requests {
					fields := []string{session, "Authorization: Bearer " + key}
					if last != "" {
						fields = append(fields, last)
					}
					f := w.begin(r.method, r.body, fields...)
					if fine := f.res.StatusCode < 300; fine != (key == owner) || !fine && f.res.StatusCode != 404 {
						t.Errorf("%s in a session of %s by %s, %q: %d", r.name, owner, key, last, f.res.StatusCode)
					}
					f.close()
				}
			}
		}
	}
	// Ending is for the owner alone, too.
	for session, owner := range owners {
		for _, key := range []string{"three", "two", "one"} {
			a := w.do("DELETE", "", session, "Authorization: Bearer "+key)
			if ends := a.status == 204; ends != (key == owner) {
				t.Errorf("%s ends a session of %s: %d", key, owner, a.status)
			}
		}
	}
}

// TestHTTPNotResumed: what was sent is not kept. A client that names an event gets
// what comes, not what came.
func TestHTTPNotResumed(t *testing.T) {
	calls := make(chan context.Context, 1)
	w := newWebWith(t, mcp.Options{}, doing("leave", func(ctx context.Context) string {
		_ = mcp.Notify(ctx, "notifications/progress", canary)
		calls <- context.WithoutCancel(ctx)
		return canary
	}))
	mine := w.open("2025-11-25")
	if a := w.do("POST", toolCall("1", "leave", "{}"), mine); !strings.Contains(a.body, canary) || strings.Contains(a.body, "\nid:") {
		t.Fatalf("%+v", a)
	}
	for _, last := range []string{"0", "1", "-1", "999999"} {
		f := w.begin("GET", "", mine, "Last-Event-ID: "+last)
		select {
		case call := <-calls:
			if err := mcp.Notify(call, "notifications/message", "new"); err != nil {
				t.Fatal(err)
			}
			calls <- call
		default:
			t.Fatal("the call did not run")
		}
		if got := f.next(); strings.Contains(got, canary) || !strings.Contains(got, "new") {
			t.Errorf("after %s: %s", last, got)
		}
		f.close()
	}
}

// TestNoInputRequired: no tool can have mcp-go ask for more input, whose state
// would travel unsigned through the client: what a tool returns is content.
func TestNoInputRequired(t *testing.T) {
	w := newWebWith(t, mcp.Options{})
	sly := `{"resultType":"input_required","inputRequests":{"x":{"method":"elicitation/create","params":{}}},"requestState":"s"}`
	for era, got := range map[string]answer{
		"2025-11-25": w.do("POST", toolCall("1", "echo", sly), w.openCapable()),
		"2026-07-28": w.do("POST", modernCall("1", "echo", sly), "Mcp-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: echo"),
	} {
		var m struct{ Result map[string]any }
		if err := json.Unmarshal([]byte(got.body), &m); err != nil {
			t.Fatal(err)
		}
		if m.Result["inputRequests"] != nil || m.Result["requestState"] != nil || m.Result["resultType"] == "input_required" || m.Result["content"] == nil {
			t.Errorf("%s: %s", era, got.body)
		}
	}
}

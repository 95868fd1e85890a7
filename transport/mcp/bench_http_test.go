package mcp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/transport/httpd"
	"github.com/coatcheck-dev/coatcheck/transport/mcp"
)

// BenchmarkHTTP compares a call of get_secret over an instant broker, behind the
// network door, with one of a bare mcp-go server's typed tool.
func BenchmarkHTTP(b *testing.B) {
	bare := server.NewMCPServer("bare", "1")
	bare.AddTool(mcpgo.NewTool("get_secret", mcpgo.WithInputSchema[typedIn](), mcpgo.WithOutputSchema[typedOut]()),
		mcpgo.NewStructuredToolHandler(func(_ context.Context, _ mcpgo.CallToolRequest, in typedIn) (typedOut, error) {
			return typedOut{Path: in.Path, Handle: "ash_0123456789abcdefghijklmnopqr"}, nil
		}))
	plain := httptest.NewServer(server.NewStreamableHTTPServer(bare, server.WithStateful(true)))
	b.Cleanup(plain.Close)
	ours := mcp.NewServer(tools.All(instant{}), nil)
	door, err := httpd.New(httpd.Config{
		Listen: "127.0.0.1:0",
		Authenticate: func(context.Context, string, string) (identity.Principal, error) {
			return identity.Principal{Kind: identity.Agent, Name: "bench"}, nil
		},
		MCP:    ours.HTTPHandler(func(r *http.Request) (identity.Principal, bool) { return httpd.PrincipalFrom(r.Context()) }),
		Limits: httpd.Limits{Rate: 1_000_000}, // what a call costs is measured, not how many one agent may make
		Alive:  func(context.Context, identity.Principal) error { return nil },
		Ready:  func(context.Context) error { return nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = door.Serve(ctx)
	}()
	b.Cleanup(func() { stop(); <-served })
	for _, sessions := range []int{1, 16} {
		for _, at := range []struct{ name, url string }{{"bare", plain.URL + "/mcp"}, {"ours", door.URL() + "/mcp"}} {
			b.Run(fmt.Sprintf("%s/%d", at.name, sessions), func(b *testing.B) { callAll(b, at.url, sessions) })
		}
	}
}

// callAll shares b.N calls among so many sessions.
func callAll(b *testing.B, url string, sessions int) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: sessions}}
	defer client.CloseIdleConnections()
	send := func(body []byte, session string) string {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		r.Header.Set("Authorization", "Bearer bench")
		if session != "" {
			r.Header.Set("Mcp-Session-Id", session)
		}
		res, err := client.Do(r)
		if err != nil {
			b.Error(err)
			return ""
		}
		text, err := io.ReadAll(res.Body)
		if closeErr := res.Body.Close(); err != nil || closeErr != nil || res.StatusCode != 200 || !strings.Contains(string(text), `"result"`) {
			b.Errorf("%d %s %v", res.StatusCode, text, err)
		}
		return res.Header.Get("Mcp-Session-Id")
	}
	ids := make([]string, sessions)
	for i := range ids {
		ids[i] = send([]byte(initialize("2025-11-25", "bench")), "")
	}
	call := []byte(toolCall("1", "get_secret", `{"path":"production/openai/api-key"}`))
	b.ResetTimer()
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() {
			for range (b.N + i) / sessions {
				send(call, id)
			}
		})
	}
	all.Wait()
}

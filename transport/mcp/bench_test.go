package mcp_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/transport/mcp"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// instant issues handles without doing anything for them, so that what is
// measured is the door.
type instant struct{ tools.Broker }

func (instant) Issue(_ context.Context, _ identity.Principal, r broker.IssueRequest) (broker.Ticket, error) {
	return broker.Ticket{
		Text: "ash_0123456789abcdefghijklmnopqr", ID: "h_0123456789", ExpiresAt: time.Now().Add(time.Hour),
		Metadata:     vault.Metadata{Path: r.Path, Type: vault.Custom, Tier: vault.Standard, Version: 1},
		Destinations: []vault.Destination{{HTTP: &vault.HTTPDestination{Scheme: "https", Host: "api.openai.com", Port: 443, In: vault.Bearer}}},
	}, nil
}

type typedIn struct {
	Path string `json:"path" jsonschema:"where it is"`
}

type typedOut struct {
	Path   string `json:"path"`
	Handle string `json:"handle"`
}

// BenchmarkStdio compares a call of get_secret over an instant broker with one of
// a bare mcp-go server's typed tool.
func BenchmarkStdio(b *testing.B) {
	bare := func(in io.Reader, out io.Writer) error {
		s := server.NewMCPServer("bare", "1")
		s.AddTool(mcpgo.NewTool("get_secret", mcpgo.WithInputSchema[typedIn](), mcpgo.WithOutputSchema[typedOut]()),
			mcpgo.NewStructuredToolHandler(func(_ context.Context, _ mcpgo.CallToolRequest, in typedIn) (typedOut, error) {
				return typedOut{Path: in.Path, Handle: "ash_0123456789abcdefghijklmnopqr"}, nil
			}))
		return server.NewStdioServer(s).Listen(context.Background(), in, out)
	}
	ours := func(in io.Reader, out io.Writer) error {
		return mcp.NewServer(tools.All(instant{}), nil).ServeStdio(context.Background(), one, in, out)
	}
	for _, flight := range []int{1, 16} {
		for name, serve := range map[string]func(io.Reader, io.Writer) error{"bare": bare, "ours": ours} {
			b.Run(fmt.Sprintf("%s/%d", name, flight), func(b *testing.B) { pump(b, serve, flight) })
		}
	}
}

// pump keeps so many calls in flight.
func pump(b *testing.B, serve func(io.Reader, io.Writer) error, flight int) {
	b.Helper()
	inRead, inWrite := pipe(b)
	outRead, outWrite := pipe(b)
	done := make(chan error, 1)
	go func() { done <- serve(inRead, outWrite) }()
	answers := bufio.NewReaderSize(outRead, 1<<16)
	send := func(i int) {
		line := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"get_secret","arguments":{"path":"production/openai/api-key"}}}`+"\n", i)
		if _, err := inWrite.WriteString(line); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	sent := 0
	for ; sent < min(flight, b.N); sent++ {
		send(sent)
	}
	for range b.N {
		if _, err := answers.ReadSlice('\n'); err != nil {
			b.Fatal(err)
		}
		if sent < b.N {
			send(sent)
			sent++
		}
	}
	b.StopTimer()
	_ = inWrite.Close()
	if err := <-done; err != nil {
		b.Log(err)
	}
	_ = inRead.Close()
	_ = outRead.Close()
	_ = outWrite.Close()
}

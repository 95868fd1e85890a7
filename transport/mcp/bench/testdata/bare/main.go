// Command bare is the least that mcp-go can serve: one typed tool whose answer
// is ready before it is asked, over stdio, or with the argument serve over
// Streamable HTTP and SSE. The budgets compare coatcheck with it. It is never
// part of the product.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

type ask struct {
	Path string `json:"path" jsonschema:"which one"`
}

type ticket struct {
	Handle    string `json:"handle"`
	Path      string `json:"path"`
	Version   int    `json:"version"`
	ExpiresAt string `json:"expires_at"`
}

func main() {
	bare := server.NewMCPServer("bare", "1.0.0", server.WithToolCapabilities(false))
	bare.AddTool(
		mcp.NewTool("get_secret",
			mcp.WithDescription("Answers at once."),
			mcp.WithInputSchema[ask](),
			mcp.WithOutputSchema[ticket](),
		),
		mcp.NewStructuredToolHandler(func(_ context.Context, _ mcp.CallToolRequest, in ask) (ticket, error) {
			return ticket{Handle: "ash_0000000000000000000000000000", Path: in.Path, Version: 1, ExpiresAt: "2026-01-01T00:00:00Z"}, nil
		}),
	)
	serve := server.ServeStdio
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		serve = listen
	}
	if err := serve(bare); err != nil {
		slog.New(slog.NewTextHandler(os.Stderr, nil)).Error("stopped", slog.Any("error", err))
		os.Exit(1)
	}
}

// listen serves both doors on a free port until SIGTERM.
func listen(bare *server.MCPServer, _ ...server.StdioOption) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/mcp", server.NewStreamableHTTPServer(bare))
	sse := server.NewSSEServer(bare, server.WithMessageEndpoint("/messages"))
	mux.Handle("/sse", sse)
	mux.Handle("/messages", sse)
	if len(os.Args) > 2 { // what a GET of /plain is answered with
		body := []byte(os.Args[2])
		mux.HandleFunc("/plain", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(body)
		})
	}
	_, _ = fmt.Fprintf(os.Stderr, "http://%s\n", ln.Addr())
	bareHTTP := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = bareHTTP.Close() })
	if err := bareHTTP.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Command bare is the least that mcp-go can serve over stdio: one typed tool
// whose answer is ready before it is asked. The budgets compare coatcheck with
// it. It is never part of the product.
package main

import (
	"context"
	"log/slog"
	"os"

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
	if err := server.ServeStdio(bare); err != nil {
		slog.New(slog.NewTextHandler(os.Stderr, nil)).Error("stopped", slog.Any("error", err))
		os.Exit(1)
	}
}

//go:build conformance

package mcp

import (
	"context"
	"encoding/json"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// This file is in no build but that of the conformance suite's fixture, which
// offers what the product does not: resources, prompts, logging, requests of the
// server.

// Core is what answers.
func (s *Server) Core() *server.MCPServer { return s.core }

// NotifyClient is peer.notify of the client behind a call.
func NotifyClient(ctx context.Context, method string, params any) error {
	return peerOf(ctx).notify(ctx, method, params)
}

// AskClient is peer.ask of the client behind a call.
func AskClient(ctx context.Context, method string, params any) (json.RawMessage, error) {
	return peerOf(ctx).ask(ctx, method, params)
}

// RefuseCall is refuse.
func RefuseCall(ctx context.Context, code int, text string, data any) error {
	return refuse(ctx, code, text, data)
}

// SetLogLevel implements [server.SessionWithLogging].
func (s *session) SetLogLevel(mcp.LoggingLevel) {}

// GetLogLevel implements [server.SessionWithLogging]: everything is said.
func (s *session) GetLogLevel() mcp.LoggingLevel { return mcp.LoggingLevelDebug }

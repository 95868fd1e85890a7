package mcp

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
)

// rpcError is a JSON-RPC error of fixed text. id is as written, nil for null.
func rpcError(id []byte, code int, text string) mcp.JSONRPCError {
	e := mcp.JSONRPCError{JSONRPC: mcp.JSONRPC_VERSION, Error: mcp.JSONRPCErrorDetails{Code: code, Message: text}}
	if id != nil {
		e.ID = mcp.NewRequestId(json.RawMessage(id))
	}
	return e
}

// refused is the answer to a message that did not pass package envelope.
func refused(e *envelope.Error) mcp.JSONRPCError { return rpcError(e.ID, e.Code, e.Text) }

// handle gives m to mcp-go and makes what comes back fit to send: the id as it
// was written, fixed texts in errors, no panic.
func (s *Server) handle(ctx context.Context, m envelope.Message, text []byte) (answer mcp.JSONRPCMessage) {
	defer func() {
		if v := recover(); v != nil {
			failure := tools.Broken()
			s.panicked(ctx, failure.Reference, "protocol", v)
			answer = rpcError(m.ID, mcp.INTERNAL_ERROR, "internal error, reference "+failure.Reference)
		}
	}()
	ctx, refusal := refusable(ctx)
	switch got := s.core.HandleMessage(ctx, text).(type) {
	case mcp.JSONRPCResponse:
		got.ID = mcp.NewRequestId(json.RawMessage(m.ID))
		return got
	case mcp.JSONRPCError:
		if own := refusal.Load(); own != nil {
			no := rpcError(m.ID, own.Code, own.Message)
			no.Error.Data = own.Data
			return no
		}
		return s.plain(ctx, m, got)
	default:
		return nil
	}
}

const missingMeta = "missing or invalid _meta field "

// plain replaces the text of an error of mcp-go, which may repeat what was sent
// or name Go types, by a fixed one.
func (s *Server) plain(ctx context.Context, m envelope.Message, e mcp.JSONRPCError) mcp.JSONRPCError {
	said, data := e.Error.Message, e.Error.Data
	out := rpcError(m.ID, e.Error.Code, "internal error")
	switch e.Error.Code {
	case mcp.PARSE_ERROR:
		out.Error.Message = "the message is not valid JSON"
	case mcp.INVALID_REQUEST:
		out.Error.Message = "the message is not a valid request"
	case mcp.METHOD_NOT_FOUND:
		out.Error.Message = "method not found"
	case mcp.INVALID_PARAMS:
		switch {
		case strings.HasPrefix(said, missingMeta):
			out.Error.Message = missingMeta + mcp.MetaKeyClientCapabilities
		case string(m.Method) == string(mcp.MethodToolsCall):
			out.Error.Message = "unknown tool: tools/list names those there are"
		default:
			out.Error.Message = "invalid params"
		}
	case mcp.HEADER_MISMATCH:
		out.Error.Message = "the headers do not agree with the message"
	case mcp.MISSING_REQUIRED_CLIENT_CAPABILITY:
		out.Error.Message = "the client lacks a capability that is needed"
	case mcp.UNSUPPORTED_PROTOCOL_VERSION:
		out.Error.Message = "unsupported protocol version"
		if d, ok := data.(mcp.UnsupportedProtocolVersionData); ok {
			if !isDate(d.Requested) {
				d.Requested = ""
			}
			out.Error.Data = d
		}
	default:
		failure := tools.Broken()
		out.Error.Message = "internal error, reference " + failure.Reference
		s.Log.ErrorContext(ctx, "protocol error", slog.Int("code", e.Error.Code), slog.String("reference", failure.Reference))
	}
	return out
}

// isDate reports whether s looks like a protocol revision, YYYY-MM-DD.
func isDate(s string) bool {
	if len(s) != len("2026-07-28") {
		return false
	}
	for i := range len(s) {
		if dash := i == 4 || i == 7; dash != (s[i] == '-') || !dash && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

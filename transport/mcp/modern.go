package mcp

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
)

// modern is 2026-07-28: no sessions, no batches, no answers from the client. A
// request is cancelled by closing the connection, never by a notification, which
// could name anybody's request.
func (e *endpoint) modern(w http.ResponseWriter, r *http.Request, who identity.Principal, m envelope.Message, text []byte) {
	switch m.Kind {
	case envelope.Request:
		if wrong := e.contradiction(r.Header, m); wrong != nil {
			reply(w, statusOf(wrong.Error.Code), *wrong)
			return
		}
		e.stateless(w, r, who, m, text)
	case envelope.Notification:
		w.WriteHeader(http.StatusAccepted)
	case envelope.Batch:
		reply(w, http.StatusBadRequest, rpcError(nil, envelope.InvalidRequest, noBatches))
	case envelope.Response:
		reply(w, http.StatusBadRequest, rpcError(nil, envelope.InvalidRequest, "nothing was asked that could be answered"))
	}
}

// contradiction checks what stands in the headers against the message (basic/
// transports/streamable-http, Standard Request Headers). nil: they agree.
func (e *endpoint) contradiction(h http.Header, m envelope.Message) *mcp.JSONRPCError {
	version, stated := h.Get(mcp.HeaderProtocolVersion), string(m.Version)
	mismatch := rpcError(m.ID, mcp.HEADER_MISMATCH, "the headers do not agree with the message")
	switch {
	case h.Get(mcp.HeaderLastEventID) != "", version == "":
		return &mismatch
	case stated == "":
		missing := rpcError(m.ID, mcp.INVALID_PARAMS, missingMeta+mcp.MetaKeyProtocolVersion)
		return &missing
	case version != stated:
		return &mismatch
	case !mcp.IsValidProtocolVersion(stated):
		unknown := unsupported(m)
		return &unknown
	case mcp.ValidateStandardHeaders(h.Get, version, mcp.MCPMethod(m.Method), json.RawMessage(m.Params)) != nil:
		return &mismatch
	}
	if string(m.Method) != string(mcp.MethodToolsCall) {
		return nil
	}
	tool := e.core.GetTool(string(m.Tool))
	if tool == nil || !bytes.Contains(tool.Tool.RawInputSchema, []byte("x-mcp-header")) {
		return nil
	}
	lookup := func(name string) (string, bool) {
		values := h.Values(name)
		if len(values) != 1 {
			return "", false
		}
		return values[0], true
	}
	if mcp.ValidateParamHeadersLookup(lookup, &tool.Tool, json.RawMessage(m.Params)) != nil {
		return &mismatch
	}
	return nil
}

// unsupported is the answer to a revision that there is not: those that there
// are, and the one that was asked for, which the protocol wants to be repeated. It
// is, if it looks like one.
func unsupported(m envelope.Message) mcp.JSONRPCError {
	requested := string(m.Version)
	odd := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '.' && r != '-'
	}
	if len(requested) > 32 || strings.ContainsFunc(requested, odd) {
		requested = ""
	}
	no := rpcError(m.ID, mcp.UNSUPPORTED_PROTOCOL_VERSION, "unsupported protocol version")
	no.Error.Data = mcp.UnsupportedProtocolVersionData{Supported: mcp.ValidProtocolVersions, Requested: requested}
	return no
}

// stateless answers one request.
func (e *endpoint) stateless(w http.ResponseWriter, r *http.Request, who identity.Principal, m envelope.Message, text []byte) {
	ctx, out := r.Context(), newResponse(w, r, e.Heartbeat)
	defer out.end()
	listens := string(m.Method) == string(mcp.MethodSubscriptionsListen)
	s := newQuietSession("")
	if listens {
		s = newSession(newID())
	}
	inner := withPeer(e.core.WithContext(withPrincipal(ctx, who), s), onlyNotified{out})
	var answer mcp.JSONRPCMessage
	if listens {
		answer = e.listen(inner, s, out, m, text)
	} else {
		answer = e.handle(inner, m, text)
	}
	status := http.StatusOK
	if failure, bad := answer.(mcp.JSONRPCError); bad {
		status = statusOf(failure.Error.Code)
	} else if answer == nil || ctx.Err() != nil {
		answer = rpcError(m.ID, mcp.REQUEST_INTERRUPTED, "the request was cancelled")
	}
	out.finish(ctx, e.Log, status, encoded(answer))
}

// statusOf is the HTTP status of a JSON-RPC error in 2026-07-28.
func statusOf(code int) int {
	switch code {
	case mcp.METHOD_NOT_FOUND:
		return http.StatusNotFound
	case mcp.HEADER_MISMATCH, mcp.MISSING_REQUIRED_CLIENT_CAPABILITY, mcp.UNSUPPORTED_PROTOCOL_VERSION,
		mcp.INVALID_REQUEST, mcp.INVALID_PARAMS, mcp.PARSE_ERROR:
		return http.StatusBadRequest
	default:
		return http.StatusOK
	}
}

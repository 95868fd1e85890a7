package mcp

import (
	"context"
	"encoding/json"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
)

// noBatches is said to batches where the revision has none: only 2025-03-26 does.
const noBatches = "batches belong to protocol revision 2025-03-26, which this session does not speak"

// batch answers the messages of a batch, one after the other, in one array; a
// batch of notifications gets no answer.
func (c *connection) batch(ctx context.Context, text []byte) {
	if c.session.ProtocolVersion() != mcp.ProtocolVersion20250326 {
		c.failed(ctx, c.send(rpcError(nil, envelope.InvalidRequest, noBatches)))
		return
	}
	answers, bad := c.each(ctx, c.calls, text)
	switch {
	case bad != nil:
		c.failed(ctx, c.send(refused(bad)))
	case len(answers) > 0:
		c.failed(ctx, c.send(answers))
	}
}

// each handles the messages of a batch as of one client.
func (s *Server) each(ctx context.Context, running *inflight, text []byte) ([]json.RawMessage, *envelope.Error) {
	parts, bad := envelope.Split(text)
	if bad != nil {
		return nil, bad
	}
	var answers []json.RawMessage
	for _, part := range parts {
		if answer := s.one(ctx, running, part); answer != nil {
			answers = append(answers, encoded(answer))
		}
	}
	return answers, nil
}

// one handles one message of a batch.
func (s *Server) one(ctx context.Context, running *inflight, text []byte) mcp.JSONRPCMessage {
	m, refusal := member(text)
	switch {
	case refusal != nil:
		return *refusal
	case m.Kind == envelope.Notification && string(m.Method) == string(mcp.MethodNotificationCancelled):
		running.cancel(m.RequestID)
		return nil
	case m.Kind != envelope.Request:
		return nil
	}
	ctx, one, ok := running.start(ctx, m.ID)
	if !ok {
		return rpcError(m.ID, envelope.InvalidRequest, "a request with this id is not yet answered")
	}
	answer := s.handle(ctx, m, text)
	if !running.finish(m.ID, one) {
		return nil
	}
	return answer
}

// member checks one message of a batch. The refusal is nil when it may be there.
func member(text []byte) (envelope.Message, *mcp.JSONRPCError) {
	m, bad := envelope.Check(text)
	var refusal mcp.JSONRPCError
	switch {
	case bad != nil:
		refusal = refused(bad)
	case m.Kind == envelope.Batch:
		refusal = rpcError(nil, envelope.InvalidRequest, "a batch stands inside a batch")
	case m.Kind == envelope.Request && string(m.Method) == string(mcp.MethodInitialize):
		refusal = rpcError(m.ID, envelope.InvalidRequest, "initialize stands inside a batch")
	default:
		return m, nil
	}
	return m, &refusal
}

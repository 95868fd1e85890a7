package mcp

import (
	"context"
	"encoding/json"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

var _ peer = (*connection)(nil)

// notify writes on the one stream that there is, which the answer follows on.
func (c *connection) notify(_ context.Context, method string, params any) error {
	text, err := encode(method, nil, params)
	if err != nil {
		return err
	}
	return c.out.Send(append(text, '\n'))
}

// ask asks the client on the other end. Its answer comes in as a message.
func (c *connection) ask(ctx context.Context, method string, params any) (json.RawMessage, error) {
	switch {
	case server.IsModernRequest(ctx):
		return nil, errNoRequests
	case !capable(c.session.GetClientCapabilities(), method):
		return nil, errNoCapability
	}
	return c.asks.ask(ctx, func(id json.RawMessage) error {
		text, err := encode(method, id, params)
		if err != nil {
			return err
		}
		return c.out.Send(append(text, '\n'))
	}, func(id json.RawMessage) {
		_ = c.notify(ctx, string(mcp.MethodNotificationCancelled), map[string]any{"requestId": id}) // of no use to a client that is gone
	})
}

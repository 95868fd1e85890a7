package mcp

import (
	"context"
	"encoding/json"

	"github.com/mark3labs/mcp-go/mcp"
)

// exchange is the client of a session in the course of one call.
type exchange struct {
	*httpSession
	out *response
}

var _ peer = exchange{}

// notify says it on the stream of the call, or after its answer on that of the
// session.
func (x exchange) notify(_ context.Context, method string, params any) error {
	text, err := encode(method, nil, params)
	if err != nil {
		return err
	}
	return x.send(text)
}

func (x exchange) send(text []byte) error {
	if err := x.out.event(text); err != errEnded && err != errNoStream { //nolint:errorlint // they are not wrapped
		return err
	}
	return x.outbox.put(text)
}

// ask asks the client and has its answer from a POST of the same session.
func (x exchange) ask(ctx context.Context, method string, params any) (json.RawMessage, error) {
	if !capable(x.GetClientCapabilities(), method) {
		return nil, errNoCapability
	}
	return x.asks.ask(ctx, func(id json.RawMessage) error {
		text, err := encode(method, id, params)
		if err != nil {
			return err
		}
		return x.send(text)
	}, func(id json.RawMessage) {
		_ = x.notify(ctx, string(mcp.MethodNotificationCancelled), map[string]any{"requestId": id}) // of no use to a client that is gone
	})
}

// onlyNotified is the client of a call without a session: revision 2026-07-28 has
// no requests of the server, and nothing follows the answer.
type onlyNotified struct{ out *response }

var _ peer = onlyNotified{}

func (p onlyNotified) notify(_ context.Context, method string, params any) error {
	text, err := encode(method, nil, params)
	if err != nil {
		return err
	}
	return p.out.event(text)
}

func (onlyNotified) ask(context.Context, string, any) (json.RawMessage, error) {
	return nil, errNoRequests
}

package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mark3labs/mcp-go/mcp"
)

// peer is the client at the other end of a call, for what this server says to it
// on its own. Tools do not know of it.
type peer interface {
	// notify sends a notification and returns once it is written, so that it
	// arrives before the answer of the call. An error says that it was not sent:
	// errNoStream, errEnded, errNotRead, or that of the connection.
	notify(ctx context.Context, method string, params any) error

	// ask sends a request and waits for the answer until ctx ends. The result is
	// as the client wrote it: hostile. Errors are those of notify, errNoRequests,
	// errNoCapability, errTooManyAsked, [*askError] and ctx's.
	ask(ctx context.Context, method string, params any) (json.RawMessage, error)
}

// Why something was not sent to a client. None is the fault of the call.
var (
	errNoStream     = errors.New("the client takes no event stream")
	errEnded        = errors.New("the call is answered or its client is gone")
	errNotRead      = errors.New("the client does not read its stream")
	errNoRequests   = errors.New("this protocol revision has no requests of the server")
	errNoCapability = errors.New("the client did not declare the capability")
	errTooManyAsked = errors.New("too many requests wait for the client's answer")
)

// peerKey is the context key of the [peer] behind a call.
type peerKey struct{}

func withPeer(ctx context.Context, p peer) context.Context {
	return context.WithValue(ctx, peerKey{}, p)
}

// peerOf returns the client behind a call. Where there is none, nothing can be
// sent.
func peerOf(ctx context.Context) peer {
	if p, ok := ctx.Value(peerKey{}).(peer); ok {
		return p
	}
	return nobody{}
}

// nobody is the peer of a call that has none.
type nobody struct{}

func (nobody) notify(context.Context, string, any) error { return errNoStream }

func (nobody) ask(context.Context, string, any) (json.RawMessage, error) { return nil, errNoStream }

// encode is a message of the server; id is nil in a notification.
func encode(method string, id json.RawMessage, params any) ([]byte, error) {
	text, err := json.Marshal(struct {
		JSONRPC string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id,omitempty"`
		Method  string          `json:"method"`
		Params  any             `json:"params,omitempty"`
	}{mcp.JSONRPC_VERSION, id, method, params})
	if err != nil {
		return nil, fmt.Errorf("mcp: encoding %s: %w", method, err)
	}
	return text, nil
}

// capable reports whether a client may be asked method: it said so when the
// session began. Every client answers ping.
func capable(c mcp.ClientCapabilities, method string) bool {
	switch method {
	case string(mcp.MethodSamplingCreateMessage):
		return c.Sampling != nil
	case string(mcp.MethodElicitationCreate):
		return c.Elicitation != nil
	case string(mcp.MethodListRoots):
		return c.Roots != nil
	case string(mcp.MethodPing):
		return true
	default:
		return false
	}
}

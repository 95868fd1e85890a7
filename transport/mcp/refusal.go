package mcp

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/mark3labs/mcp-go/mcp"
)

// errRefused is what a handler returns that has called refuse.
var errRefused = errors.New("the call was refused with an error of its own")

// refusalKey is the context key of the error that a handler wants as the answer.
type refusalKey struct{}

// refuse has the request of ctx answered by an error of JSON-RPC with that code,
// fixed text and data; mcp-go would make an internal error of what a handler
// returns. It is for what the protocol has a code for, such as a capability that
// the client lacks: all that goes wrong in a tool is a result.
func refuse(ctx context.Context, code int, text string, data any) error {
	if at, ok := ctx.Value(refusalKey{}).(*atomic.Pointer[mcp.JSONRPCErrorDetails]); ok {
		at.Store(&mcp.JSONRPCErrorDetails{Code: code, Message: text, Data: data})
	}
	return errRefused
}

// refusable is a context for refuse, and where it leaves its error.
func refusable(ctx context.Context) (context.Context, *atomic.Pointer[mcp.JSONRPCErrorDetails]) {
	at := &atomic.Pointer[mcp.JSONRPCErrorDetails]{}
	return context.WithValue(ctx, refusalKey{}, at), at
}

package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/tools"
)

// Options of a [Server]. The zero Options work. Of limits each line says what;
// the default, which a zero field means; what is beyond. The README's table is
// made of these lines.
type Options struct {
	Version         string           // of this program; "": "dev"
	Log             *slog.Logger     // nil: nothing is logged
	MaxMessageBytes int              // bytes of one message; 4 MiB; refused
	MaxCalls        int              // calls that run at once on one stdio connection or SSE stream, four times as many on all SSE streams of one agent; 64; they wait, up to 256, and 1,024
	Drain           time.Duration    // for calls of stdio after a shutdown began; 10 s; they are cancelled
	MaxSessions     int              // Streamable HTTP sessions of one agent; 64; the one unused longest ends
	SessionIdle     time.Duration    // for a Streamable HTTP session without a request; 30 min; it ends
	Heartbeat       time.Duration    // for an event stream without an event; 20 s; a comment keeps it open
	Now             func() time.Time // nil: time.Now
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Version == "" {
		out.Version = "dev"
	}
	if out.Log == nil {
		out.Log = slog.New(slog.DiscardHandler)
	}
	if out.Now == nil {
		out.Now = time.Now
	}
	for _, n := range []struct {
		at       *int
		standard int
	}{{&out.MaxMessageBytes, 4 << 20}, {&out.MaxCalls, 64}, {&out.MaxSessions, 64}} {
		if *n.at <= 0 {
			*n.at = n.standard
		}
	}
	if out.Drain <= 0 {
		out.Drain = 10 * time.Second
	}
	if out.SessionIdle <= 0 {
		out.SessionIdle = 30 * time.Minute
	}
	if out.Heartbeat <= 0 {
		out.Heartbeat = 20 * time.Second
	}
	return out
}

// instructions is what a client may put into the model's system prompt.
const instructions = `coatcheck lets you use secrets (API keys, tokens, passwords) without ever seeing them.

1. Find the secret's path with list_secrets, unless you know it.
2. Call get_secret with the path. You get a handle that starts with or contains "ash_": a ticket, not the secret. It works only here, only for you, only for the destinations in the answer, and for a limited time.
3. Call http_request and write the handle exactly where the secret would stand, for example in the header "Authorization: Bearer HANDLE". The real value is put in its place on the way out, and masked in the answer.

A handle is worthless anywhere else: do not put it into curl, code, files or environment variables, and do not ask the user for the secret: set_secret tells how one is entered out of your sight. When a handle has expired, call get_secret again. Every refusal says what to do next; explain_access tells what is allowed.`

// Server offers a fixed list of tools. It is safe for concurrent use: any
// number of stdio connections and HTTP handlers may share one.
type Server struct {
	Options
	core  *server.MCPServer
	tools map[string]tools.Tool
}

// NewServer returns a Server that offers list.
func NewServer(list []tools.Tool, opts *Options) *Server {
	s := &Server{Options: opts.withDefaults(), tools: make(map[string]tools.Tool, len(list))}
	s.core = server.NewMCPServer("coatcheck", s.Version,
		server.WithTitle("coatcheck"),
		server.WithInstructions(instructions),
		server.WithToolCapabilities(false), // the list never changes
	)
	entries := make([]server.ServerTool, 0, len(list))
	for _, t := range list {
		s.tools[t.Name] = t
		entries = append(entries, server.ServerTool{Tool: described(t), Handler: s.handler(t)})
	}
	s.core.AddTools(entries...)
	return s
}

func described(t tools.Tool) mcp.Tool {
	m := mcp.NewToolWithRawSchema(t.Name, t.Description, t.Input)
	m.RawOutputSchema = t.Output
	m.Title = t.Title
	m.Annotations = mcp.ToolAnnotation{
		Title:           t.Title,
		ReadOnlyHint:    new(t.Hints.ReadOnly),
		DestructiveHint: new(t.Hints.Destructive),
		IdempotentHint:  new(t.Hints.Idempotent),
		OpenWorldHint:   new(t.Hints.OpenWorld),
	}
	return m
}

// principalKey is the context key of the [identity.Principal] behind a request.
type principalKey struct{}

func withPrincipal(ctx context.Context, who identity.Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, who)
}

// handler is a tool as mcp-go calls it. It never returns a Go error: mcp-go
// would send its text.
func (s *Server) handler(t tools.Tool) server.ToolHandlerFunc {
	return func(ctx context.Context, request mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		who, _ := ctx.Value(principalKey{}).(identity.Principal)
		if who.Client == "" {
			who.Client = clientOf(ctx)
		}
		got := s.call(ctx, t, who, request.Params.RawArguments)
		if got.Failure != nil {
			return &mcp.CallToolResult{Content: content(got.Failure.JSON()), IsError: true}, nil
		}
		return &mcp.CallToolResult{Content: content(got.Text), StructuredContent: got.Structured}, nil
	}
}

func content(s string) []mcp.Content {
	return []mcp.Content{mcp.TextContent{Type: mcp.ContentTypeText, Text: s}}
}

// call runs one tool. Panics and faults become failures with a reference.
func (s *Server) call(ctx context.Context, t tools.Tool, who identity.Principal, args json.RawMessage) (got tools.Result) {
	defer func() {
		if v := recover(); v != nil {
			got = tools.Result{Failure: tools.Broken()}
			s.panicked(ctx, got.Failure.Reference, t.Name, v)
		}
	}()
	if who.Kind == "" {
		panic("no principal")
	}
	if got = t.Call(ctx, who, args); got.Cause != nil {
		s.Log.ErrorContext(ctx, "tool failed", slog.String("tool", t.Name),
			slog.String("reference", got.Failure.Reference), slog.String("cause", kinds(got.Cause)))
	}
	return got
}

// panicked logs where and with what type of value, not with which value.
func (s *Server) panicked(ctx context.Context, reference, where string, v any) {
	s.Log.ErrorContext(ctx, "panic", slog.String("where", where), slog.String("reference", reference),
		slog.String("type", fmt.Sprintf("%T", v)), slog.String("stack", string(debug.Stack())))
}

// kinds names the types in err's tree, outermost first. Its text may hold
// anything and is not for the log.
func kinds(err error) string {
	text := fmt.Sprintf("%T", err)
	var inside []error
	switch e := err.(type) { //nolint:errorlint // the tree itself is wanted
	case interface{ Unwrap() error }:
		inside = []error{e.Unwrap()}
	case interface{ Unwrap() []error }:
		inside = e.Unwrap()
	}
	for _, err := range inside {
		if err != nil {
			text = text + " > " + kinds(err)
		}
	}
	return text
}

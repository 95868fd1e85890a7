package mcp

import (
	"sync/atomic"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// session is mcp-go's view of one client: a stdio connection, an HTTP session, or
// a request of 2026-07-28.
type session struct {
	id            string
	ready         atomic.Bool
	info          atomic.Pointer[mcp.Implementation]
	label         atomic.Pointer[string] // of info
	capabilities  atomic.Pointer[mcp.ClientCapabilities]
	version       atomic.Pointer[string]
	notifications chan mcp.JSONRPCNotification
}

var (
	_ server.SessionWithClientInfo      = (*session)(nil)
	_ server.SessionWithProtocolVersion = (*session)(nil)
)

func newSession(id string) *session {
	// mcp-go drops what does not fit. Nothing but the acknowledgement of
	// subscriptions/listen is ever sent this way, and each goes out before its
	// answer. All else goes through peer.
	return &session{id: id, notifications: make(chan mcp.JSONRPCNotification, 16)}
}

// newQuietSession is a session that mcp-go sends nothing to by itself.
func newQuietSession(id string) *session { return &session{id: id} }

// SessionID returns a name no other session of the process has.
func (s *session) SessionID() string { return s.id }

// Initialize marks the handshake as done.
func (s *session) Initialize() { s.ready.Store(true) }

// Initialized reports whether the handshake is done.
func (s *session) Initialized() bool { return s.ready.Load() }

// NotificationChannel takes what is sent before the answer to the current request.
func (s *session) NotificationChannel() chan<- mcp.JSONRPCNotification { return s.notifications }

// GetClientInfo returns what the client calls itself.
func (s *session) GetClientInfo() mcp.Implementation { return load(&s.info) }

// SetClientInfo keeps what the client calls itself.
func (s *session) SetClientInfo(i mcp.Implementation) {
	text := label(i)
	s.info.Store(&i)
	s.label.Store(&text)
}

// GetClientCapabilities returns what the client says it can do.
func (s *session) GetClientCapabilities() mcp.ClientCapabilities { return load(&s.capabilities) }

// SetClientCapabilities keeps what the client says it can do.
func (s *session) SetClientCapabilities(c mcp.ClientCapabilities) { s.capabilities.Store(&c) }

// ProtocolVersion returns the revision that initialize agreed on, or "".
func (s *session) ProtocolVersion() string { return load(&s.version) }

// SetProtocolVersion keeps the revision that initialize agreed on.
func (s *session) SetProtocolVersion(v string) { s.version.Store(&v) }

func load[T any](p *atomic.Pointer[T]) (v T) {
	if held := p.Load(); held != nil {
		v = *held
	}
	return v
}

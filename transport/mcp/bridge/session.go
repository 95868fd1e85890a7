package bridge

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"

	"github.com/coatcheck-dev/coatcheck/transport/mcp/envelope"
)

// session is what the revisions with sessions agreed on. It outlives the desk's
// own: when that has forgotten it, the client's initialize opens another.
type session struct {
	mu      sync.Mutex
	now     agreed
	hello   *call  // the client's initialize
	ready   bool   // the client has sent notifications/initialized
	modern  string // the revision of the last request without a session
	endPush context.CancelFunc
	over    bool // the bridge has ended

	renewing sync.Mutex // held by the one who opens it anew
	pushes   sync.WaitGroup
}

// agreed is one session as the desk knows it.
type agreed struct {
	id, version string
	number      int // counts the sessions of this bridge
}

func (s *session) current() agreed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// headers say which session a message belongs to, or which revision.
func (s *session) headers(h http.Header, m envelope.Message, now agreed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	version := string(m.Version)
	if version == "" && s.hello == nil && m.Kind != envelope.Request {
		version = s.modern // notifications need not say it
	}
	switch {
	case isModern(version):
		s.modern = version
		modernHeaders(h, version, m)
	case m.Kind == envelope.Request && string(m.Method) == "initialize":
	default:
		if now.id != "" {
			h.Set(headerSession, now.id)
		}
		if now.version != "" {
			h.Set(headerVersion, now.version)
		}
	}
}

// agree takes in the answer to an initialize. hello is the client's own, nil when
// it was said for it.
func (s *session) agree(hello *call, header http.Header, result []byte) bool {
	var said struct {
		ProtocolVersion string `json:"protocolVersion"`
	}
	ids := header.Values(headerSession)
	if json.Unmarshal(result, &said) != nil || len(ids) > 1 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if hello == nil && said.ProtocolVersion != s.now.version {
		return false // the client goes by the other one
	}
	s.now = agreed{version: said.ProtocolVersion, number: s.now.number + 1}
	if len(ids) == 1 {
		s.now.id = ids[0]
	}
	if hello != nil {
		s.hello, s.ready = hello, false
	}
	return true
}

// renew opens the session anew, unless somebody has since lost was agreed on.
func (b *Bridge) renew(ctx context.Context, lost agreed) *fault {
	s := &b.session
	s.renewing.Lock()
	defer s.renewing.Unlock()
	s.mu.Lock()
	hello, ready, now := s.hello, s.ready, s.now
	s.mu.Unlock()
	if now.number != lost.number {
		return nil
	}
	if hello == nil {
		return b.desk.refused(http.StatusNotFound, "NOT_FOUND", false)
	}
	ctx, cancel := context.WithTimeout(ctx, shortTime)
	defer cancel()
	again := &call{m: hello.m, line: hello.line, ids: hello.ids, silent: true}
	if bad := b.exchange(ctx, again, agreed{}); bad != nil {
		if bad.again == renewed || bad.again == lookups {
			bad.again = later
		}
		return bad
	}
	if !again.agreed {
		return &fault{code: "SESSION_LOST", text: "The desk was started anew and does not agree on the session as before.", done: nothing, next: "Start the client again."}
	}
	b.Log.InfoContext(ctx, "session opened anew")
	if !ready {
		return nil
	}
	line := []byte(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	if m, bad := envelope.Check(line); bad == nil {
		if bad := b.exchange(ctx, &call{m: m, line: line, silent: true}, s.current()); bad != nil {
			b.Log.WarnContext(ctx, "the desk was not told that the session is open", slog.String("code", bad.code))
		}
	}
	return nil
}

// endSession deletes the session, if there is one and the desk is there.
func (b *Bridge) endSession(ctx context.Context) {
	s := &b.session
	s.mu.Lock()
	now := s.now
	s.over = true
	if s.endPush != nil {
		s.endPush()
	}
	s.mu.Unlock()
	if now.id == "" {
		return
	}
	req, err := b.desk.request(ctx, http.MethodDelete, "/mcp", nil)
	if err != nil {
		return
	}
	req.Header.Set(headerSession, now.id)
	req.Header.Set(headerVersion, now.version)
	if res, err := b.desk.do(req); err == nil {
		_ = res.Body.Close() // it ends there with time alone too
	}
}

package httpd

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/coatcheck-dev/coatcheck/transport/socket"
)

// SocketHost is what a client of the unix socket sends as Host, to the byte.
const SocketHost = "localhost"

// bindSocket makes the unix socket, if there is to be one. A browser cannot
// reach it, so no origin is ever allowed there.
func (s *Server) bindSocket(cfg Config) (err error) {
	if cfg.Socket == "" {
		return nil
	}
	s.localGuard = &guard{exact: true, hosts: map[string]struct{}{SocketHost: {}}}
	if s.localHealth, err = json.Marshal(struct {
		Status  string   `json:"status"`
		Version string   `json:"version"`
		Private []string `json:"private"`
		Program string   `json:"program,omitempty"`
	}{"ok", cfg.Version, append([]string{}, cfg.Private...), cfg.Program}); err != nil {
		return err
	}
	s.socket, err = socket.Listen(cfg.Socket, &socket.Options{Users: cfg.SocketUsers, Refused: (&strangers{log: s.log}).refused})
	return err
}

// listeners are what Serve accepts from.
func (s *Server) listeners() (all []net.Listener) {
	if s.ln != nil {
		all = append(all, s.ln)
	}
	if s.socket != nil {
		all = append(all, &listener{Listener: s.socket, conns: s.conns, local: true})
	}
	return all
}

// guardOf is the guard of the way that r came.
func (s *Server) guardOf(r *http.Request) *guard {
	if viaSocket(r) {
		return s.localGuard
	}
	return s.guard
}

func viaSocket(r *http.Request) bool {
	c, ok := r.Context().Value(connKey{}).(*conn)
	return ok && c.local
}

// strangers logs who was turned away from the socket: each user once as a
// warning, since a user who tries on would fill the disk, and then for whoever
// looks.
type strangers struct {
	log *slog.Logger

	mu   sync.Mutex
	seen map[uint32]struct{}
}

func (st *strangers) refused(uid uint32, err error) {
	ctx, level := context.Background(), slog.LevelDebug
	if err != nil {
		st.log.LogAttrs(ctx, slog.LevelError, "the system does not tell who connects to the socket", slog.Any("error", err))
		return
	}
	st.mu.Lock()
	if _, again := st.seen[uid]; !again {
		if st.seen == nil {
			st.seen = map[uint32]struct{}{}
		}
		st.seen[uid], level = struct{}{}, slog.LevelWarn
	}
	st.mu.Unlock()
	st.log.LogAttrs(ctx, level, "a user who is not listed was turned away from the socket", slog.Any("uid", uid))
}

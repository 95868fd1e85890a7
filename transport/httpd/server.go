package httpd

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/socket"
)

// Server is a bound and guarded HTTP server. Make it with [New], then call
// [Server.Serve] once, or [Server.Close].
type Server struct {
	limits       Limits
	guard        *guard
	localGuard   *guard // for what comes over the unix socket
	conns        *connections
	quota        *quota // of requests
	streams      *quota
	rate         *pace[string] // of requests
	open         *pace[string] // of requests without a credential, by source
	wrong        *wrong
	authenticate Authenticate
	mcp, sse     http.Handler
	rest         http.Handler
	restOpen     []string
	restProves   func(*http.Request) bool
	recall       *recall
	proxies      []netip.Prefix
	health       []byte
	localHealth  []byte
	ready        readiness
	log          *slog.Logger
	secure       bool
	ln           net.Listener     // nil: no TCP
	socket       *socket.Listener // nil: no unix socket
	http         *http.Server
	active       active
	watch        watch
	stopping     chan struct{}      // closed when the server stops
	calls        context.Context    // of every request; it ends when the server gives up draining
	endCalls     context.CancelFunc // ends it
}

// New checks the configuration and binds the address, so that a wrong one is an
// error before anything is served. Errors: [ErrInsecureListen], those of the
// socket and of the certificate, and sentences about a field.
func New(cfg Config) (_ *Server, err error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{
		authenticate: cfg.Authenticate, mcp: cfg.MCP, sse: cfg.SSE, rest: cfg.REST, restOpen: cfg.RESTOpen, restProves: cfg.RESTProves, recall: newRecall(), proxies: cfg.TrustedProxies,
		log: cfg.Log, stopping: make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.limits, err = cfg.Limits.withDefaults(); err != nil {
		return nil, err
	}
	if s.health, err = json.Marshal(map[string]string{"status": "ok", "version": cfg.Version}); err != nil {
		return nil, err
	}
	s.ready.check, s.ready.tell = cfg.Ready, s.unready
	s.conns, s.quota, s.streams = newConnections(s.limits.Connections), newQuota(s.limits.PerPrincipal), newQuota(s.limits.Streams)
	s.rate, s.open, s.wrong = newRate(s.limits.Rate), newRate(s.limits.OpenRate), newWrong(s.limits.Failures)
	if err := s.bind(cfg); err != nil {
		return nil, errors.Join(err, s.unbind())
	}
	s.calls, s.endCalls = context.WithCancel(context.Background())
	s.http = s.newHTTP()
	s.watch.every, s.watch.log = s.limits.Recheck, s.log
	s.watch.alive = func(who identity.Principal) error {
		ctx, cancel := context.WithTimeout(s.calls, s.limits.Recheck)
		defer cancel()
		return cfg.Alive(ctx, who)
	}
	return s, nil
}

func (s *Server) newHTTP() *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:                      http.HandlerFunc(s.serve),
		Protocols:                    &protocols,
		DisableGeneralOptionsHandler: true, // else OPTIONS * is answered in front of the guard
		ReadHeaderTimeout:            s.limits.HeaderTime,
		IdleTimeout:                  s.limits.IdleTime,
		MaxHeaderBytes:               s.limits.Header - headerSlop,
		BaseContext:                  func(net.Listener) context.Context { return s.calls },
		ConnContext:                  withConn,
		ConnState:                    whenIdle,
		ErrorLog:                     slog.NewLogLogger(errorLog{s.log.Handler()}, slog.LevelWarn),
	}
}

// bind takes the addresses that the configuration names.
func (s *Server) bind(cfg Config) (err error) {
	if cfg.Listen == NoListen && cfg.Socket == "" {
		return errors.New("there is nothing to listen on: neither an address nor a socket")
	}
	if cfg.Listen != NoListen {
		if s.ln, s.secure, err = listen(cfg, s.conns); err != nil {
			return err
		}
	}
	if s.guard, err = newGuard(strconv.Itoa(s.port()), s.secure, cfg.AllowHosts, cfg.AllowOrigins); err != nil {
		return err
	}
	return s.bindSocket(cfg)
}

// unbind frees the addresses.
func (s *Server) unbind() (err error) {
	if s.ln != nil {
		err = s.ln.Close()
	}
	if s.socket != nil {
		err = errors.Join(err, s.socket.Close())
	}
	return err
}

// Addr is the address that was bound, with its real port; that of the unix
// socket when TCP is left out.
func (s *Server) Addr() net.Addr {
	if s.ln == nil {
		return s.socket.Addr()
	}
	return s.ln.Addr()
}

// URL is where a client of this machine finds the server, without a path:
// http://127.0.0.1:7420. A server that listens everywhere is shown at
// 127.0.0.1. Empty when TCP is left out.
func (s *Server) URL() string {
	if s.ln == nil {
		return ""
	}
	scheme, host := "http", "127.0.0.1"
	if s.secure {
		scheme = "https"
	}
	if at, ok := s.ln.Addr().(*net.TCPAddr); ok && !at.IP.IsUnspecified() {
		host = at.IP.String()
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(s.port()))
}

func (s *Server) port() int {
	if s.ln == nil {
		return 0
	}
	if at, ok := s.ln.Addr().(*net.TCPAddr); ok {
		return at.Port
	}
	return 0
}

// Close frees the addresses of a server that was never served.
func (s *Server) Close() error {
	s.endCalls()
	return s.unbind()
}

// Serve answers requests until ctx ends or a listener breaks. Then it takes no
// more, ends or tells the streams, gives calls under way Limits.Drain to finish,
// cuts the rest, and returns nil, or what broke. When it returns no handler runs
// any more, except one that ignores the end of its context for as long again.
func (s *Server) Serve(ctx context.Context) error {
	defer s.watch.stop()
	defer s.endCalls()
	listeners := s.listeners()
	served := make(chan error, len(listeners))
	for _, ln := range listeners {
		s.log.LogAttrs(ctx, slog.LevelInfo, "listening", slog.String("addr", ln.Addr().String()), slog.Bool("tls", s.secure && ln == s.ln))
		go func() { served <- s.http.Serve(ln) }()
	}
	running := len(listeners)
	var broke error
	select {
	case broke = <-served:
		running--
	case <-ctx.Done():
	}
	close(s.stopping)
	s.active.endStreams()
	s.conns.end()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limits.Drain)
	defer cancel()
	err := s.http.Shutdown(drain)
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "calls cut at shutdown", slog.Int("calls", s.active.count()))
		s.endCalls()
		err = s.http.Close()
	}
	s.endCalls() // nobody is left who could be answered
	err = errors.Join(broke, err, ended(served, running))
	select {
	case <-s.active.stop():
	case <-time.After(s.limits.Drain):
		s.log.LogAttrs(ctx, slog.LevelError, "handlers ignore the end", slog.Int("calls", s.active.count()))
	}
	return err
}

// ended waits for n listeners to have ended and returns what they ended with,
// unless that was the end of the server.
func ended(served <-chan error, n int) (err error) {
	for range n {
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}
	return err
}

package httpd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/identity"
)

// DefaultListen is where a desk listens when nothing else is said.
const DefaultListen = "127.0.0.1:7420"

// NoListen as Config.Listen leaves TCP out.
const NoListen = "none"

// ErrInsecureListen refuses an address beyond loopback without TLS. Next step:
// give a certificate and key, or set [Config.InsecureListen] where something in
// front ends TLS.
var ErrInsecureListen = errors.New("agent keys would cross the network in clear text")

// Authenticate turns a credential into its principal. The key is as the client
// sent it, 1 to 512 bytes of visible ASCII. addr is the client's address, without
// port and zone, an IPv4 one always in its own form; "" when there is none or it
// is not known, which is in no list of addresses. An error that is
// [identity.ErrUnauthenticated] becomes 401; any other is an internal error
// whose text goes nowhere.
type Authenticate func(ctx context.Context, key, addr string) (identity.Principal, error)

// Alive tells whether a principal that was authenticated earlier may still act.
// [identity.ErrUnauthenticated] and vault.ErrCorrupt end its requests under way;
// after any other error it is asked again.
type Alive func(ctx context.Context, who identity.Principal) error

// Config says what to serve and to whom. Authenticate, Alive, MCP and Ready are
// required.
type Config struct {
	// Listen is ADDRESS:PORT; empty means [DefaultListen]. ADDRESS is an IP
	// address or localhost (127.0.0.1); left out, it means 127.0.0.1 too. Port 0
	// takes a free one: ask [Server.Addr]. [NoListen] leaves TCP out; then there
	// must be a Socket.
	Listen string

	// Socket is the absolute path of a unix socket to serve as well; empty: none.
	// See package socket for who may connect, and how the file is made and removed.
	Socket string

	// SocketUsers are the uids that may connect to Socket, beside the own one.
	SocketUsers []uint32

	// Private are the folders and files that nobody but this server's user may
	// open. /healthz names them, over Socket only, so that the user of a client can
	// see for itself that it cannot.
	Private []string

	// Program is the file that runs, which no client's user should be able to
	// change. It is told with Private.
	Program string

	// AllowHosts names further values of Host: a name or address, exact, ASCII
	// case ignored. With a port, that port only; without one, both no port and
	// the port that was bound.
	AllowHosts []string

	// AllowOrigins names the web origins whose pages may call, each
	// SCHEME://HOST[:PORT], exact. None by default.
	AllowOrigins []string

	// TrustedProxies are the networks of the proxies whose X-Forwarded-For is
	// believed: the rightmost address there that is none of theirs is the client's.
	// From anybody else, and over Socket, the field means nothing. A proxy must
	// append to the field, or set it, itself. None by default.
	TrustedProxies []netip.Prefix

	// CertFile and KeyFile are a PEM certificate chain and its key, both or
	// neither. With them the server speaks TLS 1.2 or later.
	CertFile, KeyFile string

	// InsecureListen allows an address beyond loopback without TLS.
	InsecureListen bool

	// Authenticate is asked for each request to a mounted handler, but for some of
	// RESTProves.
	Authenticate Authenticate

	// Alive is asked every [Limits.Recheck] about each principal that has requests
	// under way, so that a revoked agent's streams and calls end.
	Alive Alive

	// MCP serves /mcp. The request's context holds the principal
	// ([PrincipalFrom]) and ends when the client goes away, its agent is revoked or
	// the server gives up draining; that of a GET, a stream without an end, ends as soon as the
	// server stops. The body is in memory already.
	MCP http.Handler

	// SSE serves /sse and /messages; without it they are 404. It is called as MCP
	// is, but the context of a GET does not end as soon as the server stops: that the server stops is told by [Stopping], so that a stream
	// can still carry the answers to calls under way.
	SSE http.Handler

	// REST serves every path that begins with /v1/, as it was sent; without it they
	// are 404. It is called as MCP is, but a GET there is a call like the others and
	// no stream, and a call without a body needs no Content-Type.
	REST http.Handler

	// RESTOpen are the paths under /v1/, exact, that need no credential. REST gets
	// them without a principal.
	RESTOpen []string

	// RESTProves names requests to REST whose handler asks, in the transaction of
	// what it does or before any answer, whether the request's principal may still
	// act from its address, and answers 401 if not. Such a request may come as the
	// principal that its credential belonged to within the last two minutes, without
	// Authenticate being asked again. nil: none are such.
	RESTProves func(*http.Request) bool

	// Ready tells /readyz whether the desk can work: nil, or an error of which
	// the log shows the type and nobody the text. Its context ends after 2 s.
	Ready func(ctx context.Context) error

	// Version is shown by /healthz.
	Version string

	// Log takes codes, routes and principal ids, never header or body content.
	// Nil logs nothing.
	Log *slog.Logger

	// Limits bound what a client may take; zero fields mean the default.
	Limits Limits
}

// check finds what is wrong with a configuration by itself.
func (cfg *Config) check() error {
	if cfg.Authenticate == nil || cfg.Alive == nil || cfg.MCP == nil || cfg.Ready == nil {
		return errors.New("httpd: Authenticate, Alive, MCP and Ready are required")
	}
	for _, path := range cfg.RESTOpen {
		if cfg.REST == nil || !strings.HasPrefix(path, restRoute+"/") {
			return errors.New("httpd: RESTOpen has paths of REST, which begin with /v1/")
		}
	}
	if cfg.REST == nil && cfg.RESTProves != nil {
		return errors.New("httpd: RESTProves is about requests to REST")
	}
	return checkProxies(cfg.TrustedProxies)
}

const (
	headerSlop    = 4096 // bytes that net/http accepts beyond its MaxHeaderBytes
	credentialLen = 512  // bytes of the longest credential that is looked up
)

// Limits of one server: what; the default, which a zero field means; what is
// beyond. The README's table is made of these lines.
//
// An idle stream costs about 32 KiB, TLS not counted.
type Limits struct {
	Header       int           // bytes of request line and header fields, at least 5 KiB; 16 KiB; refused (431)
	Body         int64         // bytes of a request body; 4 MiB; refused (413)
	HeaderTime   time.Duration // from the first byte to the end of the header, and for the TLS handshake; 5 s; the connection ends
	BodyTime     time.Duration // from the end of the header to the end of the body; 30 s; refused (408)
	WriteTime    time.Duration // for a client to take one write; 30 s; the connection ends, and its calls
	IdleTime     time.Duration // between two requests of a connection; 2 min; the connection ends
	Connections  int           // connections at once; 4,096; the one idle longest ends
	PerPrincipal int           // requests of one agent at once, without its streams; 64; refused (429)
	Streams      int           // event streams (GET requests) of one agent at once; 512; refused (429)
	Rate         int           // requests of one agent a second, twice as many at once, those by its tokens counted apart; 5,000; refused (429)
	OpenRate     int           // requests of one address a second under /v1 where no credential is needed, twice as many at once; 100; refused (429)
	Failures     int           // wrong credentials of one address a minute (of IPv6: a /64, over the unix socket: a user), one and the same a tenth as often; 600; refused (429), but for those that were right within 10 min
	Recheck      time.Duration // between two looks whether the agents that have requests and streams under way are revoked; 2 s; theirs end
	Drain        time.Duration // for calls under way when the server stops, then again for those cut to notice; 10 s; they are cancelled
	RetryAfter   time.Duration // what 429 asks for when too many run at once, in whole seconds; 1 s;
}

// DefaultLimits are what zero fields mean.
func DefaultLimits() Limits {
	l, _ := Limits{}.withDefaults() // zeros are within their bounds
	return l
}

func (l Limits) withDefaults() (Limits, error) {
	for _, n := range []int64{
		int64(l.Header), l.Body, int64(l.HeaderTime), int64(l.BodyTime), int64(l.WriteTime), int64(l.IdleTime),
		int64(l.Connections), int64(l.PerPrincipal), int64(l.Streams), int64(l.Rate), int64(l.OpenRate), int64(l.Failures), int64(l.Recheck), int64(l.Drain), int64(l.RetryAfter),
	} {
		if n < 0 {
			return l, errors.New("a limit is negative; zero means the default")
		}
	}
	l.Header = orDefault(l.Header, 16<<10)
	l.Body = orDefault(l.Body, 4<<20)
	l.HeaderTime = orDefault(l.HeaderTime, 5*time.Second)
	l.BodyTime = orDefault(l.BodyTime, 30*time.Second)
	l.WriteTime = orDefault(l.WriteTime, 30*time.Second)
	l.IdleTime = orDefault(l.IdleTime, 2*time.Minute)
	l.Connections = orDefault(l.Connections, 4096)
	l.PerPrincipal = orDefault(l.PerPrincipal, 64)
	l.Streams = orDefault(l.Streams, 512)
	l.Rate = orDefault(l.Rate, 5000)
	l.OpenRate = orDefault(l.OpenRate, 100)
	l.Failures = orDefault(l.Failures, 600)
	l.Recheck = orDefault(l.Recheck, 2*time.Second)
	l.Drain = orDefault(l.Drain, 10*time.Second)
	l.RetryAfter = orDefault(l.RetryAfter, time.Second)
	if l.Header < headerSlop+1024 {
		return l, fmt.Errorf("the header limit must be at least %d bytes", headerSlop+1024)
	}
	return l, nil
}

func orDefault[T int | int64 | time.Duration](v, fallback T) T {
	if v == 0 {
		return fallback
	}
	return v
}

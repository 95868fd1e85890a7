package redeem

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// Defaults of [Options].
const (
	DefaultTimeout = 60 * time.Second
	DefaultMaxBody = 1 << 20
)

const maxResponseHeader = 64 << 10

// Options of a [Client]. A zero field means its default.
type Options struct {
	Resolver Resolver       // nil: the system's
	Timeout  time.Duration  // of a whole exchange, body included; 0: [DefaultTimeout]
	MaxBody  int            // bytes of a response body that are kept; 0: [DefaultMaxBody]
	RootCAs  *x509.CertPool // nil: the system's
	// Control is called with every socket before it connects, after the
	// address was found right; nil does nothing. An error stops the connection.
	Control func(network, address string, c syscall.RawConn) error
}

// Client sends prepared requests. It is safe for concurrent use and keeps
// nothing between two of them.
type Client struct {
	opts  Options
	table *table
}

// NewClient returns a Client; opts may be nil.
func NewClient(opts *Options) *Client {
	c := &Client{table: newTable()}
	if opts != nil {
		c.opts = *opts
	}
	if c.opts.Resolver == nil {
		c.opts.Resolver = net.DefaultResolver
	}
	if c.opts.Timeout <= 0 {
		c.opts.Timeout = DefaultTimeout
	}
	if c.opts.MaxBody <= 0 {
		c.opts.MaxBody = DefaultMaxBody
	}
	return c
}

// Do puts the values (by handle text) into p, where places (by handle text
// too) say, sends it once and returns the answer, which is not scrubbed. It
// blocks until the answer is there or [Options.Timeout] passed. Errors:
// *[Refusal], nothing was sent; *[Upstream], something may have been sent.
func (c *Client) Do(ctx context.Context, p *Prepared, values map[string]secret.Value, places map[string]Placement) (*Response, error) {
	f, err := p.fill(values, places)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	var progress progress
	request, err := p.request(progress.trace(ctx), f)
	if err != nil {
		return nil, err
	}
	transport := c.transport(p, places)
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return nil, progress.explain(ctx, err)
	}
	defer func() { _ = answer.Body.Close() }()
	return c.read(ctx, p, answer, f.values)
}

// request builds what net/http will send and refuses to go on when that would
// not be the request that was checked.
func (p *Prepared) request(ctx context.Context, f filled) (*http.Request, error) {
	path, err := url.PathUnescape(p.target.Path)
	if err != nil {
		return nil, &Upstream{Code: CodeInternal}
	}
	authority := strings.TrimPrefix(p.target.Origin(), p.target.Scheme+"://")
	u := &url.URL{Scheme: p.target.Scheme, Host: authority, Path: path, RawPath: p.target.Path, RawQuery: f.query}
	if u.RequestURI() != p.requestURI(f.query) {
		return nil, &Upstream{Code: CodeInternal}
	}
	request, err := http.NewRequestWithContext(ctx, p.target.Method, p.target.Origin(), strings.NewReader(f.body))
	if err != nil {
		return nil, &Upstream{Code: CodeInternal}
	}
	request.URL, request.Host = u, authority
	request.GetBody = nil // nothing is ever sent twice
	request.Header = http.Header{"User-Agent": {"coatcheck"}, "Accept-Encoding": {acceptEncoding}}
	own := true
	for _, h := range f.headers {
		if h.Name == "User-Agent" && own {
			own = false
			request.Header.Del(h.Name)
		}
		request.Header.Add(h.Name, h.Value)
	}
	return request, nil
}

// transport is made for one request and never used for another.
func (c *Client) transport(p *Prepared, places map[string]Placement) *http.Transport {
	g := &guard{table: c.table, resolver: c.opts.Resolver, control: c.opts.Control, target: p.target}
	for _, handle := range p.Handles() {
		g.destinations = append(g.destinations, places[handle].Destination)
	}
	return &http.Transport{
		Proxy:                  nil, // never from the environment
		DialContext:            g.dial,
		TLSClientConfig:        &tls.Config{ServerName: serverName(p.target), RootCAs: c.opts.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    dialTimeout,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxResponseHeader,
		ForceAttemptHTTP2:      true,
	}
}

func serverName(t vault.Target) string { return t.Host }

// progress remembers how far an exchange came, so that its error needs no
// reading of text.
type progress struct{ connected, tlsFailed atomic.Bool }

func (p *progress) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) { p.tlsFailed.Store(err != nil) },
		GotConn:          func(httptrace.GotConnInfo) { p.connected.Store(true) },
	})
}

func (p *progress) explain(ctx context.Context, err error) error {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return refusal
	}
	if upstream, ok := errors.AsType[*Upstream](err); ok {
		return upstream
	}
	switch {
	case p.tlsFailed.Load():
		return failed(ctx, CodeTLS)
	case !p.connected.Load():
		return failed(ctx, CodeConnect)
	default:
		return failed(ctx, CodeMalformed)
	}
}

package redeem

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
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

// Client sends prepared requests. It is safe for concurrent use. Between two
// requests it keeps connections, for the same principal and origin only, and
// nothing else.
type Client struct {
	opts  Options
	table *table
	pool  pool
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
// too) say, sends it for principal and returns the answer, which is not
// scrubbed. It blocks until the answer is there or [Options.Timeout] passed. Errors:
// *[Refusal], nothing was sent; *[Upstream], something may have been sent.
//
// A request is sent once. Only where a server says that it has not looked at it
// (RFC 9113 §8.7) is it sent again.
func (c *Client) Do(ctx context.Context, principal string, p *Prepared, values map[string]secret.Value, places map[string]Placement) (*Response, error) {
	f, err := p.fill(values, places)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	request, err := p.request(ctx, f)
	if err != nil {
		return nil, err
	}
	return c.exchange(ctx, principal, p.target, p.destinations(places), request, func(answer *http.Response) (*Response, error) {
		return c.read(ctx, p, answer)
	})
}

// exchange sends a request on a way to the target that all destinations allow.
func (c *Client) exchange(ctx context.Context, principal string, target vault.Target, destinations []vault.HTTPDestination,
	request *http.Request, read func(*http.Response) (*Response, error),
) (*Response, error) {
	line, kept, err := c.line(ctx, principal, target, destinations)
	if err != nil {
		return nil, err
	}
	answer, err := line.transport.RoundTrip(request)
	if err != nil {
		c.pool.drop(line)
		return nil, explain(ctx, err, kept)
	}
	response, err := read(answer)
	_ = answer.Body.Close()
	if err != nil || !line.kept {
		c.pool.drop(line)
		return response, err
	}
	c.pool.keep(line, time.Now())
	return response, nil
}

// line returns the kept way to the target, or opens one.
func (c *Client) line(ctx context.Context, principal string, target vault.Target, destinations []vault.HTTPDestination) (l *line, kept bool, err error) {
	key := lineKey{principal, target.Scheme, target.Host, target.Port}
	if l = c.pool.take(key, destinations, time.Now()); l != nil {
		return l, true, nil
	}
	g := &guard{table: c.table, resolver: c.opts.Resolver, control: c.opts.Control, target: target, destinations: destinations}
	if err := g.resolve(ctx); err != nil {
		return nil, false, err
	}
	l, err = c.open(ctx, key, g)
	return l, false, err
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

// explain turns an error of the transport, whose text may hold the value, into
// a code.
func explain(ctx context.Context, err error, kept bool) error {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return refusal
	}
	if upstream, ok := errors.AsType[*Upstream](err); ok {
		return upstream
	}
	if kept {
		return failed(ctx, CodeLost)
	}
	return failed(ctx, CodeMalformed)
}

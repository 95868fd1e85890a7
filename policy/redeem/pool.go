package redeem

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// Bounds of what is kept between two calls.
const (
	lineAge  = time.Minute // then the host is resolved anew
	lineIdle = 30 * time.Second
	maxLines = 64 // of all principals together; the one unused longest goes
)

// line is the way of one principal to one origin over HTTP/2: connections to
// addresses that were resolved once and checked. It serves nobody else.
//
// Over HTTP/1.1 a line serves one request: there, an answer too many would be
// taken for the next one's, and net/http writes such bytes, perhaps a value, to
// the log.
type line struct {
	key       lineKey
	guard     *guard
	roots     *x509.CertPool
	transport *http.Transport
	first     chan net.Conn // the connection that it was opened with, until it is used
	kept      bool          // over HTTP/2
	born      time.Time
	used      time.Time
}

type lineKey struct {
	principal, scheme, host string
	port                    int
}

// pool is the lines that worked. Every call ends with keep or drop. It is safe for concurrent use.
type pool struct {
	mu     sync.Mutex
	lines  map[lineKey]*line
	closed bool
}

// take returns the line of key if it is fresh and each of its addresses may be
// dialled for these destinations too, else nil.
func (p *pool) take(key lineKey, destinations []vault.HTTPDestination, now time.Time) *line {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lines[key]
	if l == nil {
		return nil
	}
	if now.Sub(l.born) >= lineAge {
		p.remove(l)
		return nil
	}
	for _, a := range l.guard.addrs {
		if !l.guard.table.admits(a, key.host, destinations) {
			return nil
		}
	}
	l.used = now
	return l
}

// keep remembers a line on which an exchange has just ended well. Of several
// that calls at the same time have opened the first is kept; the others have
// done their work, and nobody would find them again to close them.
func (p *pool) keep(l *line, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if other := p.lines[l.key]; p.closed || other != nil && other != l {
		p.remove(l)
		return
	}
	if p.lines == nil {
		p.lines = map[lineKey]*line{}
	}
	l.used = now
	p.lines[l.key] = l
	var oldest *line
	for _, each := range p.lines {
		if now.Sub(each.born) >= lineAge {
			p.remove(each)
		} else if oldest == nil || each.used.Before(oldest.used) {
			oldest = each
		}
	}
	if len(p.lines) > maxLines {
		p.remove(oldest)
	}
}

// drop forgets a line that failed or that is not kept.
func (p *pool) drop(l *line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(l)
}

// remove closes connections as they become idle.
func (p *pool) remove(l *line) {
	if p.lines[l.key] == l {
		delete(p.lines, l.key)
	}
	if unused := l.take(); unused != nil {
		_ = unused.Close()
	}
	l.transport.CloseIdleConnections()
}

// Close ends every kept connection, and none is kept from now on. Calls under
// way go on.
func (c *Client) Close() {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.pool.closed = true
	for _, l := range c.pool.lines {
		c.pool.remove(l)
	}
}

// open connects a line of g, which is resolved.
func (c *Client) open(ctx context.Context, key lineKey, g *guard) (*line, error) {
	l := &line{key: key, guard: g, roots: c.opts.RootCAs, first: make(chan net.Conn, 1), born: time.Now()}
	conn, h2, err := l.connect(ctx)
	if err != nil {
		return nil, err
	}
	l.first <- conn
	l.kept = h2
	l.transport = &http.Transport{
		Proxy:                  nil, // never from the environment
		DialContext:            l.dial,
		DialTLSContext:         l.dial,
		DisableKeepAlives:      !l.kept,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxResponseHeader,
		IdleConnTimeout:        lineIdle,
		ForceAttemptHTTP2:      true,
	}
	return l, nil
}

// connect makes a connection and says whether HTTP/2 is spoken on it.
func (l *line) connect(ctx context.Context) (conn net.Conn, h2 bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	plain, err := l.guard.dial(ctx)
	if err != nil || l.key.scheme == "http" {
		return plain, false, err
	}
	protocols := []string{"h2", "http/1.1"}
	if strings.Contains(os.Getenv("GODEBUG"), "http2debug=") { // net/http would write each header, values and all, to the log
		protocols = protocols[1:]
	}
	secure := tls.Client(plain, &tls.Config{
		ServerName: l.key.host, RootCAs: l.roots, MinVersion: tls.VersionTLS12, NextProtos: protocols,
	})
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, false, failed(ctx, CodeTLS)
	}
	return secure, secure.ConnectionState().NegotiatedProtocol == "h2", nil
}

// dial is the transport's. It has no use for the address: the guard knows it. A
// kept line may have to connect again; one that is not may not.
func (l *line) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if first := l.take(); first != nil {
		return first, nil
	}
	if !l.kept {
		return nil, failed(ctx, CodeConnect)
	}
	conn, h2, err := l.connect(ctx)
	if err == nil && !h2 {
		_ = conn.Close()
		return nil, failed(ctx, CodeConnect)
	}
	return conn, err
}

func (l *line) take() net.Conn {
	select {
	case conn := <-l.first:
		return conn
	default:
		return nil
	}
}

// destinations of a call, in the order of its handles.
func (p *Prepared) destinations(places map[string]Placement) []vault.HTTPDestination {
	handles := p.Handles()
	out := make([]vault.HTTPDestination, 0, len(handles))
	for _, handle := range handles {
		out = append(out, places[handle].Destination)
	}
	return slices.Clip(out)
}

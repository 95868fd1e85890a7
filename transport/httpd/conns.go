package httpd

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// connections holds the open connections, at most max of them. Those without
// an authenticated request wait in a list, the one that waits longest first;
// it is the one to go when another comes.
type connections struct {
	max int

	mu      sync.Mutex
	open    int
	waiting *list.List // of *conn
}

func newConnections(limit int) *connections {
	return &connections{max: limit, waiting: list.New()}
}

// conn is a counted connection. It is what lies below TLS, so that closing it
// never waits for the other side.
type conn struct {
	net.Conn
	of    *connections
	place *list.Element // in of.waiting; nil while busy or closed
	done  bool
	local bool // came over the unix socket
}

// listener counts what it accepts.
type listener struct {
	net.Listener
	conns *connections
	local bool // the unix socket
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.conns.add(c, l.local), nil
}

func (cs *connections) add(raw net.Conn, local bool) *conn {
	c := &conn{Conn: raw, of: cs, local: local}
	cs.mu.Lock()
	var evicted *conn
	if cs.open >= cs.max {
		evicted = c // every other one serves somebody, or the server is stopping
		if oldest := cs.waiting.Front(); oldest != nil {
			evicted, _ = oldest.Value.(*conn)
		}
	}
	cs.open++
	c.place = cs.waiting.PushBack(c)
	cs.mu.Unlock()
	if evicted != nil {
		_ = evicted.Close() // its goroutine sees the error on its next read
	}
	return c
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	c.of.mu.Lock()
	if !c.done {
		c.done = true
		c.of.open--
		if c.place != nil {
			c.of.waiting.Remove(c.place)
			c.place = nil
		}
	}
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// busy keeps the connection of ctx from being closed for others, until net/http
// has sent the whole answer and calls whenIdle.
func (cs *connections) busy(ctx context.Context) {
	c, ok := ctx.Value(connKey{}).(*conn)
	if !ok {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c.place != nil {
		cs.waiting.Remove(c.place)
		c.place = nil
	}
}

// whenIdle is the server's ConnState.
func whenIdle(nc net.Conn, state http.ConnState) {
	c, ok := below(nc)
	if !ok || state != http.StateIdle {
		return
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if !c.done {
		if c.place != nil {
			c.of.waiting.Remove(c.place)
		}
		c.place = c.of.waiting.PushBack(c)
	}
}

// end closes the connections that wait and takes no more: net/http would give
// one that has sent nothing yet five seconds.
func (cs *connections) end() {
	cs.mu.Lock()
	cs.max = 0
	var waiting []*conn
	for e := cs.waiting.Front(); e != nil; e = e.Next() {
		if c, ok := e.Value.(*conn); ok {
			waiting = append(waiting, c)
		}
	}
	cs.mu.Unlock()
	for _, c := range waiting {
		_ = c.Close()
	}
}

type connKey struct{}

// withConn is the server's ConnContext.
func withConn(ctx context.Context, nc net.Conn) context.Context {
	if c, ok := below(nc); ok {
		return context.WithValue(ctx, connKey{}, c)
	}
	return ctx
}

// below finds our connection under TLS.
func below(nc net.Conn) (*conn, bool) {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	c, ok := nc.(*conn)
	return c, ok
}

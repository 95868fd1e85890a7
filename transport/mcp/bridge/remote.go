package bridge

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/socket"
)

// Times and sizes of the connection. The desk ends idle connections after two
// minutes; ours go before, so that none is used as it is being closed.
const (
	dialTime   = 10 * time.Second
	idleTime   = 90 * time.Second
	shortTime  = 30 * time.Second // for what the desk answers at once
	maxHeaders = 64 << 10         // bytes of an answer's header
)

// Remote is a desk and the key to it. It is safe for concurrent use.
type Remote struct {
	server  Server
	key     string
	client  *http.Client
	peer    atomic.Pointer[socket.Peer]
	reached atomic.Bool // it has answered once
}

// NewRemote returns the desk at server, to be asked as the agent that key is of.
// It connects when it is first asked.
func NewRemote(server Server, key string) *Remote {
	r := &Remote{server: server, key: key}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	r.client = &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // not from the environment either
			DialContext:            r.dialSocket,
			DialTLSContext:         r.dialTLS,
			Protocols:              &protocols,
			DisableCompression:     true,
			MaxIdleConnsPerHost:    64,
			IdleConnTimeout:        idleTime,
			MaxResponseHeaderBytes: maxHeaders,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return r
}

// Server is where the desk is.
func (r *Remote) Server() Server { return r.server }

// Peer is the process that serves the socket, as of the last connection; false
// over https and before there was one.
func (r *Remote) Peer() (socket.Peer, bool) {
	if p := r.peer.Load(); p != nil {
		return *p, true
	}
	return socket.Peer{}, false
}

// Close ends the connections that wait for more.
func (r *Remote) Close() { r.client.CloseIdleConnections() }

// notSent is an error from before the first byte of a request.
type notSent struct{ error }

func (e notSent) Unwrap() error { return e.error }

// dialSocket is asked for http:// addresses, which are those of sockets.
func (r *Remote) dialSocket(ctx context.Context, _, _ string) (net.Conn, error) {
	if r.server.path == "" {
		return nil, notSent{ErrServer}
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, peer, err := socket.Dial(ctx, r.server.path)
	if err != nil {
		return nil, notSent{err}
	}
	r.peer.Store(&peer)
	return conn, nil
}

func (r *Remote) dialTLS(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, notSent{err}
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, notSent{errors.Join(err, conn.Close())}
	}
	secure := tls.Client(conn, &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, notSent{errors.Join(err, conn.Close())}
	}
	return secure, nil
}

// request makes a request for the desk. body is a message, nil for none.
func (r *Remote) request(ctx context.Context, method, path string, body []byte) (*http.Request, error) {
	var from io.Reader
	if body != nil {
		from = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.server.base+path, from)
	if err == nil && body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
	}
	return req, err
}

// do sends a request with the key.
func (r *Remote) do(req *http.Request) (*http.Response, error) {
	req.Header.Set("Authorization", "Bearer "+r.key)
	res, err := r.client.Do(req)
	if err == nil {
		r.reached.Store(true)
	}
	return res, err
}

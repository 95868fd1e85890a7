//go:build !linux && !darwin

package socket

import (
	"context"
	"net"
)

// PeerOf asks the system who is at the other end of c.
func PeerOf(*net.UnixConn) (Peer, error) { return Peer{}, ErrUnsupported }

// Dial connects to the socket at path.
func Dial(context.Context, string) (net.Conn, Peer, error) { return nil, Peer{}, ErrUnsupported }

// Listen listens at path.
func Listen(string, *Options) (*Listener, error) { return nil, ErrUnsupported }

// Listener is a listening socket.
type Listener struct{ net.Listener }

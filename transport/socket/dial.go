//go:build linux || darwin

package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
)

// Dial connects to the socket at path and returns who serves it. Errors:
// [ErrPath], [ErrImpostor], [vault.ErrLoosePermissions], [fs.ErrNotExist] and
// [syscall.ECONNREFUSED] when nobody listens, [fs.ErrPermission] when this user
// may not connect. A server that turns this user away does so after Dial: the
// connection ends without a byte.
func Dial(ctx context.Context, path string) (net.Conn, Peer, error) {
	if err := CheckPath(path); err != nil {
		return nil, Peer{}, err
	}
	end, info, err := way(path)
	if err == nil {
		err = isSocket(path, info)
	}
	if err == nil {
		err = apart(filepath.Dir(end))
	}
	if err != nil {
		return nil, Peer{}, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", end)
	if err != nil {
		return nil, Peer{}, err
	}
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, Peer{}, errors.Join(ErrUnsupported, conn.Close())
	}
	peer, err := PeerOf(c)
	if err == nil {
		err = genuine(peer, owner(info))
	}
	if err != nil {
		return nil, Peer{}, errors.Join(err, conn.Close())
	}
	return conn, peer, nil
}

// genuine says whether the process that listens is of the file's owner.
func genuine(peer Peer, owner uint32) error {
	if peer.UID != owner {
		return fmt.Errorf("%w: it runs as user %d, the file belongs to user %d", ErrImpostor, peer.UID, owner)
	}
	return nil
}

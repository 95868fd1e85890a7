//go:build linux || darwin

package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/private"
)

// Listener is a listening socket. It is safe for concurrent use.
type Listener struct {
	*net.UnixListener
	users   []uint32
	refused func(uid uint32, err error)
	close   func() error
}

// Listen listens at path. Its folder, made if it is missing, must belong to the
// own user or root and be writable by nobody else. Errors: [ErrPath], [ErrInUse],
// [vault.ErrLoosePermissions] and those of the file system.
func Listen(path string, opts *Options) (_ *Listener, err error) {
	if opts == nil {
		opts = &Options{}
	}
	if err := CheckPath(path); err != nil {
		return nil, err
	}
	self := uint32(os.Geteuid()) //nolint:gosec // a uid of this system
	l := &Listener{users: append([]uint32{self}, opts.Users...), refused: opts.Refused}
	file, folder := os.FileMode(0o600), os.FileMode(0o700)
	if slices.ContainsFunc(opts.Users, func(uid uint32) bool { return uid != self }) {
		file, folder = 0o666, 0o711
	}
	if err := makeFolder(filepath.Dir(path), folder); err != nil {
		return nil, err
	}
	dir, info, err := way(filepath.Dir(path))
	if err == nil {
		err = ours(dir, owner(info), info.Mode(), self)
	}
	if err == nil {
		err = apart(dir)
	}
	if err != nil {
		return nil, err
	}
	path = filepath.Join(dir, filepath.Base(path))
	unlock, err := private.Lock(path+".lock", 0)
	if err != nil {
		if errors.Is(err, vault.ErrBusy) {
			err = fmt.Errorf("%w: %s", ErrInUse, path)
		}
		return nil, err
	}
	if err := l.bind(path, file, self); err != nil {
		return nil, errors.Join(err, unlock())
	}
	l.close = sync.OnceValue(func() error { return errors.Join(l.UnixListener.Close(), unlock()) })
	return l, nil
}

// bind makes the socket, in place of one that a dead process left. Between its
// making and its mode some may connect or not as the umask has it; who is let in
// is decided by Accept alone.
func (l *Listener) bind(path string, mode os.FileMode, self uint32) error {
	if err := removeDead(path, self); err != nil {
		return err
	}
	raw, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", path)
	if err != nil {
		return err
	}
	ln, ok := raw.(*net.UnixListener)
	if !ok {
		return errors.Join(ErrUnsupported, raw.Close())
	}
	ln.SetUnlinkOnClose(true)
	if err := os.Chmod(path, mode); err != nil {
		return errors.Join(err, ln.Close())
	}
	l.UnixListener = ln
	return nil
}

// makeFolder makes the last folder of the way, if it is missing.
func makeFolder(dir string, mode os.FileMode) error {
	if _, err := os.Lstat(dir); !missing(err) {
		return err
	}
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, os.ErrExist) { // another process was faster
		return nil
	}
	if err == nil && mode != 0o700 {
		err = os.Chmod(dir, mode)
	}
	return err
}

// ours says why a folder is not one to put the socket into.
func ours(dir string, uid uint32, mode os.FileMode, self uint32) error {
	switch {
	case !mode.IsDir():
		return &os.PathError{Op: "open", Path: dir, Err: syscall.ENOTDIR}
	case uid != 0 && uid != self:
		return loose("%s belongs to user %d, not to %d", dir, uid, self)
	default:
		return nil
	}
}

// removeDead removes a socket that nobody listens on any more.
func removeDead(path string, self uint32) error {
	info, err := os.Lstat(path)
	if missing(err) {
		return nil
	}
	if err == nil {
		err = isSocket(path, info)
	}
	if err != nil {
		return err
	}
	if uid := owner(info); uid != self {
		return loose("%s belongs to user %d, not to %d", path, uid, self)
	}
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "unix", path)
	switch {
	case err == nil:
		return errors.Join(fmt.Errorf("%w: %s", ErrInUse, path), conn.Close())
	case !errors.Is(err, syscall.ECONNREFUSED):
		return err
	}
	return os.Remove(path)
}

// Accept returns the next connection of a user that is let in. Others are closed
// before a byte of them is read.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		peer, err := PeerOf(c)
		if err == nil && slices.Contains(l.users, peer.UID) {
			return c, nil
		}
		_ = c.Close() // nothing was read or written that could be lost
		if l.refused != nil {
			l.refused(peer.UID, err)
		}
	}
}

// Close ends the listening, removes the file and lets another process listen.
func (l *Listener) Close() error { return l.close() }

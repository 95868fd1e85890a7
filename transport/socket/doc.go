// Package socket is a unix socket whose two ends know each other by user.
//
// The one rule: neither end reads or writes a byte before it knows, from the
// system and not from the other side, under which user the other end runs, and
// that this is a user it wants.
//
//	ln, err := socket.Listen("/run/coatcheck/desk.sock", &socket.Options{Users: []uint32{1001}})
//	for {
//		conn, err := ln.Accept() // of the own user or 1001; others were turned away
//	}
//
//	conn, peer, err := socket.Dial(ctx, "/run/coatcheck/desk.sock")
//	// peer.UID owns the socket's file, and no third user could have put it there
//
// # Who may connect
//
// The listener asks the system for the user of each connection
// ([SO_PEERCRED], LOCAL_PEERCRED on macOS) and closes those of others unread.
// The mode of the file is the second line: 0600 for the own user alone, 0666
// as soon as there are others. 0660 was rejected, since it gives every listed
// user a group in common with the desk, and with it whatever else that group
// may do. On these systems the right to write to a socket's file is the right to
// connect and nothing more, so 0666 lets nobody replace it.
//
// # Who may answer
//
// A client sends its key to whoever listens. So Dial walks from / to the file
// and wants every folder to belong to root, to the file's owner or to the own
// user, and to be writable by nobody else; below a folder such as /tmp, where
// all may write, what comes next must belong to root or to the own user, because
// anybody could have put it there while the desk was down. The folder that holds
// the socket may not be of that kind at all. Symbolic links are followed by the
// same rule. Then the process that listens must run as the owner of the file.
//
// # Making and removing
//
// The last folder is made if it is missing. Beside the socket stands NAME.lock,
// which a listener holds locked for as long as it lives and which stays behind: a
// lock file that is removed can be held twice. A socket that a dead process left
// is replaced under that lock; one that answers is left alone ([ErrInUse]).
//
// # What it does not do
//
// It proves users, not programs: whoever can become the desk's user, or root, is
// the desk. It authenticates no agent; credentials are the business of the
// protocol on top. Windows has no such check and is refused ([ErrUnsupported]).
//
// [SO_PEERCRED]: https://man7.org/linux/man-pages/man7/unix.7.html
package socket

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// The errors of this package. A way or a file that others could have made is
// [github.com/coatcheck-dev/coatcheck/vault.ErrLoosePermissions].
var (
	// ErrUnsupported: this system cannot tell who is at the other end. Use TCP
	// with TLS.
	ErrUnsupported = errors.New("a unix socket that checks its users needs Linux or macOS")
	// ErrInUse: something listens there already. Stop it, or choose another path.
	ErrInUse = errors.New("another process listens on this socket")
	// ErrImpostor: what listens does not run as the owner of the file. Nothing
	// was sent. Find out who put the file there.
	ErrImpostor = errors.New("the socket is served by another user than the one it belongs to")
	// ErrPath: the path cannot be that of a socket.
	ErrPath = errors.New("not the path of a socket")
)

// MaxPath is the longest path, in bytes: macOS has room for no more, Linux for
// four more.
const MaxPath = 103

// Peer is the process at the other end, as it was when it connected or began to
// listen.
type Peer struct {
	UID uint32 // its effective user
	PID int    // 0 where the system does not tell, or tells a process of another namespace
}

// CheckPath says whether path can be that of a socket: absolute, clean and at
// most [MaxPath] bytes. The error is [ErrPath] with a reason.
func CheckPath(path string) error {
	switch {
	case !filepath.IsAbs(path) || strings.ContainsRune(path, 0):
		return fmt.Errorf("%w: it does not start at /", ErrPath)
	case filepath.Clean(path) != path || path == "/":
		return fmt.Errorf("%w: write it without . and .. and double or trailing slashes", ErrPath)
	case len(path) > MaxPath:
		return fmt.Errorf("%w: it is longer than %d bytes", ErrPath, MaxPath)
	default:
		return nil
	}
}

// Options of [Listen]. The zero Options work.
type Options struct {
	// Users may connect, beside the own user.
	Users []uint32
	// Refused is told of each connection that was closed unread: the user, and
	// an error if the system did not say which. Nil: nobody is told. It is called
	// from Accept.
	Refused func(uid uint32, err error)
}

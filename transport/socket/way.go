//go:build linux || darwin

package socket

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// maxLinks is how many symbolic links a way may have, as in Linux.
const maxLinks = 40

// open are the mode bits that let others change what is in a folder.
const open = 0o022

// way walks from / to path and returns where it ends, without links, and what
// is there. Errors: [vault.ErrLoosePermissions] when somebody but root, the
// owner of what is there and the own user could have put it there, and those of
// the file system, [fs.ErrNotExist] above all.
func way(path string) (end string, info fs.FileInfo, err error) {
	self := uint32(os.Geteuid())  //nolint:gosec // a uid of this system
	passed := map[uint32]string{} // whose folders were passed, and one of them
	at, rest, links := "/", split(path), 0
	for {
		folder, err := os.Lstat(at)
		if err != nil {
			return "", nil, err
		}
		if len(rest) == 0 {
			end, info = at, folder
			break
		}
		uid := owner(folder)
		sticky := folder.Mode()&os.ModeSticky != 0
		switch {
		case !folder.IsDir():
			return "", nil, &fs.PathError{Op: "open", Path: at, Err: syscall.ENOTDIR}
		case folder.Mode().Perm()&open != 0 && !sticky:
			return "", nil, loose("%s can be changed by others; run: chmod go-w '%s'", at, at)
		}
		passed[uid] = at
		if rest[0] == ".." { // of a link
			at, rest = filepath.Dir(at), rest[1:]
			continue
		}
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		entry, err := os.Lstat(next)
		if err != nil {
			return "", nil, err
		}
		if made := owner(entry); folder.Mode().Perm()&open != 0 && made != 0 && made != self {
			return "", nil, loose("anybody may write to %s, and user %d made %s; choose a folder such as /run", at, made, next)
		}
		if entry.Mode()&os.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ELOOP}
		}
		to, err := os.Readlink(next)
		if err != nil {
			return "", nil, err
		}
		if filepath.IsAbs(to) {
			at = "/"
		}
		rest = append(split(to), rest...)
	}
	for uid, folder := range passed {
		if uid != 0 && uid != self && uid != owner(info) {
			return "", nil, loose("%s belongs to user %d, who could replace what is below", folder, uid)
		}
	}
	return end, info, nil
}

func split(path string) []string {
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	return parts
}

func loose(format string, args ...any) error {
	return fmt.Errorf("%w: %s", vault.ErrLoosePermissions, fmt.Sprintf(format, args...))
}

// owner returns whose a file is.
func owner(info fs.FileInfo) uint32 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Uid
	}
	return ^uint32(0) // nobody's: never trusted
}

// isSocket says why what is there is not one.
func isSocket(path string, info fs.FileInfo) error {
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%w: something else is at %s", ErrPath, path)
	}
	return nil
}

// apart says why a folder is not one for a socket: where all may write, whoever
// comes first has the name.
func apart(dir string) error {
	info, err := os.Lstat(dir)
	if err == nil && info.Mode().Perm()&open != 0 {
		err = loose("others may write to %s; the socket wants a folder of its own", dir)
	}
	return err
}

// missing reports that err says that there is nothing.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

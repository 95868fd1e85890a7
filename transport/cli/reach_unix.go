//go:build unix

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

func ownUID() uint32 { return uint32(os.Geteuid()) } //nolint:gosec // a uid of this system

// openFiles tries what should be closed to this user and says what is not, or
// what could not be tried, which proves nothing.
func openFiles(private []string, program string) (bad []string) {
	if len(private) == 0 {
		bad = append(bad, "the desk does not say where its home is")
	}
	for _, path := range private {
		if !filepath.IsAbs(path) {
			bad = append(bad, "the desk names a file without its folder")
			continue
		}
		f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // that it can be opened is what is asked
		switch {
		case err == nil:
			_ = f.Close() // nothing was read
			bad = append(bad, fmt.Sprintf("this user can read %s", path))
		case !errors.Is(err, fs.ErrPermission):
			bad = append(bad, fmt.Sprintf("%s cannot be tried from here (the desk may run in a container)", path))
		case writable(path):
			bad = append(bad, fmt.Sprintf("this user can write to %s", path))
		}
	}
	if len(private) > 0 && filepath.IsAbs(private[0]) {
		bad = append(bad, replaceable(private[0])...)
	}
	_, err := os.Stat(program)
	switch {
	case program == "":
		bad = append(bad, "the desk does not say which program it is")
	case !filepath.IsAbs(program):
		bad = append(bad, "the desk names its program without a folder")
	case err != nil && !errors.Is(err, fs.ErrPermission):
		bad = append(bad, fmt.Sprintf("the desk's program %s cannot be tried from here (the desk may run in a container)", program))
	case writable(program):
		bad = append(bad, fmt.Sprintf("this user can change the desk's program %s", program))
	default:
		bad = append(bad, replaceable(program)...)
	}
	return bad
}

// replaceable names the folders on the way to path in which this user could put
// something else in its place.
func replaceable(path string) (bad []string) {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		switch {
		case err != nil: // further up it shows whether that can be changed
		case writable(dir) && (info.Mode()&os.ModeSticky == 0 || ownerOf(info) == ownUID()):
			bad = append(bad, fmt.Sprintf("this user can replace what is in %s", dir))
		}
		if dir == filepath.Dir(dir) {
			return bad
		}
	}
}

func ownerOf(info fs.FileInfo) uint32 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Uid
	}
	return ownUID()
}

func writable(path string) bool {
	return unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS) == nil
}

// openProcess says how far this user gets with the process of the desk. Only
// Linux shows processes as files; elsewhere the system keeps those of other users
// apart, and there is nothing to try.
func openProcess(pid int) (bad []string) {
	switch {
	case runtime.GOOS != "linux":
		return nil
	case pid == 0:
		return []string{"the system does not tell which process the desk is, so that cannot be tried from here"}
	}
	for _, part := range []string{"environ", "mem"} {
		path := fmt.Sprintf("/proc/%d/%s", pid, part)
		f, err := os.Open(path) //nolint:gosec // that it can be opened is what is asked
		if err == nil {
			_ = f.Close() // nothing was read
			bad = append(bad, "this user can read "+path)
		}
	}
	return bad
}

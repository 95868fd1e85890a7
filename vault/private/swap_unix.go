//go:build unix

package private

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// like gives an open file the mode of another and, where that is somebody else's,
// its owner: root must not take a user's file away.
func like(f *os.File, info fs.FileInfo) error {
	var owner error
	now, err := f.Stat()
	if err != nil {
		return err
	}
	have, ok := now.Sys().(*syscall.Stat_t)
	want, ok2 := info.Sys().(*syscall.Stat_t)
	if ok && ok2 && (have.Uid != want.Uid || have.Gid != want.Gid) {
		owner = f.Chown(int(want.Uid), int(want.Gid))
	}
	return errors.Join(owner, f.Chmod(info.Mode().Perm()))
}

// names is how many names a file has.
func names(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Nlink) //nolint:unconvert // 16 bits on macOS
	}
	return 1
}

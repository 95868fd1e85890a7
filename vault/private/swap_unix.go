//go:build unix

package private

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// like gives a file the mode of another and, where that is somebody else's, its
// owner: root must not take a user's file away.
func like(path string, info fs.FileInfo) error {
	var owner error
	now, err := os.Stat(path)
	if err != nil {
		return err
	}
	have, ok := now.Sys().(*syscall.Stat_t)
	want, ok2 := info.Sys().(*syscall.Stat_t)
	if ok && ok2 && (have.Uid != want.Uid || have.Gid != want.Gid) {
		owner = os.Chown(path, int(want.Uid), int(want.Gid))
	}
	return errors.Join(owner, os.Chmod(path, info.Mode().Perm()))
}

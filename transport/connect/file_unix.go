//go:build unix

package connect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// sameOwner gives f the owner of info, where it has another: root must not
// take a user's file away.
func sameOwner(f *os.File, info fs.FileInfo) error {
	now, err := f.Stat()
	if err != nil {
		return err
	}
	have, ok := now.Sys().(*syscall.Stat_t)
	want, ok2 := info.Sys().(*syscall.Stat_t)
	if !ok || !ok2 || have.Uid == want.Uid && have.Gid == want.Gid {
		return nil
	}
	return f.Chown(int(want.Uid), int(want.Gid))
}

// closed refuses a file that others may read.
func closed(path string, info fs.FileInfo) error {
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%w: %s is to hold a key and has mode %04o; run: chmod 600 '%s'", vault.ErrLoosePermissions, path, info.Mode().Perm(), path)
	}
	return nil
}

// syncDir makes a rename last.
func syncDir(path string) error {
	d, err := os.Open(path) //nolint:gosec // a folder
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

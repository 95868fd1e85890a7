//go:build unix

package private

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// CheckFile accepts a regular file that belongs to this user and gives no
// right to group or others. A symbolic link is followed; what it leads to is
// checked. Errors: [vault.ErrLoosePermissions], [fs.ErrNotExist].
func CheckFile(path string) error {
	return check(path, false, 0o077, "chmod 600")
}

// CheckDir is [CheckFile] for a folder.
func CheckDir(path string) error {
	return check(path, true, 0o077, "chmod 700")
}

// CheckOwned accepts a file of this user or root that nobody else can change;
// others may read it. Configuration and policy are such files.
func CheckOwned(path string) error {
	return check(path, false, 0o022, "chmod go-w")
}

func check(path string, dir bool, forbidden fs.FileMode, remedy string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return judge(path, info, dir, forbidden, remedy)
}

// checkOpen is [CheckFile] for a file that is open already.
func checkOpen(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return judge(f.Name(), info, false, 0o077, "chmod 600")
}

func judge(path string, info fs.FileInfo, dir bool, forbidden fs.FileMode, remedy string) error {
	if info.IsDir() != dir || !dir && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a %s", path, kind(dir))
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%w: cannot tell who owns %s", vault.ErrLoosePermissions, path)
	}
	if uid := os.Geteuid(); int(stat.Uid) != uid && (stat.Uid != 0 || forbidden&0o044 != 0) {
		return fmt.Errorf("%w: %s belongs to user %d, not to %d", vault.ErrLoosePermissions, path, stat.Uid, uid)
	}
	if info.Mode().Perm()&forbidden != 0 {
		return fmt.Errorf("%w: %s has mode %04o; run: %s '%s'", vault.ErrLoosePermissions, path, info.Mode().Perm(), remedy, path)
	}
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path) //nolint:gosec // the folder of a file that the caller names
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

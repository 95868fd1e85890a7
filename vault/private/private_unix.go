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

// noWait keeps the opening of a pipe from blocking.
const noWait = syscall.O_NONBLOCK

// demand is what is asked of a file: the mode bits that it may not have.
type demand fs.FileMode

const (
	private demand = 0o077
	owned   demand = 0o022
)

// remedy is the command that makes a file or folder pass.
func (d demand) remedy(dir bool) string {
	switch {
	case d == owned:
		return "chmod go-w"
	case dir:
		return "chmod 700"
	default:
		return "chmod 600"
	}
}

// CheckFile accepts a regular file that belongs to this user and gives no
// right to group or others. A symbolic link is followed; what it leads to is
// checked. Errors: [vault.ErrLoosePermissions], [fs.ErrNotExist].
func CheckFile(path string) error { return check(path, false, private) }

// CheckDir is [CheckFile] for a folder.
func CheckDir(path string) error { return check(path, true, private) }

// CheckOwned accepts a file of this user or root that nobody else can change;
// others may read it. Configuration and policy are such files. Who goes on to
// read it wants [OpenOwned].
func CheckOwned(path string) error { return check(path, false, owned) }

func check(path string, dir bool, d demand) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return judge(path, info, dir, d)
}

// checkOpen is check for a file that is open already.
func checkOpen(f *os.File, d demand) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return judge(f.Name(), info, false, d)
}

func judge(path string, info fs.FileInfo, dir bool, d demand) error {
	if err := checkKind(path, info, dir); err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%w: cannot tell who owns %s", vault.ErrLoosePermissions, path)
	}
	if uid := os.Geteuid(); int(stat.Uid) != uid && (stat.Uid != 0 || d == private) {
		return fmt.Errorf("%w: %s belongs to user %d, not to %d", vault.ErrLoosePermissions, path, stat.Uid, uid)
	}
	if info.Mode().Perm()&fs.FileMode(d) != 0 {
		return fmt.Errorf("%w: %s has mode %04o; run: %s '%s'", vault.ErrLoosePermissions, path, info.Mode().Perm(), d.remedy(dir), path)
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

// linkless reports whether err says that there are no hard links: Linux answers
// EPERM (link(2)), others ENOTSUP.
func linkless(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS)
}

//go:build darwin || freebsd

package sqldb

import "golang.org/x/sys/unix"

// onNetwork reports whether a folder lies on a filesystem that the kernel does
// not call local.
func onNetwork(dir string) (bool, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return false, err
	}
	return s.Flags&unix.MNT_LOCAL == 0, nil
}

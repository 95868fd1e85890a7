package sqldb

import "golang.org/x/sys/unix"

// Numbers of linux/magic.h style that x/sys does not have.
const (
	lustreMagic = 0x0bd00bd0
	gfs2Magic   = 0x01161970
)

// onNetwork reports whether a folder lies on a filesystem that other hosts may
// mount too.
func onNetwork(dir string) (bool, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return false, err
	}
	return networkMagic(uint32(s.Type)), nil //nolint:gosec // the kernel's numbers have 32 bits
}

// networkMagic judges the type that statfs(2) names. FUSE is let through: most
// of what uses it is local and its number does not tell.
func networkMagic(magic uint32) bool {
	switch magic {
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.V9FS_MAGIC,
		unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC, unix.CEPH_SUPER_MAGIC, unix.CODA_SUPER_MAGIC, unix.NCP_SUPER_MAGIC,
		unix.OCFS2_SUPER_MAGIC, gfs2Magic, lustreMagic:
		return true
	default:
		return false
	}
}

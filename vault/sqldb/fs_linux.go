package sqldb

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// SMB2 has no constant in x/sys; the number is in linux/magic.h.
const smb2Magic = 0xfe534d42

// refuseNetworkFilesystem refuses filesystems whose locks SQLite's write-ahead
// log cannot rely on (sqlite.org/wal.html: all processes on one host).
func refuseNetworkFilesystem(dir string) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return mapError(err)
	}
	switch uint32(s.Type) {
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, smb2Magic, unix.CIFS_SUPER_MAGIC, unix.V9FS_MAGIC, unix.AFS_SUPER_MAGIC, unix.CEPH_SUPER_MAGIC:
		return fmt.Errorf("%w: %s", vault.ErrNetworkFilesystem, dir)
	default:
		return nil
	}
}

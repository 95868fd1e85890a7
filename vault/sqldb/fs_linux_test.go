package sqldb_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func TestNetworkMagic(t *testing.T) {
	for magic, want := range map[uint32]bool{
		unix.NFS_SUPER_MAGIC: true, unix.SMB_SUPER_MAGIC: true, unix.SMB2_SUPER_MAGIC: true, unix.CIFS_SUPER_MAGIC: true,
		unix.V9FS_MAGIC: true, unix.CEPH_SUPER_MAGIC: true, unix.AFS_SUPER_MAGIC: true, 0x0bd00bd0: true,
		unix.EXT4_SUPER_MAGIC: false, unix.BTRFS_SUPER_MAGIC: false, unix.XFS_SUPER_MAGIC: false, unix.TMPFS_MAGIC: false,
		unix.OVERLAYFS_SUPER_MAGIC: false, unix.FUSE_SUPER_MAGIC: false,
	} {
		if got := sqldb.NetworkMagic(magic); got != want {
			t.Errorf("%#x: got %v", magic, got)
		}
	}
	if remote, err := sqldb.OnNetwork(t.TempDir()); remote || err != nil {
		t.Errorf("temporary folder: %v, %v", remote, err)
	}
	if _, err := sqldb.OnNetwork("/no/such/folder"); err == nil {
		t.Error("a folder that is not there was judged")
	}
}

//go:build unix

package private_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault/private"
)

func TestMutexIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	m, err := private.OpenMutex(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

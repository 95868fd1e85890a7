package private_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/private"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := private.Lock(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := private.Lock(path, time.Millisecond); !errors.Is(err, vault.ErrBusy) {
		t.Errorf("a second one: %v", err)
	}
	taken := make(chan error)
	go func() {
		second, err := private.Lock(path, time.Minute)
		if err == nil {
			err = second()
		}
		taken <- err
	}()
	if err := unlock(); err != nil {
		t.Error(err)
	}
	if err := <-taken; err != nil {
		t.Errorf("after the first: %v", err)
	}
	if _, err := private.Lock(filepath.Join(path, "below"), 0); err == nil {
		t.Error("a lock where there is no folder")
	}
}

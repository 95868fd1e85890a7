package private_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault/private"
)

func TestMutex(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *private.Mutex {
		t.Helper()
		m, err := private.OpenMutex(path)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	try := func(m *private.Mutex, want bool) {
		t.Helper()
		if got, err := m.TryLock(); got != want || err != nil {
			t.Fatalf("got %v %v, want %v", got, err, want)
		}
	}
	one, two := open(), open()
	defer func() { _ = two.Close() }()
	try(one, true)
	try(two, false)
	taken := make(chan error)
	go func() { taken <- two.Lock() }()
	if err := one.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := <-taken; err != nil {
		t.Fatal(err)
	}
	try(one, false)
	if err := two.Unlock(); err != nil {
		t.Fatal(err)
	}
	try(one, true)
	if err := one.Close(); err != nil { // which unlocks
		t.Fatal(err)
	}
	try(two, true)
	if err := one.Lock(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
	if _, err := private.OpenMutex(filepath.Join(path, "below")); err == nil {
		t.Error("a lock where there is no folder")
	}
}

package cli_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/cli"
)

// TestAnchorIsReplacedByOneAtATime: nobody writes over what another wrote
// after it was read.
func TestAnchorIsReplacedByOneAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 5 {
				err := cli.Anchor(path).Update(func(old []byte) ([]byte, error) {
					if old == nil {
						old = []byte("0")
					}
					var n int
					_, err := fmt.Sscan(string(old), &n)
					return fmt.Append(nil, n+1), err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	before := status(t, path)
	boom := errors.New("boom")
	if err := cli.Anchor(path).Update(func([]byte) ([]byte, error) { return []byte("x"), boom }); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	if err := cli.Anchor(path).Update(func(old []byte) ([]byte, error) { return old, nil }); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "20" || !os.SameFile(before, status(t, path)) {
		t.Errorf("%q, %v", text, err)
	}
}

func status(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

//go:build unix

package sqldb_test

import (
	"errors"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// TestFrozenHolder: a process that was stopped with the turn costs the others
// their time and no more; nothing is left of their waits once it goes on.
func TestFrozenHolder(t *testing.T) {
	path := filepath.Join(privateDir(t), "x.db")
	db := openAt(t, path) // gives up after 50 ms
	p := startProcess(t, order{Path: path, Name: 100, Hold: true})
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := db.Update(t.Context(), insert(i)); !errors.Is(err, vault.ErrBusy) {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	if got := count(t, db); got != 0 { // reading does not wait
		t.Errorf("%d rows", got)
	}
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p.end(t)
	if err := db.Update(t.Context(), insert(1)); err != nil {
		t.Error(err)
	}
}

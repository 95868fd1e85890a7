//go:build unix

package embedded

import (
	"context"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// readInherited reads a descriptor that this process was started with, up to
// limit bytes, and closes it. One that the process opened itself, such as the
// database's, has the flag that keeps it from children; an inherited one cannot
// have it, since it came through exec.
func readInherited(ctx context.Context, fd, limit int) ([]byte, error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC != 0 {
		return nil, fmt.Errorf("%w: descriptor %d was not handed to this process; in a shell: coatcheck … %d< FILE", vault.ErrKeyMissing, fd, fd)
	}
	unix.CloseOnExec(fd)
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		f := os.NewFile(uintptr(fd), "passphrase")
		text, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
		_ = f.Close() // what was read counts
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done(): // a writer that never ends; the read stays with it
		return nil, ctx.Err()
	}
}

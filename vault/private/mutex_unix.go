//go:build unix

package private

import (
	"errors"
	"os"
	"syscall"
)

// mutex is an flock(2). Closing the file while a call still blocks on it is
// safe: Control keeps the descriptor's number from being used again, and the
// system drops the lock with the last reference to the open file.
type mutex struct {
	file *os.File
	raw  syscall.RawConn
}

func openMutex(path string) (m mutex, err error) {
	if m.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil { //nolint:gosec // the caller names the file
		return m, err
	}
	if m.raw, err = m.file.SyscallConn(); err != nil {
		return m, errors.Join(err, m.file.Close())
	}
	return m, nil
}

func (m mutex) flock(how int) (err error) {
	if closed := m.raw.Control(func(fd uintptr) {
		for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
			err = syscall.Flock(int(fd), how)
		}
	}); closed != nil {
		err = os.ErrClosed // the only reason there is
	}
	if err != nil {
		return &os.PathError{Op: "lock", Path: m.file.Name(), Err: err}
	}
	return nil
}

func (m mutex) try() (bool, error) {
	err := m.flock(syscall.LOCK_EX | syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

func (m mutex) wait() error    { return m.flock(syscall.LOCK_EX) }
func (m mutex) release() error { return m.flock(syscall.LOCK_UN) }
func (m mutex) close() error   { return m.file.Close() }

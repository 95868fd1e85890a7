package private

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/windows"
)

// mutex is LockFileEx on the first byte. The handle is one for overlapped calls,
// because only those can be called off when the Mutex is closed.
type mutex struct{ *state }

type state struct {
	path   string
	handle windows.Handle
	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup
}

func openMutex(path string) (mutex, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return mutex{}, err
	}
	h, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil, windows.OPEN_ALWAYS,
		windows.FILE_ATTRIBUTE_NORMAL|windows.FILE_FLAG_OVERLAPPED, 0)
	if err != nil {
		return mutex{}, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return mutex{&state{path: path, handle: h}}, nil
}

// call makes one overlapped call and waits for its end.
func (s *state) call(op func(*windows.Overlapped) error) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return &os.PathError{Op: "lock", Path: s.path, Err: os.ErrClosed}
	}
	s.calls.Add(1)
	s.mu.Unlock()
	defer s.calls.Done()
	event, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return err
	}
	at := &windows.Overlapped{HEvent: event}
	if err = op(at); errors.Is(err, windows.ERROR_IO_PENDING) {
		var n uint32
		err = windows.GetOverlappedResult(s.handle, at, &n, true)
	}
	runtime.KeepAlive(at)
	if err = errors.Join(err, windows.CloseHandle(event)); err != nil {
		return &os.PathError{Op: "lock", Path: s.path, Err: err}
	}
	return nil
}

func (s *state) lock(flags uint32) error {
	return s.call(func(at *windows.Overlapped) error {
		return windows.LockFileEx(s.handle, windows.LOCKFILE_EXCLUSIVE_LOCK|flags, 0, 1, 0, at)
	})
}

func (s *state) try() (bool, error) {
	err := s.lock(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

func (s *state) wait() error { return s.lock(0) }

func (s *state) release() error {
	return s.call(func(at *windows.Overlapped) error { return windows.UnlockFileEx(s.handle, 0, 1, 0, at) })
}

// close calls off what still waits, so that the handle is used by nobody.
func (s *state) close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return os.ErrClosed
	}
	s.closed = true
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.calls.Wait()
		close(done)
	}()
	for { // again, for a call that had not begun to wait
		_ = windows.CancelIoEx(s.handle, nil) // fails when nothing waits
		select {
		case <-done:
			return windows.CloseHandle(s.handle)
		case <-time.After(time.Millisecond):
		}
	}
}

package private

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// lockPoll is the time between two looks at a lock that somebody holds.
const lockPoll = 5 * time.Millisecond

// Lock takes the lock that the file at path stands for, making it with mode
// 0600; others who call it, in this process or another, wait. The lock ends
// with unlock or with the process; the file stays. Waiting longer than wait is
// [vault.ErrBusy]; path must not be on a network filesystem.
func Lock(path string, wait time.Duration) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the caller names the file
	if err != nil {
		return nil, err
	}
	end := time.Now().Add(wait)
	for {
		err := tryLock(f)
		if err == nil {
			return f.Close, nil // which ends the lock
		}
		if !errors.Is(err, errLocked) {
			return nil, errors.Join(&os.PathError{Op: "lock", Path: path, Err: err}, f.Close())
		}
		if time.Now().After(end) {
			return nil, errors.Join(fmt.Errorf("%w: another process holds %s", vault.ErrBusy, path), f.Close())
		}
		time.Sleep(lockPoll)
	}
}

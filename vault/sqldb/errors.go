package sqldb

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// mapError turns the driver's errors into those of package vault. Detail is
// kept as text (%v): what SQLite says names tables and codes, never a bound value.
func mapError(err error) error {
	if err == nil {
		return nil
	}
	sentinel := sentinelOf(err)
	if sentinel == nil {
		return err
	}
	return fmt.Errorf("%w: %v", sentinel, err)
}

// endsTransaction reports whether err, from the driver, is damage or one of the
// errors after which SQLite may roll the transaction back by itself.
func endsTransaction(err error) bool {
	e, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return false
	}
	switch e.Code() & 0xff {
	case lib.SQLITE_FULL, lib.SQLITE_IOERR, lib.SQLITE_NOMEM, lib.SQLITE_BUSY, lib.SQLITE_INTERRUPT, lib.SQLITE_CORRUPT:
		return true
	default:
		return false
	}
}

func sentinelOf(err error) error {
	if e, ok := errors.AsType[*driver.Error](err); ok {
		if e.Code() == lib.SQLITE_IOERR_SHMSIZE { // sqlite.org/rescode.html: it may be out of space
			return vault.ErrStorageFull
		}
		switch e.Code() & 0xff { // primary result code
		case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_PROTOCOL: // the last: it lost the race for a snapshot for seconds
			return vault.ErrBusy
		case lib.SQLITE_FULL:
			return vault.ErrStorageFull
		case lib.SQLITE_IOERR:
			return vault.ErrStorageFailed
		case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN, lib.SQLITE_PERM:
			return vault.ErrReadOnly
		case lib.SQLITE_CORRUPT:
			return vault.ErrCorrupt
		case lib.SQLITE_NOTADB:
			return vault.ErrForeign
		default:
			return nil
		}
	}
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return vault.ErrReadOnly
	case errors.Is(err, syscall.ENOSPC):
		return vault.ErrStorageFull
	default:
		return nil
	}
}

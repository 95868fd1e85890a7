// Package private keeps files to their owner.
//
// The one rule: what it accepts can be read and changed by the owner (and
// root) only. Nothing is repaired in silence: a loose file is refused, with
// the command that tightens it.
//
//	if err := private.CheckFile(keyPath); err != nil { … }
//	err := private.WriteFile(keyPath, data)
package private

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// WriteFile replaces path by a file of mode 0600 with the given content, all
// or nothing: it writes beside it, syncs, renames and syncs the folder. A kill
// may leave the file beside it, which nothing reads.
func WriteFile(path string, data []byte) error {
	next, err := beside(path, data, nil)
	if err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return syncDir(filepath.Dir(path))
}

// beside writes data to a new file of mode 0600 in the folder of path, named
// ".NAME-" and a random number, and syncs it. dress, if any, gives it its mode
// and owner: by the open file, since whoever may write to the folder can put a
// link in place of the name.
func beside(path string, data []byte, dress func(*os.File) error) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return "", err
	}
	if dress != nil {
		if err := dress(f); err != nil {
			return "", errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}
	if err := fill(f, data); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// fill writes, syncs and closes f.
func fill(f *os.File, data []byte) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// checkKind accepts a folder or a regular file.
func checkKind(path string, info os.FileInfo, dir bool) error {
	switch {
	case dir && !info.IsDir():
		return fmt.Errorf("%s is not a folder", path)
	case !dir && !info.Mode().IsRegular():
		return fmt.Errorf("%s %w", path, ErrNotRegular)
	}
	return nil
}

// ErrNotRegular means that there is a folder, a pipe, a device or a socket where a file
// should be. Name a file.
var ErrNotRegular = errors.New("is not a regular file")

// CreateFile is [WriteFile] for a file that must not exist yet; when it does,
// it is left alone and the error is [fs.ErrExist]. Of several callers at the
// same time one makes the file, and nobody sees a part of it. It writes beside
// it, syncs, links that to path, removes the first name and syncs the folder.
//
// Where the file system has no hard links (FAT, some network shares), the file
// is made under its own name: still by one caller only, but a kill may leave a
// part of it. A rename was rejected there, since it would replace the file that
// another caller has just made and already uses.
func CreateFile(path string, data []byte) error {
	next, err := beside(path, data, nil)
	if err != nil {
		return err
	}
	err = os.Link(next, path)
	if e := os.Remove(next); e != nil {
		return errors.Join(err, e)
	}
	if linkless(err) {
		err = createInPlace(path, data)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// createInPlace is what CreateFile does without links.
func createInPlace(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the caller names the file
	if err != nil {
		return err
	}
	if err := fill(f, data); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// ReadFile reads a file of at most limit bytes that [CheckFile] accepts. What
// is read is what was checked, also when the path changes in between.
func ReadFile(path string, limit int) ([]byte, error) {
	f, err := open(path, private)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(data) > limit {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return data, nil
}

// OpenOwned opens for reading a file that [CheckOwned] accepts. What is opened
// is what was checked, also when the path changes in between. The caller closes
// the file.
func OpenOwned(path string) (*os.File, error) { return open(path, owned) }

// OpenRegular opens for reading a regular file, whoever it belongs to. Like
// [OpenOwned], and unlike os.Open, it never waits for the other end of a pipe.
// Errors: [ErrNotRegular] and those of os.Open.
func OpenRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := checkKind(path, info, false); err != nil {
		return nil, err
	}
	return openAnd(path, func(f *os.File) error {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		return checkKind(path, info, false)
	})
}

// open opens a file and then checks what it opened. The check by name comes
// first for its errors, and because opening a device may do something.
func open(path string, d demand) (*os.File, error) {
	if err := check(path, false, d); err != nil {
		return nil, err
	}
	return openAnd(path, func(f *os.File) error { return checkOpen(f, d) })
}

func openAnd(path string, check func(*os.File) error) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|noWait, 0) //nolint:gosec // the caller names the file
	if err != nil {
		return nil, err
	}
	if err := check(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

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
// or nothing: it writes beside it, syncs, renames and syncs the folder.
func WriteFile(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func kind(dir bool) string {
	if dir {
		return "folder"
	}
	return "regular file"
}

// CreateFile is [WriteFile] for a file that must not exist yet; when it does,
// it is left alone and the error is [fs.ErrExist].
func CreateFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the caller names the file
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return syncDir(filepath.Dir(path))
}

// ReadFile reads a file of at most limit bytes that [CheckFile] accepts. What
// is read is what was checked, also when the path changes in between.
func ReadFile(path string, limit int) ([]byte, error) {
	if err := CheckFile(path); err != nil { // first, because opening a pipe would block
		return nil, err
	}
	f, err := os.Open(path) //nolint:gosec // the caller names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if err := checkOpen(f); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(data) > limit {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return data, nil
}

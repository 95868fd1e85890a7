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

package connect

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// maxBackups is how many backups of one file there may be.
const maxBackups = 1000

// Apply writes a change that [Plan] made, and returns the path of the copy it
// made of the file as it was: "" when there was none, or nothing to do.
//
// The copy stands beside Change.Path as NAME.bak, NAME.bak.2 and so on, never
// over another, with the mode of the file. The new content is written beside
// the file that is meant, links followed, and renamed over it, so that it is
// there as a whole or not at all; it has the old one's mode and owner. A new
// file is 0600, and missing folders are made 0700.
//
// Errors: [ErrChanged] when the file is not what Plan read, [ErrReadOnly],
// [vault.ErrLoosePermissions] when a key would go into a file that others can
// read, and those of the file system. After an error the file is as it was; there may be
// a backup.
func Apply(c Change) (backup string, err error) {
	if !c.Needed() {
		return "", nil
	}
	if c.Created {
		return "", create(c)
	}
	target, err := filepath.EvalSymlinks(c.Path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(target)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o200 == 0 {
		return "", fmt.Errorf("%w: %s", ErrReadOnly, target)
	}
	if c.Secret {
		if err := closed(target, info); err != nil {
			return "", err
		}
	}
	if err := unchanged(target, c.Before); err != nil {
		return "", err
	}
	if backup, err = keep(c.Path, c.Before, info); err != nil {
		return "", fmt.Errorf("no backup, nothing changed: %w", err)
	}
	next, err := beside(target, c.After, info)
	if err != nil {
		return backup, err
	}
	// Clients write these files too; asked again, as late as can be.
	if err = unchanged(target, c.Before); err == nil {
		err = os.Rename(next, target)
	}
	if err != nil {
		return backup, errors.Join(err, os.Remove(next))
	}
	return backup, syncDir(filepath.Dir(target))
}

// create makes a file that was not there.
func create(c Change) error {
	dir := filepath.Dir(c.Path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	next, err := beside(c.Path, c.After, nil)
	if err != nil {
		return err
	}
	if _, err = os.Lstat(c.Path); err == nil {
		err = fmt.Errorf("%w: %s", ErrChanged, c.Path)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = os.Rename(next, c.Path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return syncDir(dir)
}

func unchanged(path string, before []byte) error {
	now, err := read(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(now, before) {
		return fmt.Errorf("%w: %s", ErrChanged, path)
	}
	return nil
}

// keep writes the backup.
func keep(path string, content []byte, info fs.FileInfo) (string, error) {
	for n := 1; n <= maxBackups; n++ {
		name := path + ".bak"
		if n > 1 {
			name += "." + strconv.Itoa(n)
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // beside the file that is to change
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		if err := fill(f, content, info); err != nil {
			return "", errors.Join(err, os.Remove(name))
		}
		return name, nil
	}
	return "", fmt.Errorf("there are %d backups of %s already", maxBackups, path)
}

// beside writes content to a new file in the folder of path.
func beside(path string, content []byte, info fs.FileInfo) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // 0600
	if err != nil {
		return "", err
	}
	if err := fill(f, content, info); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// fill gives f content, and the mode and owner of info unless that is nil, and
// closes it.
func fill(f *os.File, content []byte, info fs.FileInfo) error {
	_, err := f.Write(content)
	if err == nil && info != nil {
		err = errors.Join(sameOwner(f, info), f.Chmod(info.Mode().Perm()))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

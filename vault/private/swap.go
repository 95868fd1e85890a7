package private

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrChanged means that the file no longer holds what it held when the change was made
// ready. It is left as it is; read it again.
var ErrChanged = errors.New("the file was changed meanwhile")

// Swap is new content for a file of the user's, written and synced beside it and
// not yet in its place. Committing it is a rename, so that what could fail has
// failed before.
type Swap struct {
	path   string // links followed
	next   string
	before []byte
}

// NewSwap makes after ready to take the place of before, which the file at path
// holds. The new file has the mode and the owner of the old one. Of the
// old content nothing is kept anywhere: a file with hard links is refused. Errors:
// [ErrChanged], [fs.ErrPermission] for a file that its owner may not write.
func NewSwap(path string, before, after []byte) (*Swap, error) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(target)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s %w", target, ErrNotRegular)
	case info.Mode().Perm()&0o200 == 0:
		return nil, &fs.PathError{Op: "rewrite", Path: target, Err: fs.ErrPermission}
	case names(info) > 1:
		return nil, fmt.Errorf("%s has another name (a hard link), which would keep what it holds", target)
	}
	s := &Swap{path: target, before: before}
	if err := s.unchanged(); err != nil {
		return nil, err
	}
	s.next, err = beside(target, after, func(f *os.File) error { return like(f, info) })
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Swap) unchanged() error {
	f, err := OpenRegular(s.path)
	if err != nil {
		return err
	}
	now, err := io.ReadAll(io.LimitReader(f, int64(len(s.before))+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if !bytes.Equal(now, s.before) {
		return fmt.Errorf("%s: %w", s.path, ErrChanged)
	}
	return nil
}

// Commit puts the new content in its place, whole. When it fails the file is
// as it was and nothing is left beside it.
func (s *Swap) Commit() error {
	err := s.unchanged()
	if err == nil {
		err = os.Rename(s.next, s.path)
	}
	if err != nil {
		return errors.Join(err, s.Discard())
	}
	return syncDir(filepath.Dir(s.path))
}

// Discard removes the new content.
func (s *Swap) Discard() error { return os.Remove(s.next) }

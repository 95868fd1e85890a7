package cli

import (
	"bytes"
	"errors"
	"io/fs"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault/private"
)

// anchor is the file that keeps the newest signed checkpoint of the audit log
// outside the database. A file beside it, .lock, keeps processes apart.
type anchor string

const (
	anchorLimit = 4096             // bytes; a checkpoint is a few hundred
	anchorWait  = 10 * time.Second // for another process, which signs meanwhile
)

// read returns the checkpoint, nil when there is no file.
func (a anchor) read() ([]byte, error) {
	text, err := private.ReadFile(string(a), anchorLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// Update hands the checkpoint kept so far to fn and keeps the one it returns,
// while no other process does the same. When fn fails nothing is written.
func (a anchor) Update(fn func(old []byte) (signed []byte, err error)) (err error) {
	unlock, err := private.Lock(string(a)+".lock", anchorWait)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	old, err := a.read()
	if err != nil {
		return err
	}
	signed, err := fn(old)
	if err != nil || bytes.Equal(old, signed) {
		return err
	}
	return private.WriteFile(string(a), signed)
}

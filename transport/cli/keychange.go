package cli

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault/private"
)

// keyChange is a change of the key source that is under way, kept in the home's
// file rekey from before the switch until config.yaml says the same.
type keyChange struct {
	To   string `json:"to"`   // URI of the new source
	Mark string `json:"mark"` // of the keyset that it sealed (embedded.SealedBy)
}

func (h home) change() string  { return filepath.Join(string(h), "rekey") }
func (h home) keyLock() string { return filepath.Join(string(h), "key.lock") }

// readChange returns nil when none is under way.
func (h home) readChange() (*keyChange, error) {
	text, err := private.ReadFile(h.change(), maxConfigBytes)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var c keyChange
	if err := json.Unmarshal(text, &c); err != nil || c.To == "" {
		return nil, &policy.SyntaxError{File: h.change(), Line: 1, Column: 1, Msg: "it is not what 'coatcheck rekey' writes", Hint: "put it back, or remove it if key_source is right"}
	}
	return &c, nil
}

func (h home) writeChange(c keyChange) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return private.WriteFile(h.change(), append(text, '\n'))
}

// endChange says in config.yaml what the change under way has come to, and ends it.
func (h home) endChange(uri string, keep bool) error {
	if keep {
		if err := h.configureKey(uri, false); err != nil {
			return err
		}
	}
	err := os.Remove(h.change())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/private"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

const keyVariable = "COATCHECK_KEY_SOURCE"

// keyChoice is what opens the vault, and who says so. The database says nothing
// of it: who could change that file must not choose where a token or a
// passphrase goes.
type keyChoice struct {
	source embedded.KeySource
	by     string // keyVariable, "key_source in …/config.yaml", or "" for the default
	change *keyChange
	next   embedded.KeySource // of change
}

// file is where a key file lies, "" for another kind of source.
func (c keyChoice) file() string {
	if lies, ok := c.source.(interface{ Path() string }); ok {
		return lies.Path()
	}
	return ""
}

// keySource chooses: COATCHECK_KEY_SOURCE, else key_source in config.yaml, else
// the home's key file.
func (a *app) keySource(h home) (c keyChoice, err error) {
	if uri := a.getenv(keyVariable); uri != "" {
		return a.chosen(uri, keyVariable)
	}
	uri, err := h.configuredKey()
	if err != nil {
		return c, err
	}
	by := "key_source in " + h.config()
	if uri == "" {
		uri, by = embedded.FileURI(h.key()), ""
	}
	if c, err = a.chosen(uri, by); err != nil {
		return c, err
	}
	if c.change, err = h.readChange(); err != nil || c.change == nil {
		return c, err
	}
	c.next, err = a.parseSource(c.change.To, h.change())
	return c, err
}

func (a *app) chosen(uri, by string) (c keyChoice, err error) {
	c.by = by
	c.source, err = a.parseSource(uri, by)
	return c, err
}

func (a *app) parseSource(uri, by string) (embedded.KeySource, error) {
	source, err := (&embedded.SourceOptions{Ask: a.askHidden, Getenv: a.getenv, Keyring: a.keyring}).Parse(uri)
	if err != nil {
		return nil, usage("%s: %w", by, err)
	}
	return source, nil
}

// settle returns the source that opens db: while a change is under way, the
// mark of the keyset tells on which side of it the vault is.
func (c keyChoice) settle(ctx context.Context, db *sqldb.DB) (embedded.KeySource, error) {
	if c.change == nil {
		return c.source, nil
	}
	mark, err := embedded.SealedBy(ctx, db)
	if err == nil && mark == c.change.Mark {
		return c.next, nil
	}
	return c.source, err
}

// configuredKey returns key_source of config.yaml, "" when it does not say any.
// The file is parsed only if it does, so that a start does not pay for it and
// another mistake in it stops only serve.
func (h home) configuredKey() (string, error) {
	text, err := readOwned(h.config())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) { // the home itself is looked at elsewhere
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if !bytes.HasPrefix(line, []byte("#")) && bytes.Contains(line, []byte(keyField)) && string(line) != keyField+`: ""` {
			c, err := h.readConfig()
			return c.KeySource, err
		}
	}
	return "", nil
}

const keyField = "key_source"

func readOwned(path string) ([]byte, error) {
	file, err := private.OpenOwned(path)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxConfigBytes+1))
	return text, errors.Join(err, file.Close())
}

// configureKey returns config.yaml with another key_source, and the file it is
// in, which a link may lead to. Everything else in it stays as it is.
func (h home) configureKey(uri string) (path string, text []byte, err error) {
	if uri == embedded.FileURI(h.key()) {
		uri = ""
	}
	line := keyField + ": " + strconv.Quote(uri) + "\n"
	path = h.config()
	if missing(path) {
		return path, []byte(defaultConfigWith(line)), nil
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", nil, err
	}
	old, err := readOwned(path)
	if err != nil {
		return "", nil, err
	}
	done := false
	for was := range bytes.Lines(old) {
		if !done && bytes.HasPrefix(was, []byte(keyField+":")) {
			text, done = append(text, line...), true
			continue
		}
		text = append(text, was...)
	}
	if !done {
		if len(text) > 0 && text[len(text)-1] != '\n' {
			text = append(text, '\n')
		}
		text = append(text, line...)
	}
	if c, err := parseConfig(path, text); err != nil || c.KeySource != uri {
		return "", nil, codedError{
			fmt.Errorf("%s cannot be changed by coatcheck; nothing was changed", path), exitPolicy,
			"Give key_source a line of its own there, and mend what else is wrong.",
		}
	}
	return path, text, nil
}

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
		path, text, err := h.configureKey(uri)
		if err != nil {
			return err
		}
		if err := private.WriteFile(path, text); err != nil {
			return err
		}
	}
	err := os.Remove(h.change())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

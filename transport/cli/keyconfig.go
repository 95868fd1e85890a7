package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"syscall"

	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/private"
)

// saying returns config.yaml if it says anything of a field, and else what the
// defaults say of it. The file is parsed only then, so that a start does not pay for
// it and another mistake in it stops only serve.
func (h home) saying(field string) (config, error) {
	text, err := readOwned(h.config())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) { // the home itself is looked at elsewhere
		return config{}, nil
	}
	if err != nil {
		return config{}, err
	}
	if len(text) > maxConfigBytes { // the field may come after what was read
		return parseConfig(h.config(), text)
	}
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if !bytes.HasPrefix(line, []byte("#")) && bytes.Contains(line, []byte(field)) && string(line) != field+`: ""` {
			return h.readConfig()
		}
	}
	return config{}, nil
}

const (
	keyField   = "key_source"
	vaultField = "vault"
)

func readOwned(path string) ([]byte, error) {
	file, err := private.OpenOwned(path)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxConfigBytes+1))
	return text, errors.Join(err, file.Close())
}

// configureKey puts another key_source into config.yaml, or into the file that a
// link leads to, which keeps its mode, its owner and everything else that is in it.
// With dry it only sees that it could, up to the room for it on the disk.
func (h home) configureKey(uri string, dry bool) error {
	if uri == embedded.FileURI(h.key()) {
		uri = ""
	}
	if missing(h.config()) {
		if dry {
			return nil
		}
		return private.WriteFile(h.config(), withKeyField([]byte(defaultConfig), uri))
	}
	old, err := readOwned(h.config())
	if err != nil {
		return err
	}
	text := withKeyField(old, uri)
	if c, err := parseConfig(h.config(), text); err != nil || c.KeySource != uri {
		return codedError{
			fmt.Errorf("%s cannot be changed by coatcheck; nothing was changed", h.config()), exitPolicy,
			"Give key_source a line of its own there, and mend what else is wrong.",
		}
	}
	next, err := private.NewSwap(h.config(), old, text)
	switch {
	case err != nil:
		return fmt.Errorf("%s cannot be changed: %w", h.config(), err)
	case dry:
		return next.Discard()
	}
	return next.Commit()
}

// withKeyField returns a configuration with another line for key_source.
func withKeyField(old []byte, uri string) (text []byte) {
	line, done := keyField+": "+strconv.Quote(uri)+"\n", false
	for was := range bytes.Lines(old) {
		if !done && bytes.HasPrefix(was, []byte(keyField+":")) {
			text, done = append(text, line...), true
			continue
		}
		text = append(text, was...)
	}
	if done {
		return text
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	return append(text, line...)
}

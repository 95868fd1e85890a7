package cli

import (
	"context"

	"github.com/coatcheck-dev/coatcheck/vault/embedded"
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
	config, err := h.saying(keyField)
	if err != nil {
		return c, err
	}
	uri, by := config.KeySource, "key_source in "+h.config()
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

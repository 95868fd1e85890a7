package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/private"
)

// words reads the passphrase that opens.
func (p *passphrase) words(ctx context.Context, try int) ([]byte, error) {
	switch {
	case p.path != "":
		return p.readFile()
	case p.fd != 0:
		return p.readFD(ctx)
	}
	prompt := "Passphrase of the vault"
	if try > 1 {
		prompt = "That is not the one. " + prompt
	}
	return p.typed(ctx, prompt)
}

// set reads a new passphrase.
func (p *passphrase) set(ctx context.Context) ([]byte, error) {
	var words []byte
	var err error
	switch {
	case p.path != "":
		words, err = p.readFile()
	case p.fd != 0:
		words, err = p.readFD(ctx)
	default:
		words, err = p.typedTwice(ctx)
	}
	if err == nil && utf8.RuneCount(words) < minPassphrase {
		clear(words)
		return nil, invalidPassphrase(fmt.Sprintf("has fewer than %d characters; six words drawn by lot are easy to keep and hard to guess", minPassphrase))
	}
	return words, err
}

func (p *passphrase) typedTwice(ctx context.Context) ([]byte, error) {
	words, err := p.typed(ctx, "New passphrase of the vault")
	if err != nil {
		return nil, err
	}
	again, err := p.typed(ctx, "The same again")
	if err != nil {
		clear(words)
		return nil, err
	}
	defer clear(again)
	if !bytes.Equal(words, again) {
		clear(words)
		return nil, invalidPassphrase("was not typed twice the same; nothing was changed")
	}
	return words, nil
}

func (p *passphrase) typed(ctx context.Context, prompt string) ([]byte, error) {
	if p.ask == nil {
		return nil, fmt.Errorf("%w: a passphrase opens it, and there is nobody to ask", vault.ErrKeyMissing)
	}
	text, err := p.ask(ctx, prompt)
	if err != nil {
		return nil, err
	}
	return canonical(text)
}

func (p *passphrase) readFile() ([]byte, error) {
	text, err := private.ReadFile(p.path, 2*maxPassphrase)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no passphrase file %s", vault.ErrKeyMissing, p.path)
	}
	if err != nil {
		return nil, err
	}
	return canonical(text)
}

func (p *passphrase) readFD(ctx context.Context) ([]byte, error) {
	if p.spent {
		return nil, fmt.Errorf("%w: descriptor %d was read already", vault.ErrKeyMissing, p.fd)
	}
	p.spent = true
	text, err := readInherited(ctx, p.fd, 2*maxPassphrase)
	if err != nil {
		return nil, err
	}
	return canonical(text)
}

// canonical returns the words as they are hashed and clears what was read. An
// error says nothing of them.
func canonical(text []byte) ([]byte, error) {
	defer clear(text)
	if line, ended := bytes.CutSuffix(text, []byte("\n")); ended {
		text = bytes.TrimSuffix(line, []byte("\r"))
	}
	switch {
	case len(text) == 0:
		return nil, invalidPassphrase("is empty")
	case len(text) > maxPassphrase:
		return nil, invalidPassphrase(fmt.Sprintf("is longer than %d bytes", maxPassphrase))
	case bytes.HasPrefix(text, []byte("\ufeff")): // which nobody would type
		return nil, invalidPassphrase("begins with a byte order mark; save its file as UTF-8 without one")
	case !utf8.Valid(text):
		return nil, invalidPassphrase("is not UTF-8 text")
	case bytes.ContainsFunc(text, unicode.IsControl):
		return nil, invalidPassphrase("has a control character, or more than one line")
	}
	return norm.NFC.Append(nil, text...), nil
}

func invalidPassphrase(rule string) error {
	return &vault.InvalidError{Field: "passphrase", Rule: rule}
}

package embedded

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unicode"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// KeySource seals and opens the vault's keyset with a key that is kept
// elsewhere. Methods may block (a prompt, a key management service), each within
// a time of its own. aad is authenticated and not kept. A KeySource that has
// opened something asks no person a second time.
//
// Errors of Open: [vault.ErrKeyMissing], [vault.ErrKeyWrong],
// [vault.ErrKeyUnavailable], [vault.ErrLoosePermissions] and [vault.ErrCorrupt],
// each with what to do next in its text.
type KeySource interface {
	Seal(ctx context.Context, plain, aad []byte) ([]byte, error)
	Open(ctx context.Context, sealed, aad []byte) ([]byte, error)
	// String is the URI, in which there is no secret.
	String() string
}

// SourceOptions are the surroundings of a [KeySource]. The zero value is good for
// key files, and for passphrases from a file or a descriptor.
type SourceOptions struct {
	// Ask shows prompt and returns the line that a person types, hidden. Nil:
	// there is nobody to ask.
	Ask func(ctx context.Context, prompt string) ([]byte, error)
	// Getenv looks up the token of a transit engine. Nil: there is none.
	Getenv func(string) string
	// Keyring is where "keyring:" keeps its key. Nil: the system's own.
	Keyring OSKeyring
}

// ParseKeySource is [SourceOptions.Parse] without options.
func ParseKeySource(uri string) (KeySource, error) { return (&SourceOptions{}).Parse(uri) }

// Parse reads a key source's URI; nothing is opened yet. Paths are absolute and
// percent-encoded where a URI needs it (on Windows "file:///C:/…/key").
//
//	file:/home/me/.config/coatcheck/key  a key file, mode 0600
//	keyring:                             a key in the keyring of the desktop
//	keyring:NAME                         another one, under that name
//	passphrase:                          asked for at the terminal
//	passphrase:file:/run/secrets/vault   from a file, mode 0600
//	passphrase:fd:3                      from an inherited descriptor, 3 or more
//	transit:https://HOST:8200/transit/keys/NAME
//	                                     a key of OpenBao or HashiCorp Vault
//
// A transit key may have a query: token-file=PATH (else BAO_TOKEN or VAULT_TOKEN),
// ca-file=PATH (else the system's certificates), namespace=NAME. It takes http
// in place of https for a loopback host only.
//
// The error is an *[vault.InvalidError] of field "key source".
func (o *SourceOptions) Parse(uri string) (KeySource, error) {
	kind, rest, ok := strings.Cut(uri, ":")
	if !ok {
		return nil, invalidSource("is not one of " + sourceForms)
	}
	switch kind {
	case "file":
		path, err := parseFileURI(uri)
		return keyFile(path), err
	case "passphrase":
		return o.parsePassphrase(rest)
	case "keyring":
		return o.parseKeyring(rest)
	case "transit":
		return o.parseTransit(rest)
	default:
		return nil, invalidSource("is not one of " + sourceForms)
	}
}

const sourceForms = `"file:PATH", "keyring:", "passphrase:", "transit:URL"`

func parseFileURI(uri string) (string, error) {
	u, err := url.Parse(uri)
	switch {
	case err != nil: // the parser's text would repeat the URI
		return "", invalidSource("is not a URI")
	case u.Scheme != "file" || u.Host != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" || u.Path == "":
		return "", invalidSource(`is not "file:" and an absolute path`)
	}
	path := u.Path
	if runtime.GOOS == "windows" {
		path = filepath.FromSlash(strings.TrimPrefix(path, "/"))
	}
	if !filepath.IsAbs(path) {
		return "", invalidSource(`is not "file:" and an absolute path`)
	}
	if !plainPath(path) {
		return "", invalidSource("names a file with a control character")
	}
	return path, nil
}

// plainPath accepts a path that can stand in an error on a terminal; a NUL could
// be no part of one.
func plainPath(path string) bool { return !strings.ContainsFunc(path, unicode.IsControl) }

// FileURI is the key source of the key file at an absolute path.
func FileURI(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// maxDescriptor is far above what a process is given.
const maxDescriptor = 1 << 16

func (o *SourceOptions) parsePassphrase(rest string) (KeySource, error) {
	p := &passphrase{ask: o.Ask, cost: usualCost, floor: usualCost}
	switch kind, number, _ := strings.Cut(rest, ":"); {
	case rest == "":
	case kind == "file":
		var err error
		if p.path, err = parseFileURI(rest); err != nil {
			return nil, invalidSource(`is not "passphrase:file:" and an absolute path without control characters`)
		}
	case kind == "fd":
		n, err := strconv.Atoi(number)
		if err != nil || n < 3 || n > maxDescriptor || strconv.Itoa(n) != number {
			return nil, invalidSource(`is not "passphrase:fd:" and the number of a descriptor from 3 up`)
		}
		p.fd = n
	default:
		return nil, invalidSource(`is not "passphrase:", "passphrase:file:PATH" or "passphrase:fd:NUMBER"`)
	}
	return p, nil
}

// MakeKey makes the key that src keeps where there is none yet, and reports
// whether it did: a key file, an entry in the keyring. A passphrase and a transit
// key are not ours to make. Callers that may do so at the same time take a lock.
// Errors: [fs.ErrNotExist] when the folder of a key file is missing,
// [vault.ErrKeyUnavailable].
func MakeKey(ctx context.Context, src KeySource) (made bool, err error) {
	if m, ok := src.(interface {
		makeKey(ctx context.Context) (bool, error)
	}); ok {
		return m.makeKey(ctx)
	}
	return false, nil
}

func invalidSource(rule string) error {
	return &vault.InvalidError{Field: "key source", Rule: rule}
}

// What a source other than a key file seals starts with 16 bytes that tell its
// kind, authenticated with the rest. They choose nothing: they let an error say
// which source to look for.
const (
	passphraseMark = "coatcheck-pass-1"
	keyringMark    = "coatcheck-ring-1"
	transitMark    = "coatcheck-wrap-1"
)

func sealerOf(sealed []byte) string {
	switch {
	case bytes.HasPrefix(sealed, []byte(passphraseMark)):
		return "a passphrase"
	case bytes.HasPrefix(sealed, []byte(keyringMark)):
		return "a key in a keyring"
	case bytes.HasPrefix(sealed, []byte(transitMark)):
		return "a transit key"
	default:
		return "a key file"
	}
}

// notMine is the error of a source that is given what another kind has sealed.
func notMine(src KeySource, sealed []byte) error {
	return fmt.Errorf("%w: it was sealed with %s, and the key source is %s; set COATCHECK_KEY_SOURCE, or key_source in config.yaml, to the one it was sealed with",
		vault.ErrKeyWrong, sealerOf(sealed), src)
}

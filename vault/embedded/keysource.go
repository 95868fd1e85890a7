package embedded

import (
	"context"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// KeySource seals and opens the vault's keyset with a key that is kept
// elsewhere. Methods may block (a prompt, a key management service). aad is
// authenticated and not kept.
//
// Errors of Open: [vault.ErrKeyMissing], [vault.ErrKeyWrong],
// [vault.ErrLoosePermissions], each with what to do next in its text.
type KeySource interface {
	Seal(ctx context.Context, plain, aad []byte) ([]byte, error)
	Open(ctx context.Context, sealed, aad []byte) ([]byte, error)
	// String is the URI, in which there is no secret.
	String() string
}

// ParseKeySource reads a key source's URI; nothing is opened yet. The one kind
// so far is a key file with an absolute path, percent-encoded where a URI needs
// it: "file:/home/me/.config/coatcheck/key", on Windows "file:///C:/…/key".
// The error is an *[vault.InvalidError] of field "key source".
func ParseKeySource(uri string) (KeySource, error) {
	u, err := url.Parse(uri)
	switch {
	case err != nil: // the parser's text would repeat the URI
		return nil, invalidSource("is not a URI")
	case u.Scheme != "file":
		return nil, invalidSource(`is not a "file:" URI`)
	case u.Host != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" || u.Path == "":
		return nil, invalidSource(`is not "file:" and an absolute path`)
	}
	path := u.Path
	if runtime.GOOS == "windows" {
		path = filepath.FromSlash(strings.TrimPrefix(path, "/"))
	}
	if !filepath.IsAbs(path) {
		return nil, invalidSource(`is not "file:" and an absolute path`)
	}
	return keyFile(path), nil
}

// FileURI is the key source of the key file at an absolute path.
func FileURI(path string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

func invalidSource(rule string) error {
	return &vault.InvalidError{Field: "key source", Rule: rule}
}

package embedded

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/private"
)

// keyFile is a [KeySource] at an absolute path. The file is text, at most 4 KiB:
//
//	# any number of lines that start with "#"
//	coatcheck-key-1:KEY:SUM
//
// KEY is 64 lower-case hex digits, 256 random bits used as an AES-GCM key; SUM
// is 8 lower-case hex digits, the CRC-32 (IEEE) of the 32 bytes, which tells a
// damaged file from another vault's. Sealed text is a 12-byte nonce, the
// ciphertext and a 16-byte tag.
type keyFile string

const (
	keyPrefix       = "coatcheck-key-1:"
	keyBytes        = 32
	maxKeyFileBytes = 4096
)

const keyFileHead = `# This key opens a coatcheck vault. Whoever has it and the database has every secret.
# Keep a copy elsewhere: without it the secrets are lost. Never back it up beside the database.
`

// CreateKeyFile writes a new random key to path with mode 0600. An existing
// file is left alone and reported as [fs.ErrExist].
func CreateKeyFile(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fs.ErrExist
		}
		return fmt.Errorf("key file %s: %w", path, err)
	}
	key := make([]byte, keyBytes)
	defer clear(key)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	return private.CreateFile(path, formatKey(key))
}

func formatKey(key []byte) []byte { return append([]byte(keyFileHead), keyLine(key)...) }

func keyLine(key []byte) []byte {
	return fmt.Appendf(nil, "%s%x:%08x\n", keyPrefix, key, crc32.ChecksumIEEE(key))
}

// makeKey makes the file where there is none.
func (f keyFile) makeKey(context.Context) (made bool, err error) {
	err = CreateKeyFile(string(f))
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

func parseKey(text []byte) ([]byte, bool) {
	var found []byte
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		body, ok := bytes.CutPrefix(line, []byte(keyPrefix))
		if !ok || found != nil || len(body) != 2*keyBytes+1+8 || body[2*keyBytes] != ':' || !lowerHex(body) {
			return nil, false
		}
		found = make([]byte, keyBytes)
		if _, err := hex.Decode(found, body[:2*keyBytes]); err != nil {
			return nil, false
		}
		if fmt.Sprintf("%08x", crc32.ChecksumIEEE(found)) != string(body[2*keyBytes+1:]) {
			return nil, false
		}
	}
	return found, found != nil
}

func lowerHex(b []byte) bool { return !bytes.ContainsAny(b, "ABCDEF") }

func (f keyFile) aead() (*subtle.AESGCM, error) {
	text, err := private.ReadFile(string(f), maxKeyFileBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: there is no key file %s; put back the one this vault was made with", vault.ErrKeyMissing, string(f))
	case err != nil:
		return nil, err
	}
	defer clear(text)
	key, ok := parseKey(text)
	if !ok {
		return nil, fmt.Errorf("%w: %s is not a whole coatcheck key file; put back a good copy", vault.ErrKeyWrong, string(f))
	}
	defer clear(key)
	return subtle.NewAESGCM(key)
}

// Seal implements [KeySource].
func (f keyFile) Seal(_ context.Context, plain, aad []byte) ([]byte, error) {
	a, err := f.aead()
	if err != nil {
		return nil, err
	}
	return a.Encrypt(plain, aad)
}

// Open implements [KeySource].
func (f keyFile) Open(_ context.Context, sealed, aad []byte) ([]byte, error) {
	a, err := f.aead()
	if err != nil {
		return nil, err
	}
	plain, err := a.Decrypt(sealed, aad)
	if err != nil && sealerOf(sealed) != sealerOf(nil) {
		return nil, notMine(f, sealed)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the key in %s belongs to another vault; put back the one this vault was made with", vault.ErrKeyWrong, string(f))
	}
	return plain, nil
}

// Path is where the key lies, for who makes or checks the file.
func (f keyFile) Path() string { return string(f) }

// String returns the URI.
func (f keyFile) String() string { return FileURI(string(f)) }

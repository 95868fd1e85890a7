package embedded

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// keys is one opened keyset. It has one key, and two between
// [Keyring.BeginRekey] and [Keyring.FinishRekey].
type keys struct {
	sealed   []byte // as it is in the database
	handle   *keyset.Handle
	aead     tink.AEAD
	primary  [prefixBytes]byte
	prefixes [][prefixBytes]byte // of every key
}

// prefixBytes is the length of what Tink puts before a sealed text: 0x01 and
// the id of its key, big-endian.
const prefixBytes = 5

func prefixOf(id uint32) (p [prefixBytes]byte) {
	p[0] = 1
	binary.BigEndian.PutUint32(p[1:], id)
	return p
}

// has reports whether a key of the keyset made sealed, by what it says of itself.
func (s *keys) has(sealed []byte) bool {
	for i := range s.prefixes {
		if bytes.HasPrefix(sealed, s.prefixes[i][:]) {
			return true
		}
	}
	return false
}

func newKeyset(ctx context.Context, src KeySource) (id string, sealed []byte, err error) {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return "", nil, err
	}
	id = hex.EncodeToString(random)
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return "", nil, fmt.Errorf("making a keyset: %v", err)
	}
	sealed, err = sealKeyset(ctx, src, id, handle)
	return id, sealed, err
}

func sealKeyset(ctx context.Context, src KeySource, id string, handle *keyset.Handle) ([]byte, error) {
	s := &sourceAEAD{src: src}
	var out bytes.Buffer
	if err := handle.WriteWithContext(ctx, keyset.NewBinaryWriter(&out), s, keysetAAD(id)); err != nil {
		return nil, s.cause(err)
	}
	return out.Bytes(), nil
}

func openKeyset(ctx context.Context, src KeySource, id string, sealed []byte) (*keys, error) {
	s := &sourceAEAD{src: src}
	handle, err := keyset.ReadWithContext(ctx, keyset.NewBinaryReader(bytes.NewReader(sealed)), s, keysetAAD(id))
	if err != nil {
		return nil, s.cause(err)
	}
	return held(handle, sealed)
}

func held(handle *keyset.Handle, sealed []byte) (*keys, error) {
	a, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("%w: keyset: %v", vault.ErrCorrupt, err)
	}
	s := &keys{sealed: sealed, handle: handle, aead: a}
	for i := range handle.Len() {
		entry, err := handle.Entry(i)
		if err != nil {
			return nil, fmt.Errorf("%w: keyset: %v", vault.ErrCorrupt, err)
		}
		s.prefixes = append(s.prefixes, prefixOf(entry.KeyID()))
		if entry.IsPrimary() {
			s.primary = prefixOf(entry.KeyID())
		}
	}
	return s, nil
}

func keysetAAD(id string) []byte { return []byte("coatcheck.keyset.v1|" + id) }

// sourceAEAD shows a KeySource to Tink, which flattens errors to text, and
// keeps the error itself.
type sourceAEAD struct {
	src KeySource
	err error
}

var _ tink.AEADWithContext = (*sourceAEAD)(nil)

func (s *sourceAEAD) EncryptWithContext(ctx context.Context, plain, aad []byte) (out []byte, err error) {
	out, s.err = s.src.Seal(ctx, plain, aad)
	return out, s.err
}

func (s *sourceAEAD) DecryptWithContext(ctx context.Context, sealed, aad []byte) (out []byte, err error) {
	out, s.err = s.src.Open(ctx, sealed, aad)
	return out, s.err
}

func (s *sourceAEAD) cause(err error) error {
	if s.err != nil {
		return s.err
	}
	return fmt.Errorf("%w: keyset: %v", vault.ErrCorrupt, err)
}

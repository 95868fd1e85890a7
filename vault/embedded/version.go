package embedded

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// head is the sealed part of a version that holds its key and times; doc.go
// says how it is laid out.
type head struct {
	key     [keyBytes]byte
	created time.Time
	until   time.Time // zero: readable for good
}

const (
	headBytes  = keyBytes + 8 + 8
	headSchema = "coatcheck.head.v1|"
)

func newHead(created time.Time) (h head, err error) {
	h.created = created
	_, err = rand.Read(h.key[:])
	return h, err
}

func (k *Keyring) sealHead(tx *sqldb.Tx, p vault.Path, version int, h head) ([]byte, error) {
	plain := make([]byte, headBytes)
	defer clear(plain)
	copy(plain, h.key[:])
	if _, err := binary.Encode(plain[keyBytes:], binary.BigEndian, []int64{sqldb.Micros(h.created), sqldb.Micros(h.until)}); err != nil {
		return nil, err
	}
	return k.seal(tx, plain, k.versionAAD(headSchema, p, version))
}

func (k *Keyring) openHead(tx *sqldb.Tx, p vault.Path, version int, sealed []byte) (h head, err error) {
	plain, err := k.open(tx, sealed, k.versionAAD(headSchema, p, version))
	if err != nil && !errors.Is(err, vault.ErrCorrupt) {
		return head{}, err
	}
	if len(plain) != headBytes {
		return head{}, damagedVersion(p, version)
	}
	defer clear(plain)
	copy(h.key[:], plain)
	times := make([]int64, 2)
	if _, err := binary.Decode(plain[keyBytes:], binary.BigEndian, times); err != nil {
		return head{}, damagedVersion(p, version)
	}
	h.created, h.until = sqldb.Time(times[0]), sqldb.Time(times[1])
	return h, nil
}

func (k *Keyring) sealBody(p vault.Path, version int, h head, v secret.Value) ([]byte, error) {
	a, err := subtle.NewAESGCM(h.key[:])
	if err != nil {
		return nil, err
	}
	plain := v.Reveal()
	defer clear(plain)
	return a.Encrypt(plain, k.versionAAD("coatcheck.body.v1|", p, version))
}

func (k *Keyring) openBody(p vault.Path, version int, h head, body []byte) (secret.Value, error) {
	a, err := subtle.NewAESGCM(h.key[:])
	if err != nil {
		return secret.Value{}, err
	}
	plain, err := a.Decrypt(body, k.versionAAD("coatcheck.body.v1|", p, version))
	if err != nil {
		return secret.Value{}, damagedVersion(p, version)
	}
	defer clear(plain)
	return secret.New(plain), nil
}

func damagedVersion(p vault.Path, version int) error {
	return fmt.Errorf("%w: version %d of %q", vault.ErrCorrupt, version, p)
}

package embedded

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Keyring is the opened keyset of one vault, safe for concurrent use.
type Keyring struct {
	id   string // 32 hex digits
	aead tink.AEAD
}

// OpenKeyring opens the keyset of db with src, making one on first use.
// Errors: those of [KeySource], [vault.ErrCorrupt] and of the database.
func OpenKeyring(ctx context.Context, db *sqldb.DB, src KeySource) (*Keyring, error) {
	var id string
	var sealed []byte
	load := func(tx *sqldb.Tx) error {
		return tx.QueryRow("SELECT vault_id, sealed FROM vault_keyring WHERE id = 1").Scan(&id, &sealed)
	}
	err := db.View(ctx, load)
	if !errors.Is(err, sqldb.ErrNoRows) {
		if err != nil {
			return nil, err
		}
		return openKeyset(src, id, sealed)
	}
	newID, newSealed, err := newKeyset(src)
	if err != nil {
		return nil, err
	}
	err = db.Update(ctx, func(tx *sqldb.Tx) error {
		if err := load(tx); !errors.Is(err, sqldb.ErrNoRows) {
			return err // another process was first
		}
		id, sealed = newID, newSealed
		_, err := tx.Exec("INSERT INTO vault_keyring (id, vault_id, sealed, created_at) VALUES (1, ?, ?, ?)",
			id, sealed, sqldb.Micros(time.Now()))
		return err
	})
	if err != nil {
		return nil, err
	}
	return openKeyset(src, id, sealed)
}

func newKeyset(src KeySource) (id string, sealed []byte, err error) {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return "", nil, err
	}
	id = hex.EncodeToString(random)
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return "", nil, fmt.Errorf("making a keyset: %v", err)
	}
	s := &sourceAEAD{src: src}
	var out bytes.Buffer
	if err := handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&out), s, keysetAAD(id)); err != nil {
		return "", nil, s.cause(err)
	}
	return id, out.Bytes(), nil
}

func openKeyset(src KeySource, id string, sealed []byte) (*Keyring, error) {
	s := &sourceAEAD{src: src}
	handle, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(sealed)), s, keysetAAD(id))
	if err != nil {
		return nil, s.cause(err)
	}
	a, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("%w: keyset: %v", vault.ErrCorrupt, err)
	}
	return &Keyring{id: id, aead: a}, nil
}

// sourceAEAD shows a KeySource to Tink, which flattens errors to text, and
// keeps the error itself.
type sourceAEAD struct {
	src KeySource
	err error
}

func (s *sourceAEAD) Encrypt(plain, aad []byte) (out []byte, err error) {
	out, s.err = s.src.Seal(plain, aad)
	return out, s.err
}

func (s *sourceAEAD) Decrypt(sealed, aad []byte) (out []byte, err error) {
	out, s.err = s.src.Open(sealed, aad)
	return out, s.err
}

func (s *sourceAEAD) cause(err error) error {
	if s.err != nil {
		return s.err
	}
	return fmt.Errorf("%w: keyset: %v", vault.ErrCorrupt, err)
}

// VaultID names this vault: 32 random hex digits, not secret.
func (k *Keyring) VaultID() string { return k.id }

// Seal encrypts what another store keeps in the database, such as a signing
// key. The same purpose opens it.
func (k *Keyring) Seal(purpose string, plain []byte) ([]byte, error) {
	return k.aead.Encrypt(plain, k.purposeAAD(purpose))
}

// Unseal opens what [Keyring.Seal] made. Errors: [vault.ErrCorrupt].
func (k *Keyring) Unseal(purpose string, sealed []byte) ([]byte, error) {
	return k.open(sealed, k.purposeAAD(purpose))
}

func (k *Keyring) open(sealed, aad []byte) ([]byte, error) {
	plain, err := k.aead.Decrypt(sealed, aad)
	if err != nil { // Tink's text says no more than "decryption failed"
		return nil, vault.ErrCorrupt
	}
	return plain, nil
}

func keysetAAD(id string) []byte { return []byte("coatcheck.keyset.v1|" + id) }

func (k *Keyring) purposeAAD(purpose string) []byte {
	return []byte("coatcheck.keyring.v1|" + k.id + "|" + purpose)
}

package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Keyring is the opened keyset of one vault, safe for concurrent use. The
// database may be given a new keyset meanwhile, by [Keyring.BeginRekey] of this
// process or another: what is read then opens with it, and nothing is sealed any
// more with a key that is on its way out.
type Keyring struct {
	id     string // 32 hex digits
	held   atomic.Pointer[keys]
	opened opened

	mu     sync.Mutex // one look into the source at a time
	src    KeySource
	failed failedOpen
	pause  time.Duration
}

// failedOpen is the last try to open a keyset that came after the start.
type failedOpen struct {
	sealed []byte
	err    error
	at     time.Time
}

// A keyset that came after the start is opened inside a transaction, which may have
// the database to itself: the source has reopenWait for it, and is asked for the
// same one again after reopenPause only, whoever waits meanwhile.
const (
	reopenWait  = 3 * time.Second
	reopenPause = 3 * time.Second
)

// OpenKeyring opens the keyset of db with src, making one on first use.
// Errors: those of [KeySource], [vault.ErrCorrupt] and of the database.
func OpenKeyring(ctx context.Context, db *sqldb.DB, src KeySource) (*Keyring, error) {
	var id string
	var sealed []byte
	load := func(tx *sqldb.Tx) error {
		return tx.QueryRow("SELECT vault_id, sealed FROM vault_keyring WHERE id = 1").Scan(&id, &sealed)
	}
	err := db.View(ctx, load)
	if errors.Is(err, sqldb.ErrNoRows) {
		var newID string
		var newSealed []byte
		if newID, newSealed, err = newKeyset(ctx, src); err != nil {
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
	}
	if err != nil {
		return nil, err
	}
	held, err := openKeyset(ctx, src, id, sealed)
	for tried := sealed; errors.Is(err, vault.ErrKeyWrong) || errors.Is(err, vault.ErrKeyMissing); tried = sealed {
		// A rekey may have put another keyset there since it was read.
		if again := db.View(ctx, load); again != nil || bytes.Equal(tried, sealed) {
			return nil, err
		}
		held, err = openKeyset(ctx, src, id, sealed)
	}
	if err != nil {
		return nil, err
	}
	k := &Keyring{id: id, src: src, pause: reopenPause}
	k.held.Store(held)
	return k, nil
}

// VaultID names this vault: 32 random hex digits, not secret.
func (k *Keyring) VaultID() string { return k.id }

// Seal encrypts what another store keeps in the database, such as a signing
// key. The same purpose opens it. It is to be stored in tx, the transaction in
// which the key is known to be the current one, and to be sealed anew by a
// [Resealer] of that store.
func (k *Keyring) Seal(tx *sqldb.Tx, purpose string, plain []byte) ([]byte, error) {
	return k.seal(tx, plain, k.purposeAAD(purpose))
}

// Unseal opens what [Keyring.Seal] made, as read in tx. Errors:
// [vault.ErrCorrupt], [vault.ErrKeyWrong] (see [Keyring]).
func (k *Keyring) Unseal(tx *sqldb.Tx, purpose string, sealed []byte) ([]byte, error) {
	return k.open(tx, sealed, k.purposeAAD(purpose))
}

// open opens what was read in tx with the key that the text itself names.
func (k *Keyring) open(tx *sqldb.Tx, sealed, aad []byte) ([]byte, error) {
	held := k.held.Load()
	if !held.has(sealed) {
		var err error
		if held, err = k.current(tx); err != nil {
			return nil, err
		}
	}
	plain, err := held.aead.Decrypt(sealed, aad)
	if err != nil { // Tink's text says no more than "decryption failed"
		return nil, vault.ErrCorrupt
	}
	return plain, nil
}

// seal encrypts with the newest key of the keyset as tx sees it. The
// transaction has the database to itself, so that key stays until the commit.
func (k *Keyring) seal(tx *sqldb.Tx, plain, aad []byte) ([]byte, error) {
	held, err := k.current(tx)
	if err != nil {
		return nil, err
	}
	return held.aead.Encrypt(plain, aad)
}

// keysetInTx is the key, in [sqldb.Tx.Shared], of the sealed keyset as the
// transaction has it.
type keysetInTx struct{}

// current returns the keyset that tx sees, opening it when it is not the one held.
func (k *Keyring) current(tx *sqldb.Tx) (*keys, error) {
	sealed, known := tx.Shared()[keysetInTx{}].([]byte)
	if !known {
		err := tx.QueryRow("SELECT sealed FROM vault_keyring WHERE id = 1").Scan(&sealed)
		if errors.Is(err, sqldb.ErrNoRows) {
			return nil, fmt.Errorf("%w: the keyset is gone", vault.ErrCorrupt)
		}
		if err != nil {
			return nil, err
		}
		tx.Shared()[keysetInTx{}] = sealed
	}
	if held := k.held.Load(); bytes.Equal(held.sealed, sealed) {
		return held, nil
	}
	return k.reopen(sealed)
}

// reopen opens a keyset that came after this process started. The source does not
// ask a person again.
func (k *Keyring) reopen(sealed []byte) (*keys, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if held := k.held.Load(); bytes.Equal(held.sealed, sealed) {
		return held, nil // another call was first
	}
	if bytes.Equal(k.failed.sealed, sealed) && time.Since(k.failed.at) < k.pause {
		return nil, k.failed.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), reopenWait)
	defer cancel()
	held, err := openKeyset(ctx, k.src, k.id, sealed)
	if errors.Is(err, vault.ErrKeyWrong) || errors.Is(err, vault.ErrKeyMissing) {
		err = fmt.Errorf("%w: the vault was given another key after this process started, and %s does not open it; start the process anew, with the new key source",
			vault.ErrKeyWrong, k.src)
	}
	if err != nil {
		k.failed = failedOpen{sealed: sealed, err: err, at: time.Now()}
		return nil, err
	}
	k.held.Store(held)
	return held, nil
}

func (k *Keyring) purposeAAD(purpose string) []byte {
	return []byte("coatcheck.keyring.v1|" + k.id + "|" + purpose)
}

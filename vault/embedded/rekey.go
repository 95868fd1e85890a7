package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// Rekeying gives the vault a new key, and may give it another [KeySource]. It
// goes through three states of the keyset; each step is one transaction, and a
// process that ends between two of them leaves a vault that works:
//
//	{old}       sealed by the old source
//	{old, new}  sealed by the new source, from BeginRekey: all that is written
//	            uses new, what was written before still opens
//	{new}       sealed by the new source, from FinishRekey: everything was sealed
//	            anew in between, a batch at a time
//
// So the new key is never sealed by the old source: who has that one, and a copy
// of the database from any later time, has what a copy from before gives him.
// Bodies stay as they are, under keys of their own, which the heads hold.
//
// To change the source last was rejected: for the time of the work in between,
// new key and old source would have belonged together.

// Resealer is a store with things of [Keyring.Seal]. It hands each of them to
// reseal, with its purpose, and stores in tx what comes back. It is for a few
// rows: all of it is one transaction.
type Resealer func(tx *sqldb.Tx, reseal func(purpose string, sealed []byte) ([]byte, error)) error

// Switch is what [Keyring.BeginRekey] does besides its own work. Both may be nil.
type Switch struct {
	// Before is called when all is ready, with what [SealedBy] will return from
	// the switch on. Its error keeps everything as it is.
	Before func(mark string) error
	// Record notes the switch in its transaction.
	Record func(tx *sqldb.Tx) error
}

// BeginRekey makes a new key and puts it to use, with the keyset sealed by to.
// When it returns nil, to opens the vault and the source until now does not;
// when it returns an error, it is the other way round.
//
// Errors: those of to; [vault.ErrBusy] when another process rekeys at the same
// time; [ErrUnfinished].
func (k *Keyring) BeginRekey(ctx context.Context, db *sqldb.DB, to KeySource, opts Switch) error {
	old, err := k.latest(ctx, db)
	if err != nil {
		return err
	}
	if len(old.prefixes) > 1 {
		return ErrUnfinished
	}
	manager := keyset.NewManagerFromHandle(old.handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err == nil {
		err = manager.SetPrimary(id)
	}
	if err != nil {
		return fmt.Errorf("making a key: %v", err)
	}
	next, err := k.stage(ctx, to, manager)
	if err != nil {
		return err
	}
	if opts.Before != nil {
		if err := opts.Before(markOf(next.sealed)); err != nil {
			return err
		}
	}
	made := time.Now()
	if err := db.Update(ctx, func(tx *sqldb.Tx) error {
		if err := replace(tx, old.sealed, next.sealed); err != nil {
			return err
		}
		if _, err := tx.Exec("UPDATE vault_keyring SET created_at = ? WHERE id = 1", sqldb.Micros(made)); err != nil {
			return err
		}
		if opts.Record != nil {
			return opts.Record(tx)
		}
		return nil
	}); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.src = to
	k.held.Store(next)
	return nil
}

// ErrUnfinished means that an earlier rekey waits for [Keyring.FinishRekey].
var ErrUnfinished = errors.New("an earlier rekey is not finished")

// Work is what [Keyring.FinishRekey] does besides its own work.
type Work struct {
	Stores []Resealer
	Record func(tx *sqldb.Tx) error // notes the end in its transaction; may be nil
	// Progress is called after each batch with how many were sealed anew so far.
	// Its error stops the work, which then waits for another call. May be nil.
	Progress func(resealed int) error
}

// FinishRekey seals everything anew with the key that [Keyring.BeginRekey] made
// and drops the one before. Other processes may read and write meanwhile: a
// batch holds up writers for a few milliseconds. It returns how many records and
// versions it sealed. Called again, also by another process, it goes on where it
// was stopped; with nothing to do it returns 0.
//
// Errors: [vault.ErrCorrupt] with the names of what does not open: the old key is
// kept then, and with it everything that does; those of the source and the
// database.
func (k *Keyring) FinishRekey(ctx context.Context, db *sqldb.DB, w Work) (resealed int, err error) {
	now, err := k.latest(ctx, db)
	if err != nil || len(now.prefixes) == 1 {
		return 0, err
	}
	s := sweep{keys: k, db: db, to: now, work: w}
	if err := s.run(ctx); err != nil {
		return s.done, err
	}
	manager := keyset.NewManagerFromHandle(now.handle)
	for i := range now.handle.Len() {
		entry, err := now.handle.Entry(i)
		if err == nil && !entry.IsPrimary() {
			err = manager.Delete(entry.KeyID())
		}
		if err != nil {
			return s.done, fmt.Errorf("dropping a key: %v", err)
		}
	}
	next, err := k.stage(ctx, k.source(), manager)
	if err != nil {
		return s.done, err
	}
	if err := db.Update(ctx, func(tx *sqldb.Tx) error {
		for _, store := range w.Stores {
			if err := store(tx, func(purpose string, sealed []byte) ([]byte, error) {
				return k.reseal(now, sealed, k.purposeAAD(purpose))
			}); err != nil {
				return err
			}
		}
		if w.Record != nil {
			if err := w.Record(tx); err != nil {
				return err
			}
		}
		return replace(tx, now.sealed, next.sealed)
	}); err != nil {
		return s.done, err
	}
	k.held.Store(next)
	return s.done, nil
}

// latest returns the keyset as the database has it now.
func (k *Keyring) latest(ctx context.Context, db *sqldb.DB) (held *keys, err error) {
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		held, err = k.current(tx)
		return err
	})
	return held, err
}

func (k *Keyring) source() KeySource {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.src
}

// stage seals a keyset and sees that its source can open it again: one that
// encrypts may not be allowed to decrypt.
func (k *Keyring) stage(ctx context.Context, src KeySource, manager *keyset.Manager) (*keys, error) {
	handle, err := manager.Handle()
	if err != nil {
		return nil, fmt.Errorf("making a keyset: %v", err)
	}
	sealed, err := sealKeyset(ctx, src, k.id, handle)
	if err != nil {
		return nil, err
	}
	return openKeyset(ctx, src, k.id, sealed)
}

// replace puts one sealed keyset in the place of another, unless that is not
// there any more. What it replaces leaves the file.
func replace(tx *sqldb.Tx, old, next []byte) error {
	n, err := tx.Exec("UPDATE vault_keyring SET sealed = ? WHERE id = 1 AND sealed = ?", next, old)
	if err == nil && n == 0 {
		err = fmt.Errorf("%w: another process is giving the vault a new key", vault.ErrBusy)
	}
	if err != nil {
		return err
	}
	tx.Shared()[keysetInTx{}] = next
	tx.Erase()
	return nil
}

// reseal seals with the newest key of s what one of its keys had sealed.
func (k *Keyring) reseal(s *keys, sealed, aad []byte) ([]byte, error) {
	plain, err := s.aead.Decrypt(sealed, aad)
	if err != nil {
		return nil, vault.ErrCorrupt
	}
	defer clear(plain)
	return s.aead.Encrypt(plain, aad)
}

// KeyState is what [Keyring.State] knows of the vault's key.
type KeyState struct {
	Made       time.Time // of the newest key; the clear column of a row, good for a message
	Unfinished bool      // [Keyring.FinishRekey] is to be called
	Source     KeySource
}

// State says how old the key is and whether a rekey waits to be finished.
func (k *Keyring) State(ctx context.Context, db *sqldb.DB) (KeyState, error) {
	var made int64
	held, err := k.latest(ctx, db)
	if err == nil {
		err = db.View(ctx, func(tx *sqldb.Tx) error {
			return tx.QueryRow("SELECT created_at FROM vault_keyring WHERE id = 1").Scan(&made)
		})
	}
	if err != nil {
		return KeyState{}, err
	}
	return KeyState{Made: sqldb.Time(made), Unfinished: len(held.prefixes) > 1, Source: k.source()}, nil
}

// Sealed returns how many records and versions the key seals.
func (k *Keyring) Sealed(ctx context.Context, db *sqldb.DB) (n int, err error) {
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow("SELECT (SELECT count(*) FROM vault_secrets) + (SELECT count(*) FROM vault_versions)").Scan(&n)
	})
	return n, err
}

// SealedBy returns a mark of the sealed keyset in the database, which changes
// when it is sealed anew, without opening it; "" when there is none. With the
// mark that [Switch] was given one can tell on which side of it a vault is.
func SealedBy(ctx context.Context, db *sqldb.DB) (mark string, err error) {
	var sealed []byte
	err = db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow("SELECT sealed FROM vault_keyring WHERE id = 1").Scan(&sealed)
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return "", nil
	}
	return markOf(sealed), err
}

func markOf(sealed []byte) string {
	sum := sha256.Sum256(sealed)
	return hex.EncodeToString(sum[:])
}

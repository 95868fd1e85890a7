package embedded_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func (h home) exec(tb testing.TB, query string, args ...any) {
	tb.Helper()
	if err := h.db.Update(tb.Context(), func(tx *sqldb.Tx) error {
		n, err := tx.Exec(query, args...)
		if err == nil && n == 0 {
			err = errors.New("no row changed")
		}
		return err
	}); err != nil {
		tb.Fatal(err)
	}
}

func (h home) row(tb testing.TB, query string, dest ...any) {
	tb.Helper()
	if err := h.db.View(tb.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(query).Scan(dest...) }); err != nil {
		tb.Fatal(err)
	}
}

func TestKeyringIsMadeOnce(t *testing.T) {
	h := newHome(t)
	var wg sync.WaitGroup
	ids := make(chan string, 8)
	for range cap(ids) {
		wg.Go(func() {
			k, err := embedded.OpenKeyring(t.Context(), h.db, h.src)
			if err != nil {
				t.Error(err)
				return
			}
			ids <- k.VaultID()
		})
	}
	wg.Wait()
	first := <-ids
	if len(first) != 32 {
		t.Errorf("vault id %q", first)
	}
	for range cap(ids) - 1 {
		if id := <-ids; id != first {
			t.Errorf("two vault ids: %s and %s", first, id)
		}
	}
	if other := newHome(t).open(t, nil); other == nil {
		t.Fatal("no vault")
	}
}

func TestKeyringErrors(t *testing.T) {
	h := newHome(t)
	key := filepath.Join(h.dir, "key")
	aside := filepath.Join(h.dir, "aside")
	if err := os.Rename(key, aside); err != nil {
		t.Fatal(err)
	}
	open := func() error {
		_, err := embedded.OpenKeyring(t.Context(), h.db, h.src)
		return err
	}
	if err := open(); !errors.Is(err, vault.ErrKeyMissing) {
		t.Fatalf("a new vault without a key file: %v", err)
	}
	if _, err := os.Stat(key); err == nil {
		t.Fatal("the key was made in silence")
	}
	if err := os.Rename(aside, key); err != nil {
		t.Fatal(err)
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(key, aside); err != nil {
		t.Fatal(err)
	}
	if err := open(); !errors.Is(err, vault.ErrKeyMissing) {
		t.Errorf("without its key: %v", err)
	}
	if err := embedded.CreateKeyFile(key); err != nil {
		t.Fatal(err)
	}
	if err := open(); !errors.Is(err, vault.ErrKeyWrong) {
		t.Errorf("with another key: %v", err)
	}
	if err := os.Rename(aside, key); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := open(); !errors.Is(err, vault.ErrLoosePermissions) {
		t.Errorf("with a loose key: %v", err)
	}
	if err := os.Chmod(key, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(); err != nil {
		t.Errorf("with its key again: %v", err)
	}
	h.exec(t, "UPDATE vault_keyring SET sealed = ?", []byte("damaged"))
	if err := open(); !errors.Is(err, vault.ErrCorrupt) {
		t.Errorf("damaged keyset: %v", err)
	}
}

func TestKeyringOfAnotherVault(t *testing.T) {
	h := newHome(t)
	h.open(t, nil)
	h.exec(t, "UPDATE vault_keyring SET vault_id = ?", "00000000000000000000000000000000")
	if _, err := embedded.OpenKeyring(t.Context(), h.db, h.src); !errors.Is(err, vault.ErrKeyWrong) {
		t.Fatalf("got %v", err)
	}
}

// seals and unseals are Seal and Unseal in a transaction of their own.
func (h home) seals(tb testing.TB, k *embedded.Keyring, purpose, plain string) (sealed []byte) {
	tb.Helper()
	if err := h.db.Update(tb.Context(), func(tx *sqldb.Tx) (err error) {
		sealed, err = k.Seal(tx, purpose, []byte(plain))
		return err
	}); err != nil {
		tb.Fatal(err)
	}
	return sealed
}

func (h home) unseals(tb testing.TB, k *embedded.Keyring, purpose string, sealed []byte) (plain []byte, err error) {
	tb.Helper()
	err = h.db.View(tb.Context(), func(tx *sqldb.Tx) error {
		plain, err = k.Unseal(tx, purpose, sealed)
		return err
	})
	return plain, err
}

func TestKeyringSeals(t *testing.T) {
	h := newHome(t)
	k, err := embedded.OpenKeyring(t.Context(), h.db, h.src)
	if err != nil {
		t.Fatal(err)
	}
	sealed := h.seals(t, k, "audit key", "plain")
	again, err := embedded.OpenKeyring(t.Context(), h.db, h.src)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := h.unseals(t, again, "audit key", sealed); err != nil || !bytes.Equal(plain, []byte("plain")) {
		t.Errorf("%q, %v", plain, err)
	}
	if _, err := h.unseals(t, again, "another purpose", sealed); !errors.Is(err, vault.ErrCorrupt) {
		t.Errorf("another purpose: %v", err)
	}
	elsewhere := newHome(t)
	other, err := embedded.OpenKeyring(t.Context(), elsewhere.db, h.src) // the same key file
	if err != nil {
		t.Fatal(err)
	}
	if _, err := elsewhere.unseals(t, other, "audit key", sealed); !errors.Is(err, vault.ErrCorrupt) {
		t.Errorf("another vault: %v", err)
	}
	for i := range sealed {
		sealed[i] ^= 1
		if _, err := h.unseals(t, k, "audit key", sealed); !errors.Is(err, vault.ErrCorrupt) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
		sealed[i] ^= 1
	}
	if _, err := h.unseals(t, k, "audit key", nil); !errors.Is(err, vault.ErrCorrupt) {
		t.Errorf("nothing: %v", err)
	}
}

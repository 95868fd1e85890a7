package embedded_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// twoSecrets are "a" with versions 1 (retired) and 2, and "b" with version 1.
func twoSecrets(t *testing.T) (home, *embedded.Vault) {
	t.Helper()
	h := newHome(t)
	v := h.open(t, nil)
	grace := time.Duration(0)
	tier := vault.Critical
	for _, put := range []struct {
		path vault.Path
		c    vault.Change
	}{
		{"a", vault.Change{Value: text("a1"), Tier: &tier}},
		{"a", vault.Change{Value: text("a2"), Grace: &grace}},
		{"b", vault.Change{Value: text("b1")}},
	} {
		if _, err := v.Put(t.Context(), put.path, put.c); err != nil {
			t.Fatal(err)
		}
	}
	return h, v
}

func TestEditedRows(t *testing.T) {
	h, v := twoSecrets(t)
	for _, tc := range []struct {
		name, edit string
		want       error
	}{
		{"record of another path", "UPDATE vault_secrets SET record = (SELECT record FROM vault_secrets WHERE path = 'b') WHERE path = 'a'", vault.ErrCorrupt},
		{"head of another path", "UPDATE vault_versions SET head = (SELECT head FROM vault_versions WHERE path = 'b') WHERE path = 'a'", vault.ErrCorrupt},
		{"body of another path", "UPDATE vault_versions SET body = (SELECT body FROM vault_versions WHERE path = 'b') WHERE path = 'a'", vault.ErrCorrupt},
		{"version of another path", "UPDATE vault_versions SET (head, body) = (SELECT head, body FROM vault_versions WHERE path = 'b') WHERE path = 'a'", vault.ErrCorrupt},
		{"body of another version", "UPDATE vault_versions SET body = (SELECT body FROM vault_versions WHERE path = 'a' AND version = 1) WHERE path = 'a'", vault.ErrCorrupt},
		{"older version in place of the current", "UPDATE vault_versions SET (head, body) = (SELECT head, body FROM vault_versions WHERE path = 'a' AND version = 1) WHERE path = 'a'", vault.ErrCorrupt},
		{"versions renumbered", "UPDATE vault_versions SET version = 3 - version + 10 WHERE path = 'a'", vault.ErrCorrupt},
		{"version removed", "DELETE FROM vault_versions WHERE path = 'a' AND version = 2", vault.ErrCorrupt},
		{"first version moved", "UPDATE vault_secrets SET first = 2 WHERE path = 'a'", vault.ErrCorrupt},
		{"path changed", "DELETE FROM vault_secrets WHERE path = 'a'; UPDATE vault_secrets SET path = 'a' WHERE path = 'b'", vault.ErrCorrupt},
		{"empty record", "UPDATE vault_secrets SET record = zeroblob(0) WHERE path = 'a'", vault.ErrCorrupt},
		{"empty head", "UPDATE vault_versions SET head = zeroblob(0) WHERE path = 'a'", vault.ErrCorrupt},
		{"empty body", "UPDATE vault_versions SET body = zeroblob(0) WHERE path = 'a'", vault.ErrCorrupt},
		{"put in the trash", "UPDATE vault_secrets SET deleted_at = 1 WHERE path = 'a'", vault.ErrNotFound},
	} {
		t.Run(tc.name, func(t *testing.T) {
			undo := errors.New("undo")
			err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
				for edit := range strings.SplitSeq(tc.edit, ";") {
					if n, err := tx.Exec(edit); err != nil || n == 0 {
						return fmt.Errorf("%s: %d rows, %w", edit, n, err)
					}
				}
				if _, err := v.InTx(tx).Get("a", vault.Latest); !errors.Is(err, tc.want) {
					t.Errorf("got %v, want %v", err, tc.want)
				}
				return undo
			})
			if !errors.Is(err, undo) {
				t.Fatal(err)
			}
		})
	}
}

func TestEditedTrash(t *testing.T) {
	h, v := twoSecrets(t)
	if err := v.Delete(t.Context(), "a", false); err != nil {
		t.Fatal(err)
	}
	h.exec(t, "UPDATE vault_secrets SET deleted_at = 0 WHERE path = 'a'") // bring it back by hand
	if _, err := v.Describe(t.Context(), "a"); !errors.Is(err, vault.ErrCorrupt) {
		t.Errorf("describe: %v", err)
	}
	if _, err := v.List(t.Context(), vault.Query{}); !errors.Is(err, vault.ErrCorrupt) {
		t.Errorf("list: %v", err)
	}
	h.exec(t, "UPDATE vault_secrets SET deleted_at = 9000000000000000 WHERE path = 'a'") // keep it for longer
	if _, err := v.Restore(t.Context(), "a"); !errors.Is(err, vault.ErrCorrupt) {
		t.Errorf("restore: %v", err)
	}
	if err := v.Delete(t.Context(), "a", true); err != nil {
		t.Errorf("what is damaged must go: %v", err)
	}
}

func TestRemovedVersionShowsInHistory(t *testing.T) {
	h, v := twoSecrets(t)
	h.exec(t, "DELETE FROM vault_versions WHERE path = 'a' AND version = 1")
	if _, err := v.History(t.Context(), "a"); !errors.Is(err, vault.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

// TestFlippedColumns flips every byte of every sealed column.
func TestFlippedColumns(t *testing.T) {
	h, v := twoSecrets(t)
	for _, column := range []struct{ table, name string }{
		{"vault_secrets", "record"}, {"vault_versions", "head"}, {"vault_versions", "body"},
	} {
		where := " WHERE path = 'b'"
		var good []byte
		h.row(t, "SELECT "+column.name+" FROM "+column.table+where, &good)
		update := "UPDATE " + column.table + " SET " + column.name + " = ?" + where
		err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
			for i := range good {
				bad := append([]byte{}, good...)
				bad[i] ^= 0x10
				if _, err := tx.Exec(update, bad); err != nil {
					return err
				}
				if _, err := v.InTx(tx).Get("b", vault.Latest); !errors.Is(err, vault.ErrCorrupt) {
					t.Errorf("%s, byte %d: %v", column.name, i, err)
				}
			}
			_, err := tx.Exec(update, good)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if s, err := v.Get(t.Context(), "b", vault.Latest); err != nil || !s.Value.Equal(text("b1")) {
		t.Errorf("put back: %v", err)
	}
}

// TestFlippedFile flips bytes all over the database file: each answer is an
// error or the right one.
func TestFlippedFile(t *testing.T) {
	h, v := twoSecrets(t)
	want, err := v.Describe(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.db.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(h.dir, "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(privateDir(t), "vault.db")
	const stride = 1009 // a prime, so that every kind of byte has its turn
	for i := 0; i < len(good); i += stride {
		good[i] ^= 0xff
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
		good[i] ^= 0xff
		checkFlipped(t, path, h.src, i, want)
	}
}

func checkFlipped(t *testing.T, path string, src embedded.KeySource, i int, want vault.Metadata) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), path, embedded.Migrations())
	if err != nil {
		return
	}
	defer func() { _ = db.Close() }()
	keys, err := embedded.OpenKeyring(t.Context(), db, src)
	if err != nil {
		return
	}
	s, err := embedded.New(db, keys, nil).Get(t.Context(), "a", vault.Latest)
	if err == nil && (!s.Value.Equal(text("a2")) || s.Tier != want.Tier || !s.UpdatedAt.Equal(want.UpdatedAt)) {
		t.Errorf("byte %d flipped: a wrong answer", i)
	}
}

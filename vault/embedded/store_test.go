package embedded_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
	"github.com/coatcheck-dev/coatcheck/vault/vaulttest"
)

// TestCanary: the bytes of a value, a description, a tag or a destination
// stand in no file, live, retired, deleted or destroyed.
func TestCanary(t *testing.T) {
	h := newHome(t)
	v := h.open(t, nil)
	first, second, meta := vaulttest.NewCanary(t), vaulttest.NewCanary(t), vaulttest.NewCanary(t)
	description := meta.Text()
	place := vault.Place{In: vault.InHeader, Name: "X-Key", Template: strings.ReplaceAll(meta.Text(), "{}", "") + "{}"}
	destination, err := vault.ParseDestination("example.com", place)
	if err != nil {
		t.Fatal(err)
	}
	grace := time.Duration(0)
	change := vault.Change{
		Value: first.Value(), Description: &description, Tags: &map[string]string{"k": meta.Text()}, Destinations: &[]vault.Destination{destination},
	}
	for _, p := range []vault.Path{"live", "deleted", "destroyed"} {
		if _, err := v.Put(t.Context(), p, change); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Put(t.Context(), p, vault.Change{Value: second.Value(), Grace: &grace}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(v.Delete(t.Context(), "deleted", false), v.Delete(t.Context(), "destroyed", true)); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Get(t.Context(), "live", vault.Latest); err != nil {
		t.Fatal(err)
	}
	_, err = v.Put(t.Context(), "live", vault.Change{Mode: vault.Create, Value: first.Value()})
	if !errors.Is(err, vault.ErrExists) {
		t.Fatal(err)
	}
	first.Absent(t, "an error", []byte(err.Error()))
	if n := vaulttest.ScanFolder(t, h.dir, first, second, meta); n != 6 { // key, database, log, index, two locks
		t.Errorf("%d files searched with the log open, want 6", n)
	}
	if err := h.db.Close(); err != nil {
		t.Fatal(err)
	}
	if n := vaulttest.ScanFolder(t, h.dir, first, second, meta); n != 4 {
		t.Errorf("%d files searched, want 4", n)
	}
}

func TestDestroyedKeysAreGone(t *testing.T) {
	h := newHome(t)
	v := h.open(t, nil)
	for _, p := range []vault.Path{"a", "a", "b"} {
		if _, err := v.Put(t.Context(), p, vault.Change{Value: text("v")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Delete(t.Context(), "a", false); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Put(t.Context(), "a", vault.Change{Value: text("w")}); err != nil {
		t.Fatal(err)
	}
	var head []byte
	h.row(t, "SELECT head FROM vault_versions WHERE path = 'a' AND version = 1", &head)
	needle := vaulttest.CanaryOf(head)
	if err := v.Delete(t.Context(), "a", true); err != nil {
		t.Fatal(err)
	}
	var secrets, versions int
	h.row(t, "SELECT (SELECT count(*) FROM vault_secrets), (SELECT count(*) FROM vault_versions)", &secrets, &versions)
	if secrets != 1 || versions != 1 {
		t.Errorf("%d secrets and %d versions left, want 1 and 1", secrets, versions)
	}
	if n := vaulttest.ScanFolder(t, h.dir, needle); n != 6 { // neither in free pages nor in the log; two are locks
		t.Errorf("%d files searched", n)
	}
}

func TestInTxIsOneCommit(t *testing.T) {
	h := newHome(t)
	v := h.open(t, nil)
	boom := errors.New("boom")
	err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		w := v.InTx(tx)
		if _, err := w.Put("a", vault.Change{Value: text("v1")}); err != nil {
			return err
		}
		if _, err := w.Put("a", vault.Change{Value: text("v2")}); err != nil {
			return err
		}
		if s, err := w.Get("a", 1); err != nil || !s.Value.Equal(text("v1")) {
			t.Errorf("get in the same transaction: %v", err)
		}
		if all, err := w.History("a"); err != nil || len(all) != 2 {
			t.Errorf("history in the same transaction: %v, %v", all, err)
		}
		if err := w.Delete("a", false); err != nil {
			return err
		}
		if m, err := w.Restore("a"); err != nil || m.Version != 2 {
			t.Errorf("restore in the same transaction: %+v, %v", m, err)
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if _, err := v.Describe(t.Context(), "a"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("after the undo: %v", err)
	}
}

func TestPurge(t *testing.T) {
	h := newHome(t)
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	v := h.open(t, func() time.Time { return now })
	put := func(p vault.Path) {
		t.Helper()
		if _, err := v.Put(t.Context(), p, vault.Change{Value: text("v")}); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(p vault.Path) {
		t.Helper()
		if err := v.Delete(t.Context(), p, false); err != nil {
			t.Fatal(err)
		}
	}
	purge := func() (paths []vault.Path) {
		t.Helper()
		if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) (err error) {
			paths, err = v.Purge(tx, now)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return paths
	}
	put("a") // versions 1 and 2, in the trash from day 0
	put("a")
	remove("a")
	now = now.Add(24 * time.Hour)
	put("a") // version 3, in the trash from day 1
	remove("a")
	put("a") // version 4, live
	put("b")
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error { // more than one batch, in the trash from day 1
		for i := range 150 {
			p := vault.Path(fmt.Sprintf("n/%03d", i))
			if _, err := v.InTx(tx).Put(p, vault.Change{Value: text("v")}); err != nil {
				return err
			}
			if err := v.InTx(tx).Delete(p, false); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := purge(); len(got) != 0 {
		t.Fatalf("purged too early: %v", got)
	}
	now = now.Add(vault.TrashRetention - 24*time.Hour)
	if got := purge(); !slices.Equal(got, []vault.Path{"a"}) {
		t.Fatalf("purged %v, want the oldest", got)
	}
	var versions string
	h.row(t, "SELECT group_concat(version) FROM (SELECT version FROM vault_versions WHERE path = 'a' ORDER BY version)", &versions)
	if versions != "3,4" {
		t.Errorf("versions %s are left, want 3,4", versions)
	}
	now = now.Add(24 * time.Hour)
	if a, b, c := len(purge()), len(purge()), len(purge()); a != 100 || b != 51 || c != 0 {
		t.Errorf("purged %d, %d, %d", a, b, c)
	}
	h.row(t, "SELECT group_concat(path || version) FROM (SELECT path, version FROM vault_versions ORDER BY path)", &versions)
	if versions != "a4,b1" {
		t.Errorf("left %s, want a4,b1", versions)
	}
	if s, err := v.Get(t.Context(), "a", vault.Latest); err != nil || s.Version != 4 {
		t.Errorf("the live one: %+v, %v", s.Metadata, err)
	}
}

// TestPlans holds the queries to their indexes, so that a page costs the same
// at any number of secrets.
func TestPlans(t *testing.T) {
	h := newHome(t)
	for name, query := range map[string]string{
		"live page":  "SELECT path, first, deleted_at, record FROM vault_secrets WHERE deleted_at = 0 AND path >= 'a' AND path < 'b' AND path > 'a' ORDER BY path LIMIT 51",
		"trash page": "SELECT path, first, deleted_at, record FROM vault_secrets WHERE deleted_at <> 0 AND path >= 'a' AND path < 'b' AND (path, first) > ('a', 1) AND deleted_at > 1 ORDER BY path, first LIMIT 51",
		"describe":   "SELECT first, deleted_at, record FROM vault_secrets WHERE path = 'a' AND deleted_at = 0",
		"purge":      "SELECT path, first FROM vault_secrets WHERE deleted_at <> 0 AND deleted_at <= 1 ORDER BY deleted_at LIMIT 100",
		"conflict":   "SELECT 1 FROM vault_secrets WHERE path >= 'a' AND path < 'b' AND deleted_at = 0 LIMIT 1",
	} {
		if err := h.db.View(t.Context(), func(tx *sqldb.Tx) error {
			return tx.Query("EXPLAIN QUERY PLAN "+query, nil, func(scan func(...any) error) error {
				var id, parent, unused int
				var detail string
				if err := scan(&id, &parent, &unused, &detail); err != nil {
					return err
				}
				if !strings.HasPrefix(detail, "SEARCH") {
					t.Errorf("%s: %s", name, detail)
				}
				return nil
			})
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLargeRotation(t *testing.T) {
	h := newHome(t)
	v := h.open(t, nil)
	err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		w := v.InTx(tx)
		for range 300 {
			if _, err := w.Put("a", vault.Change{Value: secret.New([]byte("v"))}); err != nil {
				return err
			}
		}
		grace := time.Hour
		for range 2 {
			if _, err := w.Put("a", vault.Change{Value: text("w"), Grace: &grace}); err != nil {
				return err
			}
		}
		all, err := w.History("a")
		if err != nil {
			return err
		}
		for _, one := range all[1:] {
			if one.ReadableUntil.IsZero() {
				t.Errorf("version %d was not retired", one.Number)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

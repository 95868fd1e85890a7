package embedded_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// TestMetadataIsNeverOlderThanTheTransaction: records are remembered, within a
// commit and from one to the next, and every change shows at once, also one by
// another process.
func TestMetadataIsNeverOlderThanTheTransaction(t *testing.T) {
	h := newHome(t)
	one := h.open(t, nil)
	two := h.open(t, nil) // its own keyring, as another process has it
	put := func(v interface{ InTx(*sqldb.Tx) vault.View }, tx *sqldb.Tx, description string) {
		t.Helper()
		if _, err := v.InTx(tx).Put("a/b", vault.Change{Value: text("v"), Description: &description}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(v interface{ InTx(*sqldb.Tx) vault.View }, tx *sqldb.Tx, description string) {
		t.Helper()
		m, err := v.InTx(tx).Describe("a/b")
		if err != nil || m.Description != description {
			t.Fatalf("got %q %v, want %q", m.Description, err, description)
		}
		if m.Tags != nil {
			m.Tags["mine"] = "x" // what is given out is the caller's own
		}
	}
	update := func(fn func(tx *sqldb.Tx)) {
		t.Helper()
		if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error { fn(tx); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	update(func(tx *sqldb.Tx) {
		put(one, tx, "first")
		want(one, tx, "first")
		put(one, tx, "second")
		want(one, tx, "second")
		want(two, tx, "second")
	})
	update(func(tx *sqldb.Tx) { put(two, tx, "third") })
	update(func(tx *sqldb.Tx) {
		want(one, tx, "third")
		if err := two.InTx(tx).Delete("a/b", false); err != nil {
			t.Fatal(err)
		}
		if _, err := one.InTx(tx).Describe("a/b"); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("deleted: %v", err)
		}
		if _, err := one.InTx(tx).Restore("a/b"); err != nil {
			t.Fatal(err)
		}
		want(two, tx, "third")
		if err := two.InTx(tx).Delete("a/b", true); err != nil {
			t.Fatal(err)
		}
		if _, err := one.InTx(tx).Describe("a/b"); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("destroyed: %v", err)
		}
	})
	// A write that is undone takes along what its commit knew.
	boom := errors.New("boom")
	update(func(tx *sqldb.Tx) { put(one, tx, "again") })
	if err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error { put(one, tx, "undone"); want(one, tx, "undone"); return boom }); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	update(func(tx *sqldb.Tx) { want(one, tx, "again") })
}

// TestManyRecordsAreRead: more of them than are remembered.
func TestManyRecordsAreRead(t *testing.T) {
	v := newHome(t).open(t, nil)
	const n = 600
	for i := range n {
		description := fmt.Sprint(i)
		if _, err := v.Put(t.Context(), vault.Path(fmt.Sprint("a/", i)), vault.Change{Value: text("v"), Description: &description}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		for i := range n {
			if m, err := v.Describe(t.Context(), vault.Path(fmt.Sprint("a/", i))); err != nil || m.Description != fmt.Sprint(i) {
				t.Fatal(m, err)
			}
		}
	}
}

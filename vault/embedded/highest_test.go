package embedded_test

import (
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func TestHighest(t *testing.T) {
	h := newHome(t)
	v := h.open(t, time.Now)
	put := func(p vault.Path, tier vault.Tier) {
		t.Helper()
		if _, err := v.Put(t.Context(), p, vault.Change{Value: text("v"), Tier: &tier}); err != nil {
			t.Fatal(err)
		}
	}
	put("a/plain", vault.Standard)
	put("a/guarded", vault.Sensitive)
	put("a/gone", vault.Critical)
	put("b/deep/er", vault.Critical)
	put("c/lowered", vault.Critical)
	put("c/lowered", vault.Standard)
	put("c/raised", vault.Standard)
	put("c/raised", vault.Sensitive)
	put("d/back", vault.Sensitive)
	for _, p := range []vault.Path{"a/gone", "d/back"} {
		if err := v.Delete(t.Context(), p, false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := v.Restore(t.Context(), "d/back"); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		globs []vault.Glob
		want  vault.Tier
	}{
		{nil, vault.Standard},
		{[]vault.Glob{"*"}, vault.Critical},
		{[]vault.Glob{"a/*"}, vault.Sensitive},
		{[]vault.Glob{"a/plain"}, vault.Standard},
		{[]vault.Glob{"a/guarded"}, vault.Sensitive},
		{[]vault.Glob{"a/guard"}, vault.Standard},
		{[]vault.Glob{"b"}, vault.Standard},
		{[]vault.Glob{"b*"}, vault.Critical},
		{[]vault.Glob{"*/er"}, vault.Critical},
		{[]vault.Glob{"c/l*"}, vault.Standard},
		{[]vault.Glob{"c/*"}, vault.Sensitive},
		{[]vault.Glob{"d/*"}, vault.Sensitive},
		{[]vault.Glob{"a/*", "b/*"}, vault.Critical},
		{[]vault.Glob{"b/*", "a/*"}, vault.Critical},
		{[]vault.Glob{"nowhere/*"}, vault.Standard},
	} {
		err := h.db.View(t.Context(), func(tx *sqldb.Tx) error {
			got, err := v.Highest(tx, tc.globs)
			if got != tc.want {
				t.Errorf("%q: %s, want %s", tc.globs, got, tc.want)
			}
			return err
		})
		if err != nil {
			t.Errorf("%q: %v", tc.globs, err)
		}
	}
}

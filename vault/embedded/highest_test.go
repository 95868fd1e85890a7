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

// TestHighestIsFoundInAFewLooks: a path costs one look however many secrets begin
// like it, a prefix one, and what takes long to find is taken for found.
func TestHighestIsFoundInAFewLooks(t *testing.T) {
	h := newHome(t)
	v := h.open(t, time.Now)
	err := h.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
			INSERT INTO vault_secrets (path, first, deleted_at, tier, record) SELECT 'team/' || i, 1, 0, 1, x'00' FROM n`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slow := make([]vault.Glob, 1000)
	for i := range slow {
		slow[i] = "*/nothing"
	}
	for name, tc := range map[string]struct {
		globs []vault.Glob
		want  vault.Tier
	}{
		"path above all":   {[]vault.Glob{"team"}, vault.Standard},
		"path like many":   {[]vault.Glob{"team/1"}, vault.Sensitive},
		"prefix":           {[]vault.Glob{"team/19*"}, vault.Sensitive},
		"prefix of none":   {[]vault.Glob{"team/a*"}, vault.Standard},
		"few to look at":   {[]vault.Glob{"team/1999*x"}, vault.Standard},
		"many to look at":  {[]vault.Glob{"*/nothing"}, vault.Sensitive},
		"many times many":  {slow, vault.Sensitive},
		"nothing critical": {[]vault.Glob{"*"}, vault.Sensitive},
	} {
		if err := h.db.View(t.Context(), func(tx *sqldb.Tx) error {
			got, err := v.Highest(tx, tc.globs)
			if got != tc.want {
				t.Errorf("%s: %s, want %s", name, got, tc.want)
			}
			return err
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

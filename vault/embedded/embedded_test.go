package embedded_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// home is a private folder with a key file and an open database.
type home struct {
	dir string
	db  *sqldb.DB
	src embedded.KeySource
}

func privateDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func newHome(t testing.TB) home {
	t.Helper()
	h := home{dir: privateDir(t)}
	key := filepath.Join(h.dir, "key")
	if err := embedded.CreateKeyFile(key); err != nil {
		t.Fatal(err)
	}
	var err error
	if h.src, err = embedded.ParseKeySource(embedded.FileURI(key)); err != nil {
		t.Fatal(err)
	}
	h.db, err = sqldb.Open(t.Context(), filepath.Join(h.dir, "vault.db"), embedded.Migrations())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.db.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h home) open(t testing.TB, now func() time.Time) *embedded.Vault {
	t.Helper()
	keys, err := embedded.OpenKeyring(t.Context(), h.db, h.src)
	if err != nil {
		t.Fatal(err)
	}
	return embedded.New(h.db, keys, &embedded.Options{Now: now})
}

func text(s string) secret.Value { return secret.New([]byte(s)) }

func BenchmarkDescribeInTx(b *testing.B) {
	h := newHome(b)
	v := h.open(b, nil)
	d, err := vault.ParseDestination("api.openai.com", vault.Bearer)
	if err != nil {
		b.Fatal(err)
	}
	desc := "the key of the inference project"
	tags := map[string]string{"team": "inference", "env": "production"}
	if _, err := v.Put(b.Context(), "production/openai/api-key", vault.Change{Value: text("sk-1"), Destinations: &[]vault.Destination{d}, Description: &desc, Tags: &tags}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	err = h.db.View(b.Context(), func(tx *sqldb.Tx) error {
		for b.Loop() {
			if _, err := v.InTx(tx).Describe("production/openai/api-key"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

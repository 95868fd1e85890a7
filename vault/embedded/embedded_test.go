package embedded_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

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

func privateDir(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	return dir
}

func newHome(tb testing.TB) home {
	tb.Helper()
	h := home{dir: privateDir(tb)}
	key := filepath.Join(h.dir, "key")
	if err := embedded.CreateKeyFile(key); err != nil {
		tb.Fatal(err)
	}
	var err error
	if h.src, err = embedded.ParseKeySource(embedded.FileURI(key)); err != nil {
		tb.Fatal(err)
	}
	h.db, err = sqldb.Open(tb.Context(), filepath.Join(h.dir, "vault.db"), embedded.Migrations())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := h.db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return h
}

func (h home) open(tb testing.TB, now func() time.Time) *embedded.Vault {
	tb.Helper()
	keys, err := embedded.OpenKeyring(tb.Context(), h.db, h.src)
	if err != nil {
		tb.Fatal(err)
	}
	return embedded.New(h.db, keys, &embedded.Options{Now: now})
}

func text(s string) secret.Value { return secret.New([]byte(s)) }

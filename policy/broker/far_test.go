package broker_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// elsewhere runs the tests of this package with a vault that lies elsewhere.
var elsewhere = flag.Bool("broker.elsewhere", false, "put the secrets into a vault elsewhere")

// farVault is a vault in another database, of the time of f.
func farVault(tb testing.TB, f *fixture) *embedded.Vault {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	db, err := sqldb.Open(tb.Context(), filepath.Join(dir, "vault.db"), embedded.Migrations())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	key := filepath.Join(dir, "key")
	if err := embedded.CreateKeyFile(key); err != nil {
		tb.Fatal(err)
	}
	source, err := embedded.ParseKeySource(embedded.FileURI(key))
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := embedded.OpenKeyring(context.WithoutCancel(tb.Context()), db, source)
	if err != nil {
		tb.Fatal(err)
	}
	return embedded.New(db, keys, &embedded.Options{Now: f.desk.Now})
}

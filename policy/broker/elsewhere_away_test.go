package broker_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/overlay"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// away is a vault elsewhere that something happens to.
type away struct {
	*embedded.Vault
	calls []string
	// before is asked before each call, and may answer it with an error.
	before func(call string, p vault.Path) error
	mute   bool  // it does not say with a value when its secret was made
	blind  bool  // nor of a change
	list   error // of every list
}

func (a *away) ask(call string, p vault.Path) error {
	a.calls = append(a.calls, call)
	if a.before == nil {
		return nil
	}
	return a.before(call, p)
}

func (a *away) Get(ctx context.Context, p vault.Path, version int) (vault.Secret, error) {
	if err := a.ask("get", p); err != nil {
		return vault.Secret{}, err
	}
	s, err := a.Vault.Get(ctx, p, version)
	if a.mute {
		s.CreatedAt = time.Time{}
	}
	return s, err
}

func (a *away) Describe(ctx context.Context, p vault.Path) (vault.Metadata, error) {
	if err := a.ask("describe", p); err != nil {
		return vault.Metadata{}, err
	}
	return a.Vault.Describe(ctx, p)
}

func (a *away) List(ctx context.Context, q vault.Query) (vault.Page, error) {
	if err := a.ask("list", ""); err != nil || a.list != nil {
		return vault.Page{}, errors.Join(err, a.list)
	}
	return a.Vault.List(ctx, q)
}

func (a *away) Put(ctx context.Context, p vault.Path, c vault.Change) (vault.Metadata, error) {
	if c.Destinations != nil || c.Generate != nil {
		return vault.Metadata{}, vault.ErrUnsupported
	}
	if err := a.ask("put", p); err != nil {
		return vault.Metadata{}, err
	}
	m, err := a.Vault.Put(ctx, p, c)
	if a.blind {
		m.CreatedAt = time.Time{}
	}
	return m, err
}

func (a *away) Delete(ctx context.Context, p vault.Path, permanent bool) error {
	if err := a.ask("delete", p); err != nil {
		return err
	}
	return a.Vault.Delete(ctx, p, permanent)
}

func (a *away) Restore(ctx context.Context, p vault.Path) (vault.Metadata, error) {
	if err := a.ask("restore", p); err != nil {
		return vault.Metadata{}, err
	}
	return a.Vault.Restore(ctx, p)
}

// farVault is a vault in another database, of the time of f.
func farVault(t *testing.T, f *fixture) *embedded.Vault {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), filepath.Join(dir, "vault.db"), embedded.Migrations())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	key := filepath.Join(dir, "key")
	if err := embedded.CreateKeyFile(key); err != nil {
		t.Fatal(err)
	}
	source, err := embedded.ParseKeySource(embedded.FileURI(key))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := embedded.OpenKeyring(context.WithoutCancel(t.Context()), db, source)
	if err != nil {
		t.Fatal(err)
	}
	return embedded.New(db, keys, &embedded.Options{Now: f.desk.Now})
}

// sendAway puts the secrets of a desk into a vault elsewhere.
func (f *fixture) sendAway(t *testing.T) *away {
	t.Helper()
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	far := &away{Vault: farVault(t, f)}
	f.config.Vault = overlay.New(f.db, f.rowKey, far, "far")
	var err error
	if f.Broker, err = broker.New(f.config); err != nil {
		t.Fatal(err)
	}
	return far
}

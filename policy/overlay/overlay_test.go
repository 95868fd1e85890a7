package overlay_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/coatcheck-dev/coatcheck/policy/overlay"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
	"github.com/coatcheck-dev/coatcheck/vault/vaulttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bare is a vault that has no words for destinations and recipes, as those that
// are reached over a wire.
type bare struct {
	*embedded.Vault
	db    *sqldb.DB
	mu    sync.Mutex
	calls []string
	blind bool // it does not say when a secret was made
}

func (b *bare) Put(ctx context.Context, p vault.Path, c vault.Change) (vault.Metadata, error) {
	b.mu.Lock()
	b.calls = append(b.calls, "put")
	b.mu.Unlock()
	if c.Destinations != nil || c.Generate != nil {
		return vault.Metadata{}, vault.ErrUnsupported
	}
	m, err := b.Vault.Put(ctx, p, c)
	return b.seen(m), err
}

func (b *bare) Describe(ctx context.Context, p vault.Path) (vault.Metadata, error) {
	m, err := b.Vault.Describe(ctx, p)
	return b.seen(m), err
}

func (b *bare) seen(m vault.Metadata) vault.Metadata {
	if b.blind {
		m.CreatedAt = time.Time{}
	}
	return m
}

func (b *bare) Close() error { return errors.Join(b.Vault.Close(), b.db.Close()) }

func newBare(t *testing.T) *bare {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "key")
	if err := embedded.CreateKeyFile(key); err != nil {
		t.Fatal(err)
	}
	source, err := embedded.ParseKeySource(embedded.FileURI(key))
	if err != nil {
		t.Fatal(err)
	}
	db := database(t, embedded.Migrations())
	keys, err := embedded.OpenKeyring(t.Context(), db, source)
	if err != nil {
		t.Fatal(err)
	}
	return &bare{Vault: embedded.New(db, keys, nil), db: db}
}

func database(t *testing.T, migrations []sqldb.Migration) *sqldb.DB {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), filepath.Join(dir, "vault.db"), migrations)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

var rows = rowmac.New([rowmac.KeySize]byte{7})

// closing closes the state database with the vault.
type closing struct {
	*overlay.Vault
	db *sqldb.DB
}

func (c closing) Close() error { return errors.Join(c.Vault.Close(), c.db.Close()) }

// TestContract: with what is kept here it is a vault like every other.
func TestContract(t *testing.T) {
	vaulttest.Run(t, func(t *testing.T) vault.Vault {
		t.Helper()
		db := database(t, overlay.Migrations())
		return closing{overlay.New(db, rows, newBare(t), "far"), db}
	}, vaulttest.Caps{Trash: true, History: true, Destinations: true, FakeTime: true})
}

type fixture struct {
	*overlay.Vault
	far *bare
	db  *sqldb.DB
}

func open(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{far: newBare(t), db: database(t, overlay.Migrations())}
	f.Vault = overlay.New(f.db, rows, f.far, "far")
	t.Cleanup(func() {
		if err := errors.Join(f.Close(), f.db.Close()); err != nil {
			t.Error(err)
		}
	})
	return f
}

func to(t *testing.T, hosts ...string) *[]vault.Destination {
	t.Helper()
	all := []vault.Destination{}
	for _, host := range hosts {
		d, err := vault.ParseDestination(host, vault.Bearer)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return &all
}

func (f *fixture) put(t *testing.T, p vault.Path, hosts ...string) {
	t.Helper()
	if _, err := f.Put(t.Context(), p, vault.Change{Value: secret.New([]byte("v")), Destinations: to(t, hosts...)}); err != nil {
		t.Fatal(err)
	}
}

// reach is where a secret may go.
func (f *fixture) reach(t *testing.T, p vault.Path) string {
	t.Helper()
	m, err := f.Describe(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	var hosts []string
	for _, d := range m.Destinations {
		hosts = append(hosts, d.HTTP.Host)
	}
	return strings.Join(hosts, " ")
}

// TestAnotherSecretOfThePath: what is kept of one secret does not pass to the next
// one of its path, nor does it get lost while that one is only in the trash.
func TestAnotherSecretOfThePath(t *testing.T) {
	f := open(t)
	f.put(t, "a/b", "one.example.com")
	if err := f.Delete(t.Context(), "a/b", false); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Restore(t.Context(), "a/b"); err != nil || f.reach(t, "a/b") != "one.example.com" {
		t.Errorf("restored, it goes to %q: %v", f.reach(t, "a/b"), err)
	}
	if err := f.far.Delete(t.Context(), "a/b", true); err != nil { // by somebody else
		t.Fatal(err)
	}
	if _, err := f.far.Put(t.Context(), "a/b", vault.Change{Value: secret.New([]byte("w"))}); err != nil {
		t.Fatal(err)
	}
	if got := f.reach(t, "a/b"); got != "" {
		t.Errorf("made anew elsewhere, it goes to %q", got)
	}
	page, err := f.List(t.Context(), vault.Query{})
	if err != nil || len(page.Items) != 1 || page.Items[0].Destinations != nil {
		t.Errorf("listed: %+v, %v", page, err)
	}
	if s, err := f.Get(t.Context(), "a/b", vault.Latest); err != nil || s.Destinations != nil {
		t.Errorf("read: %v, %v", s.Destinations, err)
	}
}

// TestVaultsApart: two vaults that one home has used know nothing of each other.
func TestVaultsApart(t *testing.T) {
	f := open(t)
	f.put(t, "a/b", "one.example.com")
	other := overlay.New(f.db, rows, f.far, "another")
	if m, err := other.Describe(t.Context(), "a/b"); err != nil || m.Destinations != nil {
		t.Errorf("%v, %v", m.Destinations, err)
	}
}

// TestDamagedRow: a row counts as it was written, for the vault and the path it was
// written for, and the owner's next word on where the secret goes mends it.
func TestDamagedRow(t *testing.T) {
	for name, change := range map[string]string{
		"another host":  `UPDATE overlay SET destinations = replace(destinations, 'one.', 'two.') WHERE path = 'a/b'`,
		"no JSON":       `UPDATE overlay SET destinations = '[' WHERE path = 'a/b'`,
		"a recipe":      `UPDATE overlay SET recipe = '{base62:9}' WHERE path = 'a/b'`,
		"a later one":   `UPDATE overlay SET made = made + 1 WHERE path = 'a/b'`,
		"another path":  `UPDATE overlay SET destinations = (SELECT destinations FROM overlay WHERE path = 'a/c'), mac = (SELECT mac FROM overlay WHERE path = 'a/c') WHERE path = 'a/b'`,
		"another vault": `UPDATE overlay SET (destinations, made, mac) = (SELECT destinations, made, mac FROM overlay WHERE vault = 'another') WHERE vault = 'far' AND path = 'a/b'`,
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t)
			f.put(t, "a/b", "one.example.com")
			f.put(t, "a/c", "three.example.com")
			other := overlay.New(f.db, rows, f.far, "another")
			if _, err := other.Put(t.Context(), "a/b", vault.Change{Destinations: to(t, "four.example.com")}); err != nil {
				t.Fatal(err)
			}
			if err := f.db.Update(t.Context(), func(tx *sqldb.Tx) error { _, err := tx.Exec(change); return err }); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Describe(t.Context(), "a/b"); !errors.Is(err, vault.ErrCorrupt) {
				t.Errorf("described: %v", err)
			}
			if _, err := f.List(t.Context(), vault.Query{}); !errors.Is(err, vault.ErrCorrupt) {
				t.Errorf("listed: %v", err)
			}
			if _, err := f.Get(t.Context(), "a/b", vault.Latest); !errors.Is(err, vault.ErrCorrupt) {
				t.Errorf("read: %v", err)
			}
			if _, err := f.Put(t.Context(), "a/b", vault.Change{Generate: new(vault.Recipe("{base62:9}"))}); !errors.Is(err, vault.ErrCorrupt) {
				t.Errorf("half mended: %v", err)
			}
			if _, err := f.Put(t.Context(), "a/b", vault.Change{Destinations: to(t, "five.example.com")}); err != nil || f.reach(t, "a/b") != "five.example.com" {
				t.Errorf("mended: %v", err)
			}
		})
	}
}

// TestKept is what goes where.
func TestKept(t *testing.T) {
	f := open(t)
	f.put(t, "a/b")
	f.far.calls = nil
	recipe := vault.Recipe("{base62:20}")
	m, err := f.Put(t.Context(), "a/b", vault.Change{Destinations: to(t, "one.example.com"), Generate: &recipe})
	if err != nil || m.Generate != recipe || m.Version != 1 || len(f.far.calls) != 0 {
		t.Errorf("kept: %+v, %v, with %q there", m, err, f.far.calls)
	}
	if _, err := f.Put(t.Context(), "a/b", vault.Change{Value: secret.New([]byte("w"))}); err != nil || f.reach(t, "a/b") != "one.example.com" {
		t.Errorf("after another value: %v", err)
	}
	none := vault.Recipe("")
	if _, err := f.Put(t.Context(), "a/b", vault.Change{Destinations: to(t), Generate: &none}); err != nil || f.reach(t, "a/b") != "" {
		t.Errorf("taken away: %v", err)
	}
	if n := f.count(t); n != 0 {
		t.Errorf("%d rows say nothing", n)
	}
	f.put(t, "a/b", "one.example.com")
	if err := f.Delete(t.Context(), "a/b", true); err != nil || f.count(t) != 0 {
		t.Errorf("destroyed, and %d rows left: %v", f.count(t), err)
	}
	f.far.calls = nil
	if _, err := f.Put(t.Context(), "a/c", vault.Change{Value: secret.New([]byte("v")), Destinations: &[]vault.Destination{{}}}); err == nil || len(f.far.calls) != 0 {
		t.Errorf("a destination that cannot be: %v, with %q there", err, f.far.calls)
	}
	if _, err := f.Put(t.Context(), "a/d", vault.Change{Mode: vault.Replace, Destinations: to(t, "one.example.com")}); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("of no secret: %v", err)
	}
}

func (f *fixture) count(t *testing.T) (n int) {
	t.Helper()
	if err := f.db.View(t.Context(), func(tx *sqldb.Tx) error { return tx.QueryRow(`SELECT count(*) FROM overlay`).Scan(&n) }); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestUntold: of a secret that could not be told from the next one of its path
// nothing is kept.
func TestUntold(t *testing.T) {
	f := open(t)
	f.far.blind = true
	if _, err := f.Put(t.Context(), "a/b", vault.Change{Value: secret.New([]byte("v")), Destinations: to(t, "one.example.com")}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("kept: %v", err)
	}
	if _, err := f.Put(t.Context(), "a/b", vault.Change{Value: secret.New([]byte("v")), Destinations: to(t)}); err != nil {
		t.Errorf("nothing to be kept: %v", err)
	}
	f.far.blind = false
	f.put(t, "a/b", "one.example.com")
	f.far.blind = true
	if got := f.reach(t, "a/b"); got != "" {
		t.Errorf("it goes to %q", got)
	}
}

func TestHighest(t *testing.T) {
	f := open(t)
	for p, tier := range map[vault.Path]vault.Tier{"a/plain": vault.Standard, "a/some": vault.Sensitive, "b/most": vault.Critical} {
		if _, err := f.far.Vault.Put(t.Context(), p, vault.Change{Value: secret.New([]byte("v")), Tier: &tier}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		globs []vault.Glob
		want  vault.Tier
	}{
		{nil, vault.Standard},
		{[]vault.Glob{"a/plain"}, vault.Standard},
		{[]vault.Glob{"a/plain*", "c/*"}, vault.Standard},
		{[]vault.Glob{"a/*"}, vault.Sensitive},
		{[]vault.Glob{"*/some"}, vault.Sensitive},
		{[]vault.Glob{"a/*", "b/most"}, vault.Critical},
		{[]vault.Glob{"*"}, vault.Critical},
	} {
		if got, err := f.Highest(t.Context(), tc.globs); err != nil || got != tc.want {
			t.Errorf("%q: %s, %v", tc.globs, got, err)
		}
	}
	many := make([]vault.Glob, 26) // as many pages
	for i := range many {
		many[i] = "a/plain"
	}
	if got, err := f.Highest(t.Context(), many); err != nil || got != vault.Critical {
		t.Errorf("more than it reads: %s, %v", got, err)
	}
}

package broker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// clear seals nothing.
type clearSealer struct{}

func (clearSealer) Seal(_ *sqldb.Tx, _ string, plain []byte) ([]byte, error) { return plain, nil }

func (clearSealer) Unseal(_ *sqldb.Tx, _ string, sealed []byte) ([]byte, error) { return sealed, nil }

// older is a vault from before rows were authenticated, with one agent and one
// handle, and the schema of today.
type older struct {
	db     *sqldb.DB
	anchor []byte
	key    string // of the agent web
	ticket string // of the handle
}

func (o *older) auditKey() *audit.Key {
	return audit.OpenKey(o.db, "test.example/older", clearSealer{})
}

func (o *older) exec(t *testing.T, statements ...string) {
	t.Helper()
	if err := o.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func (o *older) checkpoint(t *testing.T) {
	t.Helper()
	key := o.auditKey()
	signed, err := audit.New(key, key).Checkpoint(t.Context(), o.db, o.anchor)
	if err != nil {
		t.Fatal(err)
	}
	o.anchor = signed
}

var morning = time.Date(2026, 1, 2, 8, 0, 0, 0, time.UTC)

func newOlder(t *testing.T) *older {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), filepath.Join(dir, "vault.db"), slices.Concat(identity.Migrations(), handle.Migrations(), audit.Migrations()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	o := &older{db: db}
	anyKey := rowmac.New([rowmac.KeySize]byte{})
	if err := db.Update(t.Context(), func(tx *sqldb.Tx) (err error) {
		if o.key, err = identity.New(anyKey).Add(tx, identity.NewAgent{Name: "web"}, morning); err != nil {
			return err
		}
		if o.ticket, _, err = handle.New(anyKey).Mint(tx, handle.Spec{Principal: "agent:web", Path: "a/b"}, morning); err != nil {
			return err
		}
		_, err = audit.New(nil, nil).Append(tx, audit.Entry{Time: morning, Event: "agent.created", Actor: "owner", Target: "web"})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	o.exec(t, `UPDATE agents SET mac = x''`, `UPDATE handles SET mac = x''`)
	o.checkpoint(t)
	o.forgetRowKey(t)
	return o
}

// forgetRowKey leaves the key as it was sealed before there was a row key.
func (o *older) forgetRowKey(t *testing.T) {
	t.Helper()
	if err := o.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		var sealed []byte
		if err := tx.QueryRow(`SELECT sealed FROM audit_keys`).Scan(&sealed); err != nil {
			return err
		}
		lines := strings.Split(string(sealed), "\n")
		_, err := tx.Exec(`UPDATE audit_keys SET sealed = ?`, []byte(strings.Join(lines[:2], "\n")))
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func (o *older) open(ctx context.Context) (*rowmac.Key, error) {
	return broker.OpenRows(ctx, o.db, o.auditKey(), o.anchor, func() time.Time { return morning })
}

// works reports what the agent's key and handle give.
func (o *older) works(t *testing.T, rows *rowmac.Key) (byKey, spent error) {
	t.Helper()
	if err := o.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, byKey = identity.New(rows).ByCredential(tx, o.key, "", morning)
		_, spent = handle.New(rows).Spend(tx, "agent:web", o.ticket, morning)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return byKey, spent
}

func TestAnOlderVaultIsAdoptedOnce(t *testing.T) {
	o := newOlder(t)
	for range 2 {
		rows, err := o.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if byKey, spent := o.works(t, rows); byKey != nil || spent != nil {
			t.Fatalf("%v, %v", byKey, spent)
		}
	}
	var events []string
	if err := o.db.View(t.Context(), func(tx *sqldb.Tx) error {
		records, err := audit.New(nil, nil).Last(tx, 10)
		for _, r := range records {
			events = append(events, r.Event+" "+r.Target)
		}
		return err
	}); err != nil || !slices.Equal(events, []string{"agent.created web", "rows.authenticated 1 agents, 1 handles"}) {
		t.Errorf("%q, %v", events, err)
	}
	o.checkpoint(t)
}

// TestRowsAreNotAdoptedTwice: somebody who writes the database makes it look
// like one from before, and puts an agent of his own in.
func TestRowsAreNotAdoptedTwice(t *testing.T) {
	hash := mint.Hash("his key")
	for name, tc := range map[string]struct {
		edit     func(t *testing.T, o *older)
		noAnchor bool
		opens    bool // and the made-up agent is damage
	}{
		"the key from before": {func(t *testing.T, o *older) { t.Helper(); o.forgetRowKey(t) }, false, false},
		"and no checkpoint in the database": {func(t *testing.T, o *older) {
			t.Helper()
			o.forgetRowKey(t)
			o.exec(t, `DELETE FROM audit_checkpoints`, `DELETE FROM audit_tiles`)
		}, false, false},
		"and no record of it": {func(t *testing.T, o *older) {
			t.Helper()
			o.forgetRowKey(t)
			o.exec(t, `DELETE FROM audit_leaves WHERE instr(leaf, 'rows.authenticated') > 0`)
		}, false, false},
		"and another record in its place": {func(t *testing.T, o *older) {
			t.Helper()
			o.forgetRowKey(t)
			o.exec(t, `UPDATE audit_leaves SET leaf = replace(leaf, 'rows.authenticated', 'rows.read') WHERE seq = 2`)
		}, false, false},
		"no key": {func(t *testing.T, o *older) { t.Helper(); o.exec(t, `DELETE FROM audit_keys`) }, false, false},
		"no key and no log": {func(t *testing.T, o *older) {
			t.Helper()
			o.exec(t, `DELETE FROM audit_keys`, `DELETE FROM audit_checkpoints`, `DELETE FROM audit_tiles`, `DELETE FROM audit_leaves`)
		}, false, false},
		"no key, and the anchor is gone too": {func(t *testing.T, o *older) { t.Helper(); o.exec(t, `DELETE FROM audit_keys`) }, true, false},
		"the row key of today":               {func(*testing.T, *older) {}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOlder(t)
			if _, err := o.open(t.Context()); err != nil {
				t.Fatal(err)
			}
			o.checkpoint(t)
			tc.edit(t, o)
			o.exec(t, fmt.Sprintf(`INSERT INTO agents (name, key_hash, created_at, revoked_at) VALUES ('evil', x'%x', 1, 0)`, hash))
			if tc.noAnchor {
				o.anchor = nil
			}
			rows, err := o.open(t.Context())
			if tampered := (*audit.TamperError)(nil); !tc.opens && !errors.As(err, &tampered) {
				t.Fatalf("got %v", err)
			}
			if !tc.opens {
				return
			}
			o.key = "his key"
			if byKey, _ := o.works(t, rows); !errors.Is(byKey, vault.ErrCorrupt) {
				t.Errorf("got %v", byKey)
			}
		})
	}
}

// TestANewVaultHasARowKeyFromTheStart: there is nothing to adopt in it, ever.
func TestANewVaultHasARowKeyFromTheStart(t *testing.T) {
	o := newOlder(t)
	o.exec(t, `DELETE FROM audit_keys`, `DELETE FROM audit_checkpoints`, `DELETE FROM audit_tiles`, `DELETE FROM audit_leaves`,
		`DELETE FROM agents`, `DELETE FROM handles`)
	o.anchor = nil
	if _, err := o.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	var leaves int
	if err := o.db.View(t.Context(), func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT count(*) FROM audit_leaves`).Scan(&leaves)
	}); err != nil || leaves != 0 {
		t.Errorf("%d leaves, %v", leaves, err)
	}
	if _, err := o.auditKey().RowKey(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestADamagedHandleIsOnRecord: it is refused as damage, the record names it,
// and others go on.
func TestADamagedHandleIsOnRecord(t *testing.T) {
	base, received := upstream(t)
	f := newDesk(t, allowAll)
	f.put(t, "a/b", vault.Change{}, base)
	bad, good := f.issue(t, local, broker.IssueRequest{Path: "a/b"}), f.issue(t, local, broker.IssueRequest{Path: "a/b"})
	list, err := f.ListHandles(t.Context(), owner, "")
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	id := mint.ID("h_", mint.Hash(bad))
	if err := f.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE handles SET max_uses = max_uses + 1 WHERE id = ?`, id)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, who := range []identity.Principal{local, {Kind: identity.Agent, Name: "evil", Door: local.Door}} {
		if _, err := f.HTTP(t.Context(), who, get(base, bad)); !errors.Is(err, vault.ErrCorrupt) && !errors.Is(err, identity.ErrUnauthenticated) {
			t.Errorf("%s: %v", who.Name, err)
		}
	}
	if _, err := f.HTTP(t.Context(), local, get(base, good)); err != nil || len(received()) != 1 {
		t.Errorf("the other handle: %v, %d arrived", err, len(received()))
	}
	found := false
	if err := f.db.View(t.Context(), func(tx *sqldb.Tx) error {
		records, err := f.log.Last(tx, 50)
		for _, r := range records {
			found = found || r.Event == "handle.used" && r.Handle == id && r.Outcome == audit.Failed && r.Code == "damaged"
		}
		return err
	}); err != nil || !found {
		t.Errorf("on record: %v, %v", found, err)
	}
}

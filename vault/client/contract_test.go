package client_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/catalogue"
	"github.com/coatcheck-dev/coatcheck/policy/clock"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/overlay"
	"github.com/coatcheck-dev/coatcheck/policy/redact"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/transport/rest"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/client"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
	"github.com/coatcheck-dev/coatcheck/vault/vaulttest"
)

// TestContract holds the client's vault to the contract, over a desk on real
// parts and its REST door, as its owner. There is no socket between them, so that
// time can be faked.
func TestContract(t *testing.T) {
	vaulttest.Run(t, func(t *testing.T) vault.Vault {
		t.Helper()
		return clientOf(t, inProcess(newDesk(t)), func(o *client.Options) { o.Edition = client.Detect }).Vault()
	}, vaulttest.Caps{Trash: true, History: true, FakeTime: true})
}

// TestContractWithOverlay: with what the wire has no words for kept on this side it
// is a vault without a limit.
func TestContractWithOverlay(t *testing.T) {
	vaulttest.Run(t, func(t *testing.T) vault.Vault {
		t.Helper()
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		db, err := sqldb.Open(t.Context(), filepath.Join(dir, "vault.db"), overlay.Migrations())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		far := clientOf(t, inProcess(newDesk(t)), func(o *client.Options) { o.Edition = client.Detect }).Vault()
		return overlay.New(db, rowmac.New([rowmac.KeySize]byte{2}), far, "far")
	}, vaulttest.Caps{Trash: true, History: true, Destinations: true, FakeTime: true})
}

// TestContractThroughTwoDesks: a desk behind a desk is a vault still.
func TestContractThroughTwoDesks(t *testing.T) {
	vaulttest.Run(t, func(t *testing.T) vault.Vault {
		t.Helper()
		detect := func(o *client.Options) { o.Edition = client.Detect }
		return clientOf(t, inProcess(newDeskOver(t, clientOf(t, inProcess(newDesk(t)), detect).Vault())), detect).Vault()
	}, vaulttest.Caps{Trash: true, History: true, FakeTime: true})
}

// TestDeskOverEditionB puts a service of edition B behind a desk: what it has works
// through it, destinations and recipes included, and what it has not is refused
// before anything is done.
func TestDeskOverEditionB(t *testing.T) {
	service := newDesk(t)
	far := clientOf(t, inProcess(service), func(o *client.Options) { o.AgentKey, o.Edition = text(service.agentKey), client.EditionB }).Vault()
	near := newDeskOver(t, far).broker
	ctx, owner, p := t.Context(), identity.OwnerCLI(), vault.Path("staging/app/key")
	to, err := vault.ParseDestination("api.example.com", vault.Bearer)
	if err != nil {
		t.Fatal(err)
	}
	made := vault.Change{Value: text("first"), Tags: &map[string]string{"team": "ml"}, Destinations: &[]vault.Destination{to}, Generate: new(vault.Recipe("{base62:30}"))}
	if m, err := near.Put(ctx, owner, p, made); err != nil || m.Version != 1 || len(m.Destinations) != 1 {
		t.Fatalf("made: %+v, %v", m, err)
	}
	rotated, err := near.Rotate(ctx, owner, broker.RotateRequest{Path: p})
	if err != nil || rotated.Metadata.Version != 2 || rotated.Metadata.Tags["team"] != "ml" || len(rotated.Metadata.Destinations) != 1 {
		t.Errorf("rotated: %+v, %v", rotated, err)
	}
	ticket, err := near.Issue(ctx, owner, broker.IssueRequest{Path: p, For: "program"})
	if err != nil || len(ticket.Destinations) != 1 {
		t.Errorf("a handle: %+v, %v", ticket, err)
	}
	if s, err := near.Reveal(ctx, owner, p, 2); err != nil || s.Value.Len() != 30 {
		t.Errorf("the latest by its number: %v", err)
	}
	if _, err := near.Reveal(ctx, owner, p, 1); !errors.Is(err, vault.ErrVersionRetired) {
		t.Errorf("the one before: %v", err)
	}
	if page, err := near.List(ctx, owner, broker.ListRequest{Prefix: "staging/app/"}); err != nil || len(page.Items) != 1 || len(page.Items[0].Destinations) != 1 {
		t.Errorf("listed: %+v, %v", page, err)
	}
	for name, do := range map[string]func() error{
		"all":       func() error { _, err := near.List(ctx, owner, broker.ListRequest{}); return err },
		"the trash": func() error { _, err := near.Delete(ctx, owner, p, false); return err },
		"restore":   func() error { _, err := near.Restore(ctx, owner, p); return err },
		"history":   func() error { _, err := near.History(ctx, owner, p); return err },
		"grace": func() error {
			_, err := near.Rotate(ctx, owner, broker.RotateRequest{Path: p, Grace: time.Hour})
			return err
		},
		"description": func() error { _, err := near.Put(ctx, owner, p, vault.Change{Description: new("d")}); return err },
	} {
		if err := do(); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := near.Put(ctx, owner, "production/other/key", made); broker.ByVault(err) == nil {
		t.Errorf("beyond the rights of its key there: %v", err)
	}
	if _, err := near.Delete(ctx, owner, p, true); err != nil {
		t.Error(err)
	}
	if _, err := near.Describe(ctx, owner, p); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("still there: %v", err)
	}
}

// inProcess is a network that ends at a handler.
func inProcess(h http.Handler) transport {
	return func(r *http.Request) (*http.Response, error) {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		own := r.Clone(r.Context())
		own.RequestURI = r.URL.RequestURI()
		if own.Body == nil {
			own.Body = http.NoBody
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, own)
		return w.Result(), nil
	}
}

type rules struct{ p *policy.Policy }

func (r rules) Current() *policy.Policy { return r.p }

// anchor keeps the checkpoint in memory.
type anchor struct {
	mu     sync.Mutex
	signed []byte
}

func (a *anchor) Update(fn func([]byte) ([]byte, error)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	signed, err := fn(a.signed)
	if err == nil {
		a.signed = signed
	}
	return err
}

// desk is the REST door of a desk on real parts, without the door in front of it
// that knows addresses: who has the key of these tests is the owner.
type desk struct {
	http.Handler
	broker   *broker.Broker
	agentKey string
	admin    identity.Principal
}

// decide says "approve" or "deny" to a request, as an admin.
func (d *desk) decide(ctx context.Context, t *testing.T, id, verdict string) {
	t.Helper()
	act := d.broker.Approve
	if verdict == "deny" {
		act = d.broker.Deny
	}
	if _, err := act(ctx, d.admin, id, "because"); err != nil {
		t.Fatal(err)
	}
}

// revokeTokens ends every token.
func (d *desk) revokeTokens(t *testing.T) {
	t.Helper()
	page, err := d.broker.ListTokens(t.Context(), identity.OwnerCLI(), "", "", 100)
	if err != nil || len(page.Items) == 0 {
		t.Fatalf("%d tokens, %v", len(page.Items), err)
	}
	for _, token := range page.Items {
		if err := d.broker.RevokeToken(t.Context(), identity.OwnerCLI(), token.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// programs is the policy of that agent.
const programs = `
version: 1
rules:
  - name: programs
    agents: [program]
    doors: [rest]
    paths: ["production/openai/*", "staging/*"]
    allow: [list, reveal, set, rotate, delete, token]
  - {name: metered, agents: [program], doors: [rest], paths: ["metered/*"], allow: [reveal], limits: {rate: 1/h}}
`

func newDesk(t *testing.T) *desk {
	t.Helper()
	return newDeskOver(t, nil)
}

// newDeskOver is a desk whose secrets are in a vault elsewhere, nil: its own.
func newDeskOver(t *testing.T, far overlay.Far) *desk {
	t.Helper()
	dir := t.TempDir()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.Chmod(dir, 0o700))
	db, err := sqldb.Open(t.Context(), filepath.Join(dir, "vault.db"),
		slices.Concat(embedded.Migrations(), identity.Migrations(), handle.Migrations(), audit.Migrations(), broker.Migrations(), clock.Migrations(), approval.Migrations(), overlay.Migrations()))
	check(err)
	file := filepath.Join(dir, "key")
	check(embedded.CreateKeyFile(file))
	source, err := embedded.ParseKeySource(embedded.FileURI(file))
	check(err)
	keyring, err := embedded.OpenKeyring(t.Context(), db, source)
	check(err)
	private, public, err := note.GenerateKey(rand.Reader, "test")
	check(err)
	signer, err := note.NewSigner(private)
	check(err)
	verifier, err := note.NewVerifier(public)
	check(err)
	parsed, err := policy.Parse("test.yaml", []byte(programs))
	check(err)
	rows := rowmac.New([rowmac.KeySize]byte{1})
	times, agents := clock.New(clock.Of(time.Now), rows), identity.New(rows)
	var secrets broker.Vault = embedded.New(db, keyring, &embedded.Options{Now: times.Now})
	if far != nil {
		secrets = overlay.New(db, rows, far, "far")
	}
	b, err := broker.New(broker.Config{
		DB: db, Vault: secrets, Policy: rules{parsed}, Audit: audit.New(signer, verifier),
		Agents: agents, Handles: handle.New(rows), Approvals: approval.New(rows), Scrubber: redact.New(times.Now), HTTP: redeem.NewClient(nil), Catalogue: catalogue.New(),
		Anchor: &anchor{}, Clock: times, Log: slog.New(slog.DiscardHandler),
	})
	check(err)
	t.Cleanup(func() { check(errors.Join(b.Close(context.WithoutCancel(t.Context())), db.Close())) })
	by := func(ctx context.Context, credential string) (who identity.Principal, err error) {
		err = db.View(ctx, func(tx *sqldb.Tx) (err error) {
			who, err = agents.ByCredential(tx, credential, "127.0.0.1", times.Now())
			return err
		})
		who.Addr, who.Door = "127.0.0.1", policy.DoorREST
		return who, err
	}
	d := &desk{broker: b, Handler: rest.New(b, func(r *http.Request) (identity.Principal, bool) {
		bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if bearer == key {
			return identity.OwnerCLI(), true
		}
		who, err := by(r.Context(), bearer)
		return who, err == nil
	}, nil)}
	d.agentKey, err = b.AddAgent(t.Context(), identity.OwnerCLI(), identity.NewAgent{Name: "program"})
	check(err)
	adminKey, err := b.AddAdmin(t.Context(), identity.OwnerCLI(), "ada")
	check(err)
	d.admin, err = by(t.Context(), adminKey)
	check(err)
	return d
}

package rest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
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
	"github.com/coatcheck-dev/coatcheck/policy/redact"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/transport/rest"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// programs is the policy of most tests: the agent program may do everything in
// its part of the tree, others nothing.
const programs = `
version: 1
rules:
  - name: programs
    agents: [program]
    doors: [rest]
    paths: ["app/*", "flat", "flat/*"]
    allow: [list, reveal, set, rotate, delete, token]
`

// desk is a whole desk on real parts with its REST door, and a clock that tests
// move.
type desk struct {
	*broker.Broker
	door *rest.Handler
	db   *sqldb.DB
	log  *bytes.Buffer // what the door logs

	logger *slog.Logger

	mu     sync.Mutex
	clock  time.Time
	anchor []byte
	agents *identity.Store
	keys   map[string]string // credentials by the names that tests have for them
}

type rules struct{ p *policy.Policy }

func (r rules) Current() *policy.Policy { return r.p }

// Update implements [broker.Anchor] in memory.
func (d *desk) Update(fn func([]byte) ([]byte, error)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	signed, err := fn(d.anchor)
	if err == nil {
		d.anchor = signed
	}
	return err
}

func (d *desk) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clock
}

func migrations() []sqldb.Migration {
	return slices.Concat(embedded.Migrations(), identity.Migrations(), handle.Migrations(), audit.Migrations(), broker.Migrations(), clock.Migrations(), approval.Migrations())
}

// newDesk opens a desk with the agents program and stranger and the admins ada
// and bob, who are called by their names, and the owner.
func newDesk(tb testing.TB, policyText string) *desk {
	tb.Helper()
	dir := tb.TempDir()
	must(tb, os.Chmod(dir, 0o700))
	db, err := sqldb.Open(tb.Context(), filepath.Join(dir, "vault.db"), migrations())
	must(tb, err)
	key := filepath.Join(dir, "key")
	must(tb, embedded.CreateKeyFile(key))
	source, err := embedded.ParseKeySource(embedded.FileURI(key))
	must(tb, err)
	keyring, err := embedded.OpenKeyring(tb.Context(), db, source)
	must(tb, err)
	skey, vkey, err := note.GenerateKey(rand.Reader, "test")
	must(tb, err)
	signer, err := note.NewSigner(skey)
	must(tb, err)
	verifier, err := note.NewVerifier(vkey)
	must(tb, err)
	parsed, err := policy.Parse("test.yaml", []byte(policyText))
	must(tb, err)

	d := &desk{db: db, clock: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), log: &bytes.Buffer{}, keys: map[string]string{}}
	rows := rowmac.New([rowmac.KeySize]byte{1, 2, 3})
	d.agents = identity.New(rows)
	times := clock.New(clock.Of(d.now), rows)
	d.Broker, err = broker.New(broker.Config{
		DB: db, Vault: embedded.New(db, keyring, &embedded.Options{Now: times.Now}), Policy: rules{parsed}, Audit: audit.New(signer, verifier),
		Agents: d.agents, Handles: handle.New(rows), Approvals: approval.New(rows), Scrubber: redact.New(times.Now), HTTP: redeem.NewClient(nil), Catalogue: catalogue.New(),
		Anchor: d, Clock: times, Log: slog.New(slog.DiscardHandler),
	})
	must(tb, err)
	d.logger = slog.New(slog.NewTextHandler(d.log, nil))
	for _, name := range []string{"program", "stranger"} {
		d.keys[name], err = d.AddAgent(tb.Context(), identity.OwnerCLI(), identity.NewAgent{Name: name})
		must(tb, err)
	}
	for _, name := range []string{"ada", "bob"} {
		d.keys[name], err = d.AddAdmin(tb.Context(), identity.OwnerCLI(), name)
		must(tb, err)
	}
	d.door = rest.New(d.Broker, d.caller, &rest.Options{Version: "v0.0.0-test", Log: d.logger})
	tb.Cleanup(func() {
		ctx := context.WithoutCancel(tb.Context())
		must(tb, d.Close(ctx))
		_, err := audit.Verify(ctx, db, verifier, d.anchor)
		must(tb, err)
		must(tb, db.Close())
	})
	return d
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// address is where every request of a test comes from.
const address = "10.0.0.1"

// caller stands in for package httpd.
func (d *desk) caller(r *http.Request) (who identity.Principal, ok bool) {
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if key == "owner" {
		return identity.OwnerCLI(), true
	}
	if known, named := d.keys[key]; named {
		key = known
	}
	err := d.db.View(r.Context(), func(tx *sqldb.Tx) (err error) {
		who, err = d.agents.ByCredential(tx, key, address, d.now())
		return err
	})
	who.Addr = address
	return who, err == nil
}

// put stores a secret as the owner.
func (d *desk) put(tb testing.TB, path, value string, c vault.Change) {
	tb.Helper()
	c.Value = secret.New([]byte(value))
	_, err := d.Put(tb.Context(), identity.OwnerCLI(), vault.Path(path), c)
	must(tb, err)
}

// reply is an answer of the door.
type reply struct {
	status int
	header http.Header
	body   string
}

// send sends a request of a caller whose target is method and path as they go
// over the wire: "GET /v1/secrets/a%2Fb?version=2".
func (d *desk) send(tb testing.TB, who, target, body string, header ...string) reply {
	tb.Helper()
	method, uri, _ := strings.Cut(target, " ")
	at, err := url.ParseRequestURI(uri)
	must(tb, err)
	r := httptest.NewRequestWithContext(tb.Context(), method, "http://desk/", strings.NewReader(body))
	r.URL, r.RequestURI = at, uri
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+who)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	d.door.ServeHTTP(w, r)
	got := reply{w.Code, w.Header(), w.Body.String()}
	checkAnswer(tb, rest.Routed(method, at.EscapedPath()), got)
	return got
}

// fields decodes an answer.
func (r reply) fields(tb testing.TB) map[string]any {
	tb.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(r.body), &out); err != nil {
		tb.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return out
}

// code is that of a problem, "" for none.
func (r reply) code(tb testing.TB) string {
	tb.Helper()
	if r.body == "" {
		return ""
	}
	problem, _ := r.fields(tb)["error"].(map[string]any)
	code, _ := problem["code"].(string)
	return code
}

package webhook_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"
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
	"github.com/coatcheck-dev/coatcheck/transport/webhook"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait; nothing here takes it unless it is broken.
const patience = 20 * time.Second

// keyPath is where the key of most webhooks lies.
const keyPath = "webhooks/ops"

var owner = identity.OwnerCLI()

const rulesText = `
version: 1
rules:
  - name: programs
    agents: [program]
    doors: [rest]
    paths: ["*"]
    allow: [list, use, reveal, rotate]
`

// house is what several desks share, as processes share a home.
type house struct {
	dir      string
	signer   note.Signer
	verifier note.Verifier

	mu     sync.Mutex
	ahead  time.Duration // of the real time
	anchor []byte
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.ahead)
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ahead += d
}

// Update implements [broker.Anchor] in memory.
func (h *house) Update(fn func([]byte) ([]byte, error)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	signed, err := fn(h.anchor)
	if err == nil {
		h.anchor = signed
	}
	return err
}

type rules struct{ p *policy.Policy }

func (r rules) Current() *policy.Policy { return r.p }

func newHouse(tb testing.TB) *house {
	tb.Helper()
	h := &house{dir: tb.TempDir()}
	must(tb, os.Chmod(h.dir, 0o700))
	must(tb, embedded.CreateKeyFile(filepath.Join(h.dir, "key")))
	skey, vkey, err := note.GenerateKey(rand.Reader, "test")
	must(tb, err)
	h.signer, err = note.NewSigner(skey)
	must(tb, err)
	h.verifier, err = note.NewVerifier(vkey)
	must(tb, err)
	return h
}

// desk is a whole desk on real parts, as one process has it.
type desk struct {
	*broker.Broker
	house   *house
	db      *sqldb.DB
	agents  *identity.Store
	log     *bytes.Buffer // what its senders log
	settled chan broker.WebhookState
}

// SettleWebhook tells the test of every end of an attempt.
func (d *desk) SettleWebhook(ctx context.Context, who identity.Principal, id, holder string, next broker.WebhookState, failed *broker.WebhookFailure) error {
	err := d.Broker.SettleWebhook(ctx, who, id, holder, next, failed)
	d.settled <- next
	return err
}

func (h *house) open(tb testing.TB) *desk {
	tb.Helper()
	db, err := sqldb.Open(tb.Context(), filepath.Join(h.dir, "vault.db"), slices.Concat(embedded.Migrations(), identity.Migrations(), handle.Migrations(),
		audit.Migrations(), broker.Migrations(), clock.Migrations(), approval.Migrations()))
	must(tb, err)
	source, err := embedded.ParseKeySource(embedded.FileURI(filepath.Join(h.dir, "key")))
	must(tb, err)
	keyring, err := embedded.OpenKeyring(tb.Context(), db, source)
	must(tb, err)
	parsed, err := policy.Parse("test.yaml", []byte(rulesText))
	must(tb, err)
	rows := rowmac.New([rowmac.KeySize]byte{1, 2, 3})
	times := clock.New(clock.Of(h.now), rows)
	d := &desk{house: h, db: db, agents: identity.New(rows), log: &bytes.Buffer{}, settled: make(chan broker.WebhookState, 1000)}
	d.Broker, err = broker.New(broker.Config{
		DB: db, Vault: embedded.New(db, keyring, &embedded.Options{Now: times.Now}), Policy: rules{parsed}, Audit: audit.New(h.signer, h.verifier),
		Agents: d.agents, Handles: handle.New(rows), Approvals: approval.New(rows), Scrubber: redact.New(times.Now), HTTP: redeem.NewClient(nil), Catalogue: catalogue.New(),
		Anchor: h, Clock: times, Log: slog.New(slog.DiscardHandler),
	})
	must(tb, err)
	tb.Cleanup(func() {
		ctx := context.WithoutCancel(tb.Context())
		must(tb, d.Close(ctx))
		must(tb, db.Close())
	})
	return d
}

// newDesk is the one desk of a house that has the key of a webhook.
func newDesk(tb testing.TB) *desk {
	tb.Helper()
	d := newHouse(tb).open(tb)
	d.put(tb, keyPath, signingKey, vault.Change{})
	return d
}

// signingKey is of Standard Webhooks' own examples.
const signingKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func (d *desk) put(tb testing.TB, path vault.Path, value string, c vault.Change) {
	tb.Helper()
	c.Value = secret.New([]byte(value))
	_, err := d.Put(tb.Context(), owner, path, c)
	must(tb, err)
}

// rotate makes an event that webhooks are told of.
func (d *desk) rotate(tb testing.TB, path vault.Path) {
	tb.Helper()
	_, err := d.Rotate(tb.Context(), owner, broker.RotateRequest{Path: path, Value: secret.New([]byte("rotated-" + rand.Text()))})
	must(tb, err)
}

// by is whoever shows a credential at the door for programs.
func (d *desk) by(tb testing.TB, credential string) (who identity.Principal) {
	tb.Helper()
	must(tb, d.db.View(tb.Context(), func(tx *sqldb.Tx) (err error) {
		who, err = d.agents.ByCredential(tx, credential, "127.0.0.1", d.house.now())
		return err
	}))
	who.Door, who.Addr = policy.DoorREST, "127.0.0.1"
	return who
}

// events are the records of one name.
func (d *desk) events(tb testing.TB, name string) (list []audit.Record) {
	tb.Helper()
	all, err := d.Feed(tb.Context(), owner, 0, 1000)
	must(tb, err)
	for _, r := range all {
		if r.Event == name {
			list = append(list, r)
		}
	}
	return list
}

// sending makes a sender and runs it until stop is called, or the test ends.
func (d *desk) sending(tb testing.TB, targets ...webhook.Target) (stop func()) {
	tb.Helper()
	client := redeem.NewClient(nil)
	s, err := webhook.New(tb.Context(), d, owner, client, targets, &webhook.Options{
		Log: slog.New(slog.NewTextHandler(d.log, nil)), Now: d.house.now, Jitter: func() float64 { return 0 },
	})
	must(tb, err)
	ctx, cancel := context.WithCancel(tb.Context())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		client.Close()
	})
	tb.Cleanup(stop)
	return stop
}

// attempt waits for the end of the next attempt.
func (d *desk) attempt(tb testing.TB) broker.WebhookState {
	tb.Helper()
	select {
	case s := <-d.settled:
		return s
	case <-time.After(patience):
		tb.Fatal("no attempt")
		return broker.WebhookState{}
	}
}

// told is one message as it arrived.
type told struct {
	header http.Header
	body   []byte
}

// verify holds a message against the library that receivers use.
func (m told) verify(tb testing.TB, key string) error {
	tb.Helper()
	w, err := standardwebhooks.NewWebhook(key)
	must(tb, err)
	return w.Verify(m.body, m.header)
}

// receiver is a server that webhooks are sent to.
type receiver struct {
	*httptest.Server
	got chan told
}

// newReceiver answers the nth message, from 0, with what answer writes; nil is 204.
func newReceiver(tb testing.TB, answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	tb.Helper()
	v := &receiver{got: make(chan told, 1000)}
	var mu sync.Mutex
	n := 0
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		if _, err := body.ReadFrom(r.Body); err != nil {
			tb.Error(err)
		}
		mu.Lock()
		i := n
		n++
		mu.Unlock()
		v.got <- told{r.Header.Clone(), body.Bytes()}
		if answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answer(i, w, r)
	}))
	tb.Cleanup(v.Close)
	return v
}

// next waits for a message.
func (v *receiver) next(tb testing.TB) told {
	tb.Helper()
	select {
	case m := <-v.got:
		return m
	case <-time.After(patience):
		tb.Fatal("nothing was sent")
		return told{}
	}
}

// silent fails if another message has come.
func (v *receiver) silent(tb testing.TB) {
	tb.Helper()
	select {
	case m := <-v.got:
		tb.Fatalf("sent: %s", m.body)
	default:
	}
}

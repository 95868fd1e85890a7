package bench_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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
	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// request measures the tool http_request in this process, beside what it cannot
// do without: the same call by a plain Go client, with its connections kept as
// is its habit, and one durable commit. The API is local, over TLS and HTTP/2, and
// echoes the key, so that there is something to mask.
func request(b *testing.B) budget {
	b.Helper()
	const key = "not-a-real-key-0123456789"
	api := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"authorization":%q,"items":[%s1]}`, r.Header.Get("Authorization"), strings.Repeat(`{"id":"item","price":12.50},`, 100))
	}))
	api.EnableHTTP2 = true
	api.StartTLS()
	defer api.Close()

	plain := api.Client()
	fetch := func() {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, api.URL, http.NoBody)
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+key)
		answer, err := plain.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.ProtoMajor != 2 {
			b.Fatal(answer.Proto, err)
		}
		_ = answer.Body.Close()
	}

	d := newDesk(b, api.Certificate())
	d.store(b, "bench/key", key, api.URL)
	ticket, err := d.Issue(context.Background(), identity.LocalStdio(), broker.IssueRequest{Path: "bench/key"})
	if err != nil {
		b.Fatal(err)
	}
	args, err := json.Marshal(map[string]any{"url": api.URL, "headers": map[string]string{"Authorization": "Bearer " + ticket.Text}})
	if err != nil {
		b.Fatal(err)
	}
	all := tools.All(d.Broker)
	tool := all[slices.IndexFunc(all, func(t tools.Tool) bool { return t.Name == "http_request" })]
	ours := func() {
		got := tool.Call(context.Background(), identity.LocalStdio(), args)
		if got.Failure != nil || !strings.Contains(got.Text, "[secret bench/key]") || strings.Contains(got.Text, key) {
			b.Fatalf("%+v %s", got.Failure, got.Text)
		}
	}
	bare := func() { fetch(); d.commit(b) }

	var took [2][]time.Duration
	for round := range *rounds {
		for i := range took {
			i = (i + round) % 2
			took[i] = append(took[i], each([2]func(){bare, ours}[i], *calls/4))
		}
	}
	p50 := [2]time.Duration{median(took[0]), median(took[1])}
	return budget{
		what: "http_request in process, p50 (a Go client + one commit)",
		bare: millis(p50[0]), ours: millis(p50[1]), ratio: float64(p50[1]) / float64(p50[0]), bound: 1.5,
	}
}

// each does something n times and returns the median time it took.
func each(something func(), n int) time.Duration {
	took := make([]time.Duration, n)
	for i := range took {
		began := time.Now()
		something()
		took[i] = time.Since(began)
	}
	return median(took)
}

// inProcess is a desk without its doors, on a database of its own.
type inProcess struct {
	*broker.Broker
	db *sqldb.DB
}

func newDesk(b *testing.B, certificate *x509.Certificate) *inProcess {
	b.Helper()
	must := func(err error) {
		if err != nil {
			b.Helper()
			b.Fatal(err)
		}
	}
	ctx := context.Background()
	dir := b.TempDir()
	must(os.Chmod(dir, 0o700))
	db, err := sqldb.Open(ctx, filepath.Join(dir, "vault.db"), migrations())
	must(err)
	must(embedded.CreateKeyFile(filepath.Join(dir, "key")))
	source, err := embedded.ParseKeySource(embedded.FileURI(filepath.Join(dir, "key")))
	must(err)
	keys, err := embedded.OpenKeyring(ctx, db, source)
	must(err)
	key := audit.OpenKey(db, "coatcheck.dev/"+keys.VaultID(), keys)
	rules, err := policy.Parse("bench.yaml", []byte(policy.Default))
	must(err)
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	client := redeem.NewClient(&redeem.Options{RootCAs: roots})
	rows := rowmac.New([rowmac.KeySize]byte{1})
	now := clock.New(clock.Of(time.Now), rows)
	d := &inProcess{db: db}
	d.Broker, err = broker.New(broker.Config{
		DB: db, Vault: embedded.New(db, keys, &embedded.Options{Now: now.Now}), Policy: fixed{rules}, Audit: audit.New(key, key),
		Agents: identity.New(rows), Handles: handle.New(rows), Approvals: approval.New(rows), Scrubber: redact.New(now.Now), HTTP: client,
		Catalogue: catalogue.New(), Anchor: &memory{}, Clock: now, Log: slog.New(slog.DiscardHandler),
	})
	must(err)
	b.Cleanup(func() {
		client.Close()
		must(d.Close(ctx))
		must(db.Close())
	})
	return d
}

func (d *inProcess) store(b *testing.B, path vault.Path, value, to string) {
	b.Helper()
	destination, err := vault.ParseDestination(to, vault.Bearer)
	if err != nil {
		b.Fatal(err)
	}
	change := vault.Change{Value: secret.New([]byte(value)), Destinations: &[]vault.Destination{destination}}
	if _, err := d.Put(context.Background(), identity.OwnerCLI(), path, change); err != nil {
		b.Fatal(err)
	}
}

// commit is one durable commit.
func (d *inProcess) commit(b *testing.B) {
	b.Helper()
	if err := d.db.Update(context.Background(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec("UPDATE vault_keyring SET created_at = created_at + 1")
		return err
	}); err != nil {
		b.Fatal(err)
	}
}

type fixed struct{ policy *policy.Policy }

func (f fixed) Current() *policy.Policy { return f.policy }

// memory keeps the checkpoint.
type memory struct{ checkpoint []byte }

func (m *memory) Update(fn func([]byte) ([]byte, error)) error {
	signed, err := fn(m.checkpoint)
	if err == nil {
		m.checkpoint = signed
	}
	return err
}

package broker_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
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
	"github.com/coatcheck-dev/coatcheck/policy/overlay"
	"github.com/coatcheck-dev/coatcheck/policy/redact"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/policy/rowmac"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

const allowAll = `
version: 1
rules:
  - name: everything
    agents: ["*"]
    paths: ["*"]
    allow: [list, use, reveal, rotate]
`

// fixture is a whole desk on real parts, with a clock that tests move.
type fixture struct {
	*broker.Broker
	db      *sqldb.DB
	log     *audit.Log
	rules   *rules
	rowKey  *rowmac.Key
	desk    *clock.Clock
	mu      sync.Mutex
	clock   time.Time
	anchor  []byte
	sealing sync.Mutex
	sealed  func() // called when a checkpoint is about to be made
	config  broker.Config
	file    string // the database
}

type rules struct{ p *policy.Policy }

func (r *rules) Current() *policy.Policy { return r.p }

func (f *fixture) now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.clock
}

func (f *fixture) pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clock = f.clock.Add(d)
}

func (f *fixture) setPolicy(tb testing.TB, text string) {
	tb.Helper()
	p, err := policy.Parse("test.yaml", []byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	f.rules.p = p
}

// anchor keeps the checkpoint in memory.
type anchor fixture

func (a *anchor) Update(fn func([]byte) ([]byte, error)) error {
	if a.sealed != nil {
		a.sealed()
	}
	a.sealing.Lock()
	defer a.sealing.Unlock()
	signed, err := fn(a.anchor)
	if err == nil {
		a.anchor = signed
	}
	return err
}

var (
	owner = identity.OwnerCLI()
	local = identity.LocalStdio()
)

func migrations() []sqldb.Migration {
	return slices.Concat(embedded.Migrations(), identity.Migrations(), handle.Migrations(), approval.Migrations(), audit.Migrations(), broker.Migrations(), clock.Migrations(), overlay.Migrations())
}

func newDesk(tb testing.TB, policyText string) *fixture {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	db, err := sqldb.Open(tb.Context(), filepath.Join(dir, "vault.db"), migrations())
	if err != nil {
		tb.Fatal(err)
	}
	key := filepath.Join(dir, "key")
	if err := embedded.CreateKeyFile(key); err != nil {
		tb.Fatal(err)
	}
	source, err := embedded.ParseKeySource(embedded.FileURI(key))
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := embedded.OpenKeyring(tb.Context(), db, source)
	if err != nil {
		tb.Fatal(err)
	}
	skey, vkey, err := note.GenerateKey(rand.Reader, "test")
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		tb.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		tb.Fatal(err)
	}
	f := &fixture{db: db, rules: &rules{}, clock: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), log: audit.New(signer, verifier)}
	f.rowKey = rowmac.New([rowmac.KeySize]byte{1, 2, 3})
	f.desk = clock.New(clock.Of(f.now), f.rowKey)
	f.setPolicy(tb, policyText)
	f.file, f.config = filepath.Join(dir, "vault.db"), broker.Config{
		DB: db, Vault: embedded.New(db, keys, &embedded.Options{Now: f.desk.Now}), Policy: f.rules, Audit: f.log,
		Agents: identity.New(f.rowKey), Handles: handle.New(f.rowKey), Approvals: approval.New(f.rowKey), Scrubber: redact.New(f.desk.Now), HTTP: redeem.NewClient(nil), Catalogue: catalogue.New(),
		Anchor: (*anchor)(f),
		Clock:  f.desk, Log: slog.New(slog.DiscardHandler),
	}
	f.Broker, err = broker.New(f.config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := f.Close(context.WithoutCancel(tb.Context())); err != nil {
			tb.Error(err)
		}
		if _, err := audit.Verify(context.WithoutCancel(tb.Context()), db, verifier, f.anchor); err != nil {
			tb.Errorf("the log does not verify: %v", err)
		}
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return f
}

// put stores a random value under path and returns it.
func (f *fixture) put(tb testing.TB, path vault.Path, c vault.Change, to ...string) string {
	tb.Helper()
	value := "val-" + rand.Text()
	if c.Value.IsZero() {
		c.Value = secret.New([]byte(value))
	}
	if len(to) > 0 {
		destinations := []vault.Destination{}
		for _, text := range to {
			d, err := vault.ParseDestination(text, vault.Bearer)
			if err != nil {
				tb.Fatal(err)
			}
			destinations = append(destinations, d)
		}
		c.Destinations = &destinations
	}
	if _, err := f.Put(tb.Context(), owner, path, c); err != nil {
		tb.Fatal(err)
	}
	return value
}

func (f *fixture) issue(t *testing.T, who identity.Principal, r broker.IssueRequest) string {
	t.Helper()
	ticket, err := f.Issue(t.Context(), who, r)
	if err != nil {
		t.Fatal(err)
	}
	return ticket.Text
}

// events returns the log, oldest first.
func (f *fixture) events(t *testing.T) []audit.Record {
	t.Helper()
	var list []audit.Record
	if err := f.db.View(t.Context(), func(tx *sqldb.Tx) (err error) {
		list, err = f.log.Last(tx, 1000)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

// codeOf is the code a refusal carries, "" for none.
func codeOf(err error) string {
	var denied *broker.Denied
	var refusal *redeem.Refusal
	var upstream *redeem.Upstream
	switch {
	case errors.As(err, &denied):
		return string(denied.Code)
	case errors.As(err, &refusal):
		return refusal.Code
	case errors.As(err, &upstream):
		return upstream.Code
	default:
		return ""
	}
}

// upstream is an API that records what it gets and echoes it in disguises.
func upstream(t *testing.T) (base string, received func() []string) {
	t.Helper()
	var mu sync.Mutex
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		auth := r.Header.Get("Authorization")
		mu.Lock()
		got = append(got, auth)
		mu.Unlock()
		key := strings.TrimPrefix(auth, "Bearer ")
		w.Header().Set("X-Echo", auth)
		_ = json.NewEncoder(w).Encode(map[string]string{
			"raw": key, "base64": base64.StdEncoding.EncodeToString([]byte("id:" + key)), "url": url.QueryEscape(key),
		})
	}))
	t.Cleanup(server.Close)
	return server.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), got...)
	}
}

func get(target, handleText string) redeem.Call {
	return redeem.Call{Method: "GET", URL: target, Headers: []redeem.Field{{Name: "Authorization", Value: "Bearer " + handleText}}}
}

func TestTheWholeWay(t *testing.T) {
	f := newDesk(t, allowAll)
	base, received := upstream(t)
	value := f.put(t, "a/b", vault.Change{}, base)
	text := f.issue(t, local, broker.IssueRequest{Path: "a/b"})
	answer, err := f.HTTP(t.Context(), local, get(base+"/x", text))
	if err != nil {
		t.Fatal(err)
	}
	if got := received(); len(got) != 1 || got[0] != "Bearer "+value {
		t.Fatalf("upstream received %d requests, or not the value", len(got))
	}
	shown := string(answer.Body)
	for _, h := range answer.Headers {
		shown += h.Name + h.Value
	}
	if strings.Contains(shown, value) || answer.Masked < 4 || !strings.Contains(shown, "[secret a/b]") {
		t.Fatalf("answer is not scrubbed, %d masks", answer.Masked)
	}
	if strings.Contains(shown, base64.StdEncoding.EncodeToString([]byte(value))[4:20]) {
		t.Fatal("base64 of the value shows")
	}
}

func TestAPanicHoldingAValueShowsNothing(t *testing.T) {
	f := newDesk(t, allowAll)
	value := f.put(t, "a/b", vault.Change{}, "api.example.com")
	text := f.issue(t, local, broker.IssueRequest{Path: "a/b"})
	fit := func(string, string, []vault.Destination) error { return nil }
	target := vault.Target{Scheme: "https", Host: "api.example.com", Port: 443, Method: "GET", Path: "/"}
	var shown string
	func() {
		defer func() { shown = fmt.Sprintf("%+v %#v", recover(), f.events(t)) }()
		_ = f.Use(t.Context(), local, []string{text}, target, fit, func(o broker.Opened) error { panic(o) })
	}()
	if !strings.Contains(shown, "handle.used") || strings.Contains(shown, value) {
		t.Fatal("the panic or the record shows the value, or the intent is not there")
	}
}

func TestShape(t *testing.T) {
	base, received := upstream(t)
	f := newDesk(t, allowAll+"    shape: \"sk-proj-{handle}\"\n")
	value := f.put(t, "a/b", vault.Change{}, base)
	text := f.issue(t, local, broker.IssueRequest{Path: "a/b"})
	if !strings.HasPrefix(text, "sk-proj-ash_") {
		t.Fatalf("the handle looks like %.12s…", text)
	}
	if _, err := f.HTTP(t.Context(), local, get(base, text)); err != nil {
		t.Fatal(err)
	}
	if got := received(); len(got) != 1 || got[0] != "Bearer "+value {
		t.Fatal("the shape was sent along")
	}
}

func TestTheRecordHoldsNoHandleAndNoStrangersText(t *testing.T) {
	f := newDesk(t, allowAll)
	f.put(t, "a/b", vault.Change{}, "api.example.com")
	text := f.issue(t, local, broker.IssueRequest{Path: "a/b"})
	key := "sk-proj-" + strings.Repeat("Zq7", 16)
	call := get("https://api.example.com/bot"+text+"/x", text)
	if _, err := f.HTTP(t.Context(), local, call); err == nil {
		t.Fatal("a handle in a path is accepted")
	}
	if _, err := f.Issue(t.Context(), local, broker.IssueRequest{Path: vault.Path(key)}); !errors.Is(err, vault.ErrNotFound) {
		t.Fatal(err)
	}
	if err := f.RevokeHandle(t.Context(), owner, text); err == nil {
		t.Fatal("a handle is taken for an id")
	}
	if shown := fmt.Sprintf("%+v", f.events(t)); strings.Contains(shown, text) || strings.Contains(shown, key) {
		t.Fatal("the record repeats what the model wrote")
	}
}

func TestEveryRefusalIsRecordedAndSpendsNothing(t *testing.T) {
	base, received := upstream(t)
	other, otherReceived := upstream(t)
	f := newDesk(t, allowAll)
	f.put(t, "a/b", vault.Change{}, base+"/ok/*")
	f.put(t, "a/loose", vault.Change{})
	tier := vault.Sensitive
	f.put(t, "a/sensitive", vault.Change{Tier: &tier}, base)
	text := f.issue(t, local, broker.IssueRequest{Path: "a/b", Uses: 1})
	stranger := identity.Principal{Kind: identity.Agent, Name: "local2", Door: policy.DoorMCP}
	if _, err := f.AddAgent(t.Context(), owner, identity.NewAgent{Name: "local2", Stdio: true}); err != nil {
		t.Fatal(err)
	}
	mistyped := text[:len(text)-1] + map[bool]string{true: "a", false: "b"}[text[len(text)-1] == 'b']

	issue := func(p vault.Path) func() error {
		return func() error {
			_, err := f.Issue(t.Context(), local, broker.IssueRequest{Path: p})
			return err
		}
	}
	use := func(who identity.Principal, c redeem.Call) func() error {
		return func() error {
			_, err := f.HTTP(t.Context(), who, c)
			return err
		}
	}
	body := get(base+"/ok/1", text)
	body.Headers, body.Method, body.Body = nil, "POST", "key="+text
	for _, tc := range []struct {
		name string
		do   func() error
		code string
		is   error
	}{
		{"no destination", issue("a/loose"), "no_destination", nil},
		{"sensitive", issue("a/sensitive"), "approval_required", nil},
		{"not there", issue("a/none"), "", vault.ErrNotFound},
		{"other host", use(local, get(other+"/ok/1", text)), "destination_refused", nil},
		{"other path", use(local, get(base+"/no/1", text)), "destination_refused", nil},
		{"another agent's", use(stranger, get(base+"/ok/1", text)), "", handle.ErrUnknown},
		{"mistyped", use(local, get(base+"/ok/1", mistyped)), "", handle.ErrMistyped},
		{"in the body", use(local, body), "handle_misplaced", nil},
		{"no handle", use(local, redeem.Call{Method: "GET", URL: base + "/ok/1"}), "no_handle", nil},
		{"userinfo", use(local, get("http://user@"+strings.TrimPrefix(base, "http://")+"/ok/1", text)), "url_refused", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := len(f.events(t))
			err := tc.do()
			if tc.is != nil && !errors.Is(err, tc.is) || tc.is == nil && codeOf(err) != tc.code {
				t.Fatalf("got %v (code %q)", err, codeOf(err))
			}
			list := f.events(t)
			if last := list[len(list)-1]; tc.code == "approval_required" && len(list) == before+1 && last.Event == "approval.requested" {
				return
			}
			if last := list[len(list)-1]; len(list) != before+1 || last.Outcome != audit.Denied && last.Outcome != audit.Failed || last.Code == "" {
				t.Fatalf("recorded %d events, the last %s (%s)", len(list)-before, last.Outcome, last.Code)
			}
		})
	}
	if len(received())+len(otherReceived()) != 0 {
		t.Fatal("a refused request arrived")
	}
	if _, err := f.HTTP(t.Context(), local, get(base+"/ok/1", text)); err != nil {
		t.Fatalf("the one use is gone: %v", err)
	}
	if _, err := f.HTTP(t.Context(), local, get(base+"/ok/1", text)); !errors.Is(err, handle.ErrExhausted) {
		t.Fatalf("second use of one: %v", err)
	}
}

func TestSpendingChecksAgainstNow(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(t *testing.T, f *fixture, base string)
		code   string
		is     error
	}{
		{"policy taken away", func(t *testing.T, f *fixture, _ string) {
			t.Helper()
			f.setPolicy(t, "version: 1\nrules: []\n")
		}, "policy_denied", nil},
		{"lifetime cut by the policy", func(t *testing.T, f *fixture, _ string) {
			t.Helper()
			f.setPolicy(t, allowAll+"    limits: {ttl: 1m}\n")
			f.pass(time.Minute)
		}, "", handle.ErrExpired},
		{"expired", func(_ *testing.T, f *fixture, _ string) { f.pass(16 * time.Minute) }, "", handle.ErrExpired},
		{"tier raised", func(t *testing.T, f *fixture, _ string) {
			t.Helper()
			tier := vault.Critical
			f.put(t, "a/b", vault.Change{Tier: &tier})
		}, "approval_required", nil},
		{"destination moved", func(t *testing.T, f *fixture, _ string) {
			t.Helper()
			f.put(t, "a/b", vault.Change{}, "api.example.com")
		}, "destination_refused", nil},
		{"deleted", func(t *testing.T, f *fixture, _ string) {
			t.Helper()
			if _, err := f.Delete(t.Context(), owner, "a/b", false); err != nil {
				t.Fatal(err)
			}
		}, "", handle.ErrRevoked},
		{"deleted and restored", func(t *testing.T, f *fixture, _ string) {
			t.Helper()
			if _, err := f.Delete(t.Context(), owner, "a/b", false); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Restore(t.Context(), owner, "a/b"); err != nil {
				t.Fatal(err)
			}
		}, "", handle.ErrRevoked},
		{"secret expired", func(t *testing.T, f *fixture, _ string) {
			t.Helper()
			at := f.now().Add(time.Minute)
			f.put(t, "a/b", vault.Change{ExpiresAt: &at})
			f.pass(2 * time.Minute)
		}, "", vault.ErrExpired},
		{"agent revoked", func(t *testing.T, f *fixture, _ string) {
			t.Helper()
			if err := f.RevokeAgent(t.Context(), owner, "worker"); err != nil {
				t.Fatal(err)
			}
		}, "", identity.ErrUnauthenticated},
		{"handle revoked", func(t *testing.T, f *fixture, _ string) {
			t.Helper()
			list, err := f.ListHandles(t.Context(), owner, "worker")
			if err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
			if err := f.RevokeHandle(t.Context(), owner, list[0].ID); err != nil {
				t.Fatal(err)
			}
		}, "", handle.ErrRevoked},
	} {
		t.Run(tc.name, func(t *testing.T) {
			base, received := upstream(t)
			f := newDesk(t, allowAll)
			f.put(t, "a/b", vault.Change{}, base)
			if _, err := f.AddAgent(t.Context(), owner, identity.NewAgent{Name: "worker", Stdio: true}); err != nil {
				t.Fatal(err)
			}
			var who identity.Principal
			if err := f.db.View(t.Context(), func(tx *sqldb.Tx) (err error) {
				who, err = identity.New(f.rowKey).ByName(tx, "worker")
				return err
			}); err != nil {
				t.Fatal(err)
			}
			text := f.issue(t, who, broker.IssueRequest{Path: "a/b"})
			tc.change(t, f, base)
			_, err := f.HTTP(t.Context(), who, get(base, text))
			if tc.is != nil && !errors.Is(err, tc.is) || tc.is == nil && codeOf(err) != tc.code {
				t.Fatalf("got %v (code %q)", err, codeOf(err))
			}
			if len(received()) != 0 {
				t.Fatal("the request arrived")
			}
		})
	}
}

package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

// farDeed is something done to a vault elsewhere: by which call, and as which event.
type farDeed struct {
	call, event string
	do          func(ctx context.Context, f *fixture, p vault.Path) error
}

func farDeeds(t *testing.T) map[string]farDeed {
	t.Helper()
	target := vault.Target{Scheme: "https", Host: "api.example.com", Port: 443, Method: "GET", Path: "/"}
	fit := func(string, string, []vault.Destination) error { return nil }
	put := func(c vault.Change) func(context.Context, *fixture, vault.Path) error {
		return func(ctx context.Context, f *fixture, p vault.Path) error {
			_, err := f.Put(ctx, owner, p, c)
			return err
		}
	}
	return map[string]farDeed{
		"reveal": {"get", "secret.read", func(ctx context.Context, f *fixture, p vault.Path) error {
			s, err := f.Reveal(ctx, owner, p, vault.Latest)
			if err != nil && !s.Value.IsZero() {
				return errors.New("the value came with the refusal")
			}
			return err
		}},
		"mask": {"get", "secret.masked", func(ctx context.Context, f *fixture, p vault.Path) error {
			_, err := f.Redacted(ctx, local, p)
			return err
		}},
		"use": {"get", "handle.used", func(ctx context.Context, f *fixture, p vault.Path) error {
			ticket, err := f.Issue(ctx, local, broker.IssueRequest{Path: p})
			if err != nil {
				return err
			}
			lent := false
			err = f.Use(ctx, local, []string{ticket.Text}, target, fit, func(broker.Opened) error { lent = true; return nil })
			if lent != (err == nil) {
				return fmt.Errorf("lent %v with %w", lent, err)
			}
			return err
		}},
		"set":  {"put", "secret.updated", put(vault.Change{Value: secret.New([]byte("another"))})},
		"tell": {"put", "secret.updated", put(vault.Change{Description: new("told")})},
		"rotate": {"put", "secret.rotated", func(ctx context.Context, f *fixture, p vault.Path) error {
			_, err := f.Rotate(ctx, local, broker.RotateRequest{Path: p})
			return err
		}},
		"delete": {"delete", "secret.deleted", func(ctx context.Context, f *fixture, p vault.Path) error {
			_, err := f.Delete(ctx, local, p, false)
			return err
		}},
		"destroy": {"delete", "secret.purged", func(ctx context.Context, f *fixture, p vault.Path) error {
			_, err := f.Delete(ctx, owner, p, true)
			return err
		}},
		"restore": {"restore", "secret.restored", func(ctx context.Context, f *fixture, p vault.Path) error {
			if _, err := f.Delete(ctx, owner, p, false); err != nil {
				return err
			}
			_, err := f.Restore(ctx, owner, p)
			return err
		}},
	}
}

// TestElsewhereOnRecordFirst: what is done elsewhere is on record as an intent
// before it is done, and its outcome afterwards under the same event.
func TestElsewhereOnRecordFirst(t *testing.T) {
	for name, deed := range farDeeds(t) {
		t.Run(name, func(t *testing.T) {
			f := newDesk(t, allowEverything)
			far := f.sendAway(t)
			f.guarded(t, "p/key", vault.Standard)
			intent := audit.Record{}
			far.before = func(call string, p vault.Path) error {
				if call == deed.call {
					if intent = f.last(t); intent.Event != deed.event || intent.Outcome != audit.Intent || intent.Path != p {
						t.Errorf("%s of %s with %+v on record", call, p, intent)
					}
				}
				return nil
			}
			if err := deed.do(t.Context(), f, "p/key"); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(t.Context()); err != nil { // waits for outcomes
				t.Fatal(err)
			}
			outcome := f.last(t)
			if outcome.Ref != intent.Seq || outcome.Outcome != audit.OK || outcome.Path != "p/key" || outcome.Event != deed.event && outcome.Event != "handle.outcome" {
				t.Errorf("the outcome is %+v", outcome)
			}
		})
	}
}

// TestElsewhereFails: what a vault elsewhere does not do is told by its reason and
// on record with it, and nothing follows from it here.
func TestElsewhereFails(t *testing.T) {
	for name, deed := range farDeeds(t) {
		for code, failure := range map[string]error{
			"vault_unreachable": fmt.Errorf("%w: no route", vault.ErrUnreachable),
			"vault_refused":     fmt.Errorf("%w: no right", &vault.RefusedError{Code: "SCOPE_DENIED"}),
			"unsupported":       fmt.Errorf("%w", vault.ErrUnsupported),
			"internal":          errors.New("it is on fire"),
		} {
			t.Run(name+" "+code, func(t *testing.T) {
				f := newDesk(t, allowEverything)
				far := f.sendAway(t)
				f.guarded(t, "p/key", vault.Standard)
				before, err := f.Describe(t.Context(), owner, "p/key")
				if err != nil {
					t.Fatal(err)
				}
				kept := f.issue(t, local, broker.IssueRequest{Path: "p/key"})
				far.before = func(call string, _ vault.Path) error {
					if call == deed.call && (name != "restore" || call == "restore") {
						return failure
					}
					return nil
				}
				if err := deed.do(t.Context(), f, "p/key"); !errors.Is(err, failure) {
					t.Fatalf("got %v", err)
				}
				far.before = nil
				if err := f.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				if e := f.last(t); e.Code != code || e.Outcome != audit.Failed || e.Ref == 0 || e.Path != "p/key" {
					t.Errorf("recorded %+v", e)
				}
				if name == "restore" {
					return
				}
				after, err := f.Describe(t.Context(), owner, "p/key")
				if err != nil || after.Version != before.Version || len(after.Destinations) != 1 {
					t.Errorf("%+v is left, %v", after, err)
				}
				if err := f.db.View(t.Context(), func(tx *sqldb.Tx) error {
					_, err := f.config.Handles.Lookup(tx, local.ID(), kept, f.desk.Now())
					return err
				}); err != nil {
					t.Errorf("the handle ended: %v", err)
				}
			})
		}
	}
}

// TestElsewhereNotReached: before anything is decided the vault does not answer.
func TestElsewhereNotReached(t *testing.T) {
	f := newDesk(t, allowEverything)
	far := f.sendAway(t)
	f.guarded(t, "p/key", vault.Standard)
	text := f.issue(t, local, broker.IssueRequest{Path: "p/key"})
	far.before = func(string, vault.Path) error { return vault.ErrUnreachable }
	target := vault.Target{Scheme: "https", Host: "api.example.com", Port: 443, Method: "GET", Path: "/"}
	for name, do := range map[string]func() error{
		"issue": func() error { _, err := f.Issue(t.Context(), local, broker.IssueRequest{Path: "p/key"}); return err },
		"use": func() error {
			return f.Use(t.Context(), local, []string{text}, target, func(string, string, []vault.Destination) error { return nil },
				func(broker.Opened) error { t.Error("lent"); return nil })
		},
		"set":    func() error { _, err := f.set(t, local, "p/key", "another value"); return err },
		"export": func() error { _, err := f.Export(t.Context(), owner, []vault.Path{"p/key"}); return err },
		"import": func() error {
			_, err := f.Import(t.Context(), owner, broker.ImportRequest{Items: []broker.ImportItem{{Path: "p/key", Change: vault.Change{Value: secret.New([]byte("v"))}}}})
			return err
		},
	} {
		before := len(f.events(t))
		if err := do(); !errors.Is(err, vault.ErrUnreachable) {
			t.Errorf("%s: %v", name, err)
		}
		if e := f.last(t); len(f.events(t)) != before+1 || e.Code != "vault_unreachable" || e.Outcome != audit.Failed {
			t.Errorf("%s: recorded %+v", name, e)
		}
	}
	if e, err := f.Explain(t.Context(), local, broker.ExplainRequest{Path: "p/key", Right: "use"}); err != nil || e.Code != "vault_unreachable" {
		t.Errorf("explained: %+v, %v", e, err)
	}
	far.before = nil
	if err := f.Use(t.Context(), local, []string{text}, target, func(string, string, []vault.Destination) error { return nil }, func(broker.Opened) error { return nil }); err != nil {
		t.Errorf("the handle was spent in vain: %v", err)
	}
}

// TestElsewhereNotAskedInVain: what the policy refuses is no business of the vault.
func TestElsewhereNotAskedInVain(t *testing.T) {
	f := newDesk(t, "version: 1\nrules:\n  - {name: some, agents: ['@stdio'], paths: ['p/*'], allow: [list, use]}\n")
	far := f.sendAway(t)
	f.put(t, "q/key", vault.Change{}, "api.example.com")
	far.calls = nil
	for name, do := range f.deeds("q/key") {
		if err := do(t.Context(), local); codeOf(err) != "policy_denied" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(far.calls) != 0 {
		t.Errorf("it was asked: %q", far.calls)
	}
}

// TestElsewhereAskedOnce: what was decided is about what is then used, also where
// the rules look at the secret and the secret changes meanwhile.
func TestElsewhereAskedOnce(t *testing.T) {
	f := newDesk(t, whenRule("use, list, reveal", `tier != "critical" && !has(tags.team)`))
	far := f.sendAway(t)
	f.put(t, "p/key", vault.Change{}, "api.example.com")
	far.calls = nil
	f.issue(t, local, broker.IssueRequest{Path: "p/key"})
	if len(far.calls) != 1 {
		t.Errorf("asked %q", far.calls)
	}
}

// TestElsewhereChangesMeanwhile: a secret that came or went after the look is looked
// at before it is changed, and none is rotated that went.
func TestElsewhereChangesMeanwhile(t *testing.T) {
	f := newDesk(t, allowEverything)
	far := f.sendAway(t)
	once := func(do func()) {
		far.before = func(call string, _ vault.Path) error {
			if call == "put" {
				far.before = nil
				do()
			}
			return nil
		}
	}
	destroy := func(p vault.Path) func() {
		return func() {
			if _, err := f.Delete(t.Context(), owner, p, true); err != nil {
				t.Error(err)
			}
		}
	}
	once(func() { f.guarded(t, "p/came", vault.Sensitive) })
	if _, err := f.set(t, local, "p/came", "another value"); codeOf(err) != "approval_required" {
		t.Errorf("over a guarded one that came: %v", err)
	}
	if m, err := f.Describe(t.Context(), owner, "p/came"); err != nil || m.Version != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	once(func() { f.put(t, "p/plain", vault.Change{}, "api.example.com") })
	if got, err := f.set(t, local, "p/plain", "another value"); err != nil || got.Created || got.Metadata.Version != 2 {
		t.Errorf("over one that came: %+v, %v", got, err)
	}
	once(destroy("p/plain"))
	if got, err := f.set(t, local, "p/plain", "another value"); err != nil || !got.Created || len(got.Metadata.Destinations) != 0 {
		t.Errorf("where one went: %+v, %v", got, err)
	}
	once(func() { f.put(t, "p/third", vault.Change{}) })
	if _, err := f.Put(t.Context(), owner, "p/third", vault.Change{Mode: vault.Create, Value: secret.New([]byte("v"))}); !errors.Is(err, vault.ErrExists) {
		t.Errorf("created over one that came: %v", err)
	}
	f.guarded(t, "p/went", vault.Standard)
	once(destroy("p/went"))
	if _, err := f.Rotate(t.Context(), owner, broker.RotateRequest{Path: "p/went"}); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("rotated what went: %v", err)
	}
	if _, err := f.Describe(t.Context(), owner, "p/went"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("it is back: %v", err)
	}
}

// TestElsewhereHoldsUpNobody: while the vault takes its time nobody else waits for
// the state database.
func TestElsewhereHoldsUpNobody(t *testing.T) {
	for _, call := range []string{"describe", "get", "put"} {
		t.Run(call, func(t *testing.T) {
			f := newDesk(t, allowEverything)
			far := f.sendAway(t)
			f.guarded(t, "p/key", vault.Standard)
			reached, release, done := make(chan struct{}), make(chan struct{}), make(chan error)
			far.before = func(this string, _ vault.Path) error {
				if this == call {
					far.before = nil
					close(reached)
					<-release
				}
				return nil
			}
			go func() {
				_, err := f.Reveal(context.WithoutCancel(t.Context()), owner, "p/key", vault.Latest)
				if call == "put" {
					_, err = f.Put(context.WithoutCancel(t.Context()), owner, "p/key", vault.Change{Value: secret.New([]byte("next"))})
				}
				done <- err
			}()
			<-reached
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := f.db.Update(ctx, func(tx *sqldb.Tx) error { _, err := f.config.Handles.RevokePath(tx, "x", f.desk.Now()); return err }); err != nil {
				t.Errorf("somebody else: %v", err)
			}
			close(release)
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestElsewhereApproval: what is guarded there is guarded here too, by this desk's
// people; and what the other desk's people must approve is told by their request.
func TestElsewhereApproval(t *testing.T) {
	f := newDesk(t, allowEverything)
	far := f.sendAway(t)
	ada, who := f.admin(t, "ada"), f.register(t, identity.NewAgent{Name: "claude"})
	f.guarded(t, "p/key", vault.Sensitive)
	read := func() error { _, err := f.Reveal(t.Context(), who, "p/key", vault.Latest); return err }
	far.calls = nil
	asked := wantDenied(t, read(), broker.ApprovalRequired)
	for _, call := range far.calls {
		if call != "describe" {
			t.Errorf("%s before anybody agreed", call)
		}
	}
	if _, err := f.Approve(t.Context(), ada, asked.Approval, ""); err != nil {
		t.Fatal(err)
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	wantDenied(t, read(), broker.ApprovalRequired)
	far.before = func(call string, _ vault.Path) error {
		if call == "get" {
			return fmt.Errorf("%w: there", &vault.RefusedError{Code: "APPROVAL_REQUIRED", Approval: "apr_there"})
		}
		return nil
	}
	if _, err := f.Reveal(t.Context(), owner, "p/key", vault.Latest); broker.ByVault(err) == nil || broker.ByVault(err).Code != broker.VaultRefused {
		t.Errorf("theirs: %v", err)
	}
}

// TestElsewhereImport: secrets are stored one after the other, and the error says
// how far it came.
func TestElsewhereImport(t *testing.T) {
	f := newDesk(t, allowEverything)
	far := f.sendAway(t)
	items := func() (all []broker.ImportItem) {
		for _, p := range []vault.Path{"p/1", "p/2", "p/3"} {
			to, err := vault.ParseDestination("api.example.com", vault.Bearer)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, broker.ImportItem{Path: p, Change: vault.Change{Value: secret.New([]byte("v")), Destinations: &[]vault.Destination{to}}})
		}
		return all
	}
	far.before = func(call string, p vault.Path) error {
		if call == "put" {
			if e := f.about(t, p); e.Event != "secret.created" || e.Outcome != audit.Intent || e.Target != "import" {
				t.Errorf("%s is put with %+v on record", p, e)
			}
			if p == "p/2" {
				return vault.ErrUnreachable
			}
		}
		return nil
	}
	done, err := f.Import(t.Context(), owner, broker.ImportRequest{Items: items(), DryRun: true})
	if err != nil || len(done) != 3 || !done[2].Created || len(done[2].Metadata.Destinations) != 1 {
		t.Errorf("would store %+v, %v", done, err)
	}
	_, err = f.Import(t.Context(), owner, broker.ImportRequest{Items: items()})
	var item *broker.ItemError
	if !errors.As(err, &item) || item.Path != "p/2" || !errors.Is(err, vault.ErrUnreachable) || err.Error() != "p/2: vault cannot be reached (of 3 secrets 1 were stored before)" {
		t.Errorf("got %v", err)
	}
	if e := f.last(t); e.Event != "secret.imported" || e.Outcome != audit.Failed || e.Code != "vault_unreachable" {
		t.Errorf("recorded %+v", e)
	}
	for p, want := range map[vault.Path]string{"p/1": "", "p/2": "vault_unreachable", "p/3": "not_tried"} {
		if e := f.about(t, p); e.Code != want || e.Ref == 0 || (e.Outcome == audit.OK) != (want == "") {
			t.Errorf("%s: recorded %+v", p, e)
		}
	}
	if m, err := f.Describe(t.Context(), owner, "p/1"); err != nil || len(m.Destinations) != 1 {
		t.Errorf("the first one is %+v, %v", m, err)
	}
	if _, err := f.Describe(t.Context(), owner, "p/3"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("the last one: %v", err)
	}
	far.before = nil
	var conflict *broker.ImportConflict
	if _, err := f.Import(t.Context(), owner, broker.ImportRequest{Items: items()}); !errors.As(err, &conflict) || len(conflict.Exist) != 1 {
		t.Errorf("again: %v", err)
	}
	if done, err := f.Import(t.Context(), owner, broker.ImportRequest{Items: items(), Replace: true}); err != nil || len(done) != 3 || done[0].Created || !done[1].Created {
		t.Errorf("in their place: %+v, %v", done, err)
	}
	got, err := f.Export(t.Context(), owner, []vault.Path{"p/3", "p/1"})
	if err != nil || len(got) != 2 || got[0].Path != "p/3" || !got[1].Value.Equal(secret.New([]byte("v"))) {
		t.Errorf("exported %d, %v", len(got), err)
	}
}

// about is the newest event of a path.
func (f *fixture) about(t *testing.T, p vault.Path) (found audit.Record) {
	t.Helper()
	for _, e := range f.events(t) {
		if e.Path == p {
			found = e
		}
	}
	return found
}

// TestElsewhereNotKept: what was done there is not told as not done when what belongs
// to it here cannot be written.
func TestElsewhereNotKept(t *testing.T) {
	f := newDesk(t, allowEverything)
	far := f.sendAway(t)
	far.before = func(call string, _ vault.Path) error {
		if call != "put" {
			return nil
		}
		return f.db.Update(t.Context(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(`CREATE TRIGGER full BEFORE INSERT ON overlay BEGIN SELECT RAISE(ABORT, 'full'); END`)
			return err
		})
	}
	to, err := vault.ParseDestination("api.example.com", vault.Bearer)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Put(t.Context(), owner, "p/key", vault.Change{Value: secret.New([]byte("v")), Destinations: &[]vault.Destination{to}})
	wantDenied(t, err, broker.NotKept)
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := f.last(t); e.Event != "secret.created" || e.Code != "not_kept" || e.Ref == 0 {
		t.Errorf("recorded %+v", e)
	}
	if m, err := far.Vault.Describe(t.Context(), "p/key"); err != nil || m.Version != 1 {
		t.Errorf("there: %+v, %v", m, err)
	}
}

// TestElsewhereTrash: a deleted secret that can come back there is looked at as one
// here is.
func TestElsewhereTrash(t *testing.T) {
	f := newDesk(t, allowEverything)
	f.sendAway(t)
	for p, tier := range map[vault.Path]vault.Tier{"p/key": vault.Standard, "p/guarded": vault.Sensitive} {
		f.guarded(t, p, tier)
		if _, err := f.Delete(t.Context(), owner, p, false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.set(t, local, "p/guarded", "another value"); codeOf(err) != "in_trash" || f.last(t).Code != "in_trash" {
		t.Errorf("in its place: %v", err)
	}
	if got, err := f.set(t, local, "p/key", "another value"); err != nil || got.Metadata.Version != 2 || len(got.Metadata.Destinations) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestElsewhereDestinations: where a secret may go is looked at when it is used.
func TestElsewhereDestinations(t *testing.T) {
	f := newDesk(t, allowEverything)
	far := f.sendAway(t)
	f.put(t, "p/key", vault.Change{}, "api.example.com", "other.example.com")
	text := f.issue(t, local, broker.IssueRequest{Path: "p/key"})
	use := func(host string) error {
		target := vault.Target{Scheme: "https", Host: host, Port: 443, Method: "GET", Path: "/"}
		return f.Use(t.Context(), local, []string{text}, target, func(string, string, []vault.Destination) error { return nil }, func(broker.Opened) error { return nil })
	}
	if err := use("other.example.com"); err != nil {
		t.Fatal(err)
	}
	one, err := vault.ParseDestination("api.example.com", vault.Bearer)
	if err != nil {
		t.Fatal(err)
	}
	// Between the look at the vault and the transaction.
	far.before = func(call string, _ vault.Path) error {
		if call != "describe" {
			return nil
		}
		far.before = nil
		_, err := f.Put(t.Context(), owner, "p/key", vault.Change{Destinations: &[]vault.Destination{one}})
		return err
	}
	if err := use("other.example.com"); codeOf(err) != "destination_refused" {
		t.Errorf("taken away: %v", err)
	}
	if err := use("api.example.com"); err != nil {
		t.Error(err)
	}
	if err := f.db.Update(t.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(`UPDATE overlay SET destinations = replace(destinations, 'api.', 'evil.')`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := use("api.example.com"); !errors.Is(err, vault.ErrCorrupt) {
		t.Errorf("damaged: %v", err)
	}
	if _, err := f.Put(t.Context(), f.admin(t, "ada"), "p/key", vault.Change{Destinations: &[]vault.Destination{one}}); err != nil {
		t.Errorf("mended: %v", err)
	}
	if err := use("api.example.com"); err != nil {
		t.Error(err)
	}
}

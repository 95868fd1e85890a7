package broker_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

const allowEverything = `
version: 1
rules:
  - name: everything
    agents: ["*"]
    doors: [mcp, rest]
    paths: ["*"]
    allow: [list, use, reveal, set, rotate, delete, token]
    permanent: true
`

// admin registers an admin and returns it as the door for programs does.
func (f *fixture) admin(tb testing.TB, name string) identity.Principal {
	tb.Helper()
	key, err := f.AddAdmin(tb.Context(), owner, name)
	if err != nil {
		tb.Fatal(err)
	}
	return f.by(tb, key)
}

// register registers an agent and returns it as the door for programs does.
func (f *fixture) register(tb testing.TB, a identity.NewAgent) identity.Principal {
	tb.Helper()
	key, err := f.AddAgent(tb.Context(), owner, a)
	if err != nil {
		tb.Fatal(err)
	}
	return f.by(tb, key)
}

// by is whoever shows a credential at the door for programs.
func (f *fixture) by(tb testing.TB, credential string) (who identity.Principal) {
	tb.Helper()
	err := f.db.View(tb.Context(), func(tx *sqldb.Tx) (err error) {
		who, err = f.config.Agents.ByCredential(tx, credential, "127.0.0.1", f.desk.Now())
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	who.Door, who.Addr = policy.DoorREST, "127.0.0.1"
	return who
}

// wantDenied returns the refusal that err is.
func wantDenied(tb testing.TB, err error, code broker.Code) broker.Denied {
	tb.Helper()
	var denied *broker.Denied
	if !errors.As(err, &denied) || denied.Code != code {
		tb.Fatalf("%v, want a refusal of code %s", err, code)
	}
	return *denied
}

func (f *fixture) guarded(tb testing.TB, p vault.Path, tier vault.Tier) string {
	tb.Helper()
	return f.put(tb, p, vault.Change{Tier: &tier, Generate: new(vault.Recipe("{base62:20}"))}, "api.example.com")
}

// deeds are what needs an approval on a guarded secret.
func (f *fixture) deeds(p vault.Path) map[string]func(ctx context.Context, who identity.Principal) error {
	return map[string]func(ctx context.Context, who identity.Principal) error{
		"use": func(ctx context.Context, who identity.Principal) error {
			_, err := f.Issue(ctx, who, broker.IssueRequest{Path: p})
			return err
		},
		"reveal": func(ctx context.Context, who identity.Principal) error {
			_, err := f.Reveal(ctx, who, p, vault.Latest)
			return err
		},
		"rotate": func(ctx context.Context, who identity.Principal) error {
			_, err := f.Rotate(ctx, who, broker.RotateRequest{Path: p, Grace: time.Minute})
			return err
		},
		"set": func(ctx context.Context, who identity.Principal) error {
			_, err := f.Put(ctx, who, p, vault.Change{Value: secret.New([]byte("the next value"))})
			return err
		},
		"delete": func(ctx context.Context, who identity.Principal) error {
			_, err := f.Delete(ctx, who, p, false)
			return err
		},
	}
}

// TestApprovalBuysOneDeed: each deed on a guarded secret waits for people, passes
// once when they have agreed, and asks anew after that.
func TestApprovalBuysOneDeed(t *testing.T) {
	for name := range (&fixture{}).deeds("") {
		t.Run(name, func(t *testing.T) {
			f := newDesk(t, allowEverything)
			ada, who := f.admin(t, "ada"), f.register(t, identity.NewAgent{Name: "claude"})
			f.guarded(t, "p/key", vault.Sensitive)
			deed := f.deeds("p/key")[name]
			asked := wantDenied(t, deed(t.Context(), who), broker.ApprovalRequired)
			if !approval.IsID(asked.Approval) || !strings.Contains(asked.Next, asked.Approval) {
				t.Fatalf("%+v", asked)
			}
			if again := wantDenied(t, deed(t.Context(), who), broker.ApprovalRequired); again.Approval != asked.Approval {
				t.Errorf("asked twice: %s and %s", asked.Approval, again.Approval)
			}
			r, err := f.Approval(t.Context(), who, asked.Approval)
			if err != nil || r.Status != approval.Pending || r.Action != policy.Right(name) || r.Path != "p/key" || r.Requester != who.ID() || r.Tier != vault.Sensitive {
				t.Errorf("%+v, %v", r, err)
			}
			if r, err = f.Approve(t.Context(), ada, asked.Approval, "fine"); err != nil || r.Status != approval.Approved {
				t.Fatalf("%+v, %v", r, err)
			}
			if err := deed(t.Context(), who); err != nil {
				t.Fatal(err)
			}
			if r, err = f.Approval(t.Context(), who, asked.Approval); err != nil || r.Status != approval.Used {
				t.Errorf("%s, %v", r.Status, err)
			}
			if name == "delete" {
				return
			}
			if again := wantDenied(t, deed(t.Context(), who), broker.ApprovalRequired); again.Approval == asked.Approval {
				t.Error("one approval for two")
			}
		})
	}
}

// TestApprovalIsForExactlyThat: an approval lets nothing else pass: not for
// another, not another deed, path, version, lifetime, value, rule or destination.
func TestApprovalIsForExactlyThat(t *testing.T) {
	f := newDesk(t, allowEverything)
	ada := f.admin(t, "ada")
	who, other := f.register(t, identity.NewAgent{Name: "claude"}), f.register(t, identity.NewAgent{Name: "other"})
	f.guarded(t, "p/key", vault.Sensitive)
	f.guarded(t, "p/second", vault.Sensitive)
	issue := func(who identity.Principal, r broker.IssueRequest) error {
		_, err := f.Issue(t.Context(), who, r)
		return err
	}
	asked := broker.IssueRequest{Path: "p/key", TTL: time.Minute, Uses: 2}
	id := wantDenied(t, issue(who, asked), broker.ApprovalRequired).Approval
	if _, err := f.Approve(t.Context(), ada, id, ""); err != nil {
		t.Fatal(err)
	}
	set := func(value string) error {
		_, err := f.Put(t.Context(), who, "p/second", vault.Change{Value: secret.New([]byte(value))})
		return err
	}
	setID := wantDenied(t, set("one value of many"), broker.ApprovalRequired).Approval
	if _, err := f.Approve(t.Context(), ada, setID, ""); err != nil {
		t.Fatal(err)
	}
	wantDenied(t, set("another value"), broker.ApprovalRequired)
	wantDenied(t, issue(other, asked), broker.ApprovalRequired)
	for name, r := range map[string]broker.IssueRequest{
		"path": {Path: "p/second", TTL: time.Minute, Uses: 2}, "version": {Path: "p/key", TTL: time.Minute, Uses: 2, Version: 1},
		"ttl": {Path: "p/key", TTL: time.Hour, Uses: 2}, "uses": {Path: "p/key", TTL: time.Minute}, "all": {Path: "p/key"},
	} {
		if got := wantDenied(t, issue(who, r), broker.ApprovalRequired); got.Approval == id {
			t.Errorf("%s: the same request", name)
		}
	}
	f.setPolicy(t, strings.Replace(allowEverything, "permanent: true", "limits: {uses: 9}", 1))
	wantDenied(t, issue(who, asked), broker.ApprovalRequired)
	f.setPolicy(t, allowEverything)
	to, err := vault.ParseDestination("elsewhere.example.com", vault.Bearer)
	if err != nil {
		t.Fatal(err)
	}
	before, err := f.Describe(t.Context(), owner, "p/key")
	if err != nil {
		t.Fatal(err)
	}
	wider := append(slices.Clone(before.Destinations), to)
	for _, step := range []struct {
		to     []vault.Destination
		passes bool
	}{{wider, false}, {before.Destinations, true}} {
		if _, err := f.Put(t.Context(), owner, "p/key", vault.Change{Destinations: &step.to}); err != nil {
			t.Fatal(err)
		}
		if err := issue(who, asked); (err == nil) != step.passes {
			t.Errorf("to %d destinations: %v", len(step.to), err)
		}
	}
	if err := set("one value of many"); err != nil {
		t.Error(err)
	}
}

// TestApprovalsReplayed: of many at once one passes (T22).
func TestApprovalsReplayed(t *testing.T) {
	f := newDesk(t, allowEverything)
	ada, who := f.admin(t, "ada"), f.register(t, identity.NewAgent{Name: "claude"})
	f.guarded(t, "p/key", vault.Sensitive)
	deed := f.deeds("p/key")["use"]
	id := wantDenied(t, deed(t.Context(), who), broker.ApprovalRequired).Approval
	if _, err := f.Approve(t.Context(), ada, id, ""); err != nil {
		t.Fatal(err)
	}
	var passed atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 25 {
				if deed(t.Context(), who) == nil {
					passed.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := passed.Load(); n != 1 {
		t.Errorf("%d passed", n)
	}
}

// TestWhoApproves: only an admin, never the one who asks, and for critical two of
// them; then the delay, in which either stops it.
func TestWhoApproves(t *testing.T) {
	f := newDesk(t, allowEverything)
	ada, bob := f.admin(t, "ada"), f.admin(t, "bob")
	who, other := f.register(t, identity.NewAgent{Name: "claude"}), f.register(t, identity.NewAgent{Name: "other"})
	f.guarded(t, "p/key", vault.Critical)
	deed := f.deeds("p/key")["use"]
	id := wantDenied(t, deed(t.Context(), who), broker.ApprovalRequired).Approval
	ofModel := ada
	ofModel.Door = policy.DoorMCP
	for _, someone := range []identity.Principal{who, other, owner, local, ofModel} {
		_, err := f.Approve(t.Context(), someone, id, "")
		wantDenied(t, err, broker.OwnerOnly)
		_, err = f.Deny(t.Context(), someone, id, "")
		wantDenied(t, err, broker.OwnerOnly)
	}
	if _, err := f.Approval(t.Context(), other, id); !errors.Is(err, approval.ErrUnknown) {
		t.Errorf("another agent sees it: %v", err)
	}
	for step, want := range []error{nil, approval.ErrVoted} {
		if _, err := f.Approve(t.Context(), ada, id, ""); !errors.Is(err, want) {
			t.Fatalf("%d: %v", step, err)
		}
	}
	wantDenied(t, deed(t.Context(), who), broker.ApprovalRequired)
	r, err := f.Approve(t.Context(), bob, id, "")
	if err != nil || r.Status != approval.Pending || r.ReadyAt.Sub(f.now()) != 5*time.Minute {
		t.Fatalf("%+v, %v", r, err)
	}
	if waits := wantDenied(t, deed(t.Context(), who), broker.ApprovalRequired); waits.RetryAfter != 5*time.Minute || !strings.Contains(waits.Next, "again") {
		t.Errorf("%+v", waits)
	}
	f.pass(5 * time.Minute)
	if err := deed(t.Context(), who); err != nil {
		t.Fatal(err)
	}

	id = wantDenied(t, deed(t.Context(), who), broker.ApprovalRequired).Approval
	for _, admin := range []identity.Principal{ada, bob} {
		if _, err := f.Approve(t.Context(), admin, id, ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Deny(t.Context(), ada, id, "not today"); err != nil {
		t.Fatal(err)
	}
	f.pass(6 * time.Minute)
	if denied := wantDenied(t, deed(t.Context(), who), broker.ApprovalDenied); denied.Approval != id {
		t.Errorf("%+v", denied)
	}
}

// TestAdminReadsWithOthers: an admin changes what it likes without rules, and
// reads what is guarded only when other admins agree.
func TestAdminReadsWithOthers(t *testing.T) {
	f := newDesk(t, "version: 1\nrules: []\n")
	ada, bob := f.admin(t, "ada"), f.admin(t, "bob")
	plain := f.guarded(t, "p/plain", vault.Standard)
	value := f.guarded(t, "p/key", vault.Sensitive)
	if s, err := f.Reveal(t.Context(), ada, "p/plain", vault.Latest); err != nil || string(s.Value.Reveal()) != plain {
		t.Error(err)
	}
	read := f.deeds("p/key")["reveal"]
	id := wantDenied(t, read(t.Context(), ada), broker.ApprovalRequired).Approval
	if _, err := f.Approve(t.Context(), ada, id, ""); !errors.Is(err, approval.ErrOwnRequest) {
		t.Errorf("approved its own: %v", err)
	}
	if _, err := f.Approve(t.Context(), bob, id, ""); err != nil {
		t.Fatal(err)
	}
	if s, err := f.Reveal(t.Context(), ada, "p/key", vault.Latest); err != nil || string(s.Value.Reveal()) != value {
		t.Error(err)
	}
	wantDenied(t, f.deeds("p/key")["use"](t.Context(), ada), broker.PolicyDenied)
	for _, name := range []string{"set", "rotate", "delete"} {
		if err := f.deeds("p/key")[name](t.Context(), ada); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := f.Restore(t.Context(), ada, "p/key"); err != nil {
		t.Error(err)
	}
	ofModel := ada
	ofModel.Door = policy.DoorMCP
	f.setPolicy(t, allowEverything)
	for name, deed := range f.deeds("p/plain") {
		if err := deed(t.Context(), ofModel); err == nil {
			t.Errorf("%s with an admin's key in the hands of a model", name)
		}
	}
	if page, err := f.List(t.Context(), ofModel, broker.ListRequest{}); err != nil || len(page.Items) != 0 {
		t.Errorf("lists %d, %v", len(page.Items), err)
	}
}

// TestRevokedAdmin: what a revoked admin agreed to counts no longer.
func TestRevokedAdmin(t *testing.T) {
	f := newDesk(t, allowEverything)
	ada, who := f.admin(t, "ada"), f.register(t, identity.NewAgent{Name: "claude"})
	f.guarded(t, "p/key", vault.Sensitive)
	deed := f.deeds("p/key")["use"]
	id := wantDenied(t, deed(t.Context(), who), broker.ApprovalRequired).Approval
	if _, err := f.Approve(t.Context(), ada, id, ""); err != nil {
		t.Fatal(err)
	}
	if err := f.RevokeAdmin(t.Context(), owner, "ada"); err != nil {
		t.Fatal(err)
	}
	if got := wantDenied(t, deed(t.Context(), who), broker.ApprovalRequired); got.Approval != id {
		t.Errorf("%+v", got)
	}
	if _, err := f.Approve(t.Context(), ada, id, ""); !errors.Is(err, identity.ErrUnauthenticated) {
		t.Errorf("still approves: %v", err)
	}
	if _, _, err := f.Events(t.Context(), ada, 1, 10); err == nil {
		t.Error("still reads the record")
	}
}

// TestApprovalExpires: nobody decided; that is told once, and asking again makes a
// new request.
func TestApprovalExpires(t *testing.T) {
	f := newDesk(t, allowEverything)
	ada, who := f.admin(t, "ada"), f.register(t, identity.NewAgent{Name: "claude"})
	f.guarded(t, "p/key", vault.Sensitive)
	deed := f.deeds("p/key")["use"]
	id := wantDenied(t, deed(t.Context(), who), broker.ApprovalRequired).Approval
	f.pass(15 * time.Minute)
	if _, err := f.Approve(t.Context(), ada, id, ""); !errors.Is(err, approval.ErrSettled) {
		t.Errorf("approved late: %v", err)
	}
	if again := wantDenied(t, deed(t.Context(), who), broker.ApprovalRequired); again.Approval == id {
		t.Error("the same request again")
	}
	for range 2 {
		if err := f.Sign(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	events, _, err := f.Events(t.Context(), owner, 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, e := range events {
		if e.Event == "approval.expired" && strings.HasPrefix(e.Target, id) {
			told++
		}
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

// TestAdminLowersTierWithOthers: else one key would open what takes several to read.
func TestAdminLowersTierWithOthers(t *testing.T) {
	f := newDesk(t, allowEverything)
	ada, bob, eve := f.admin(t, "ada"), f.admin(t, "bob"), f.admin(t, "eve")
	value := f.guarded(t, "p/key", vault.Critical)
	lower := func(to vault.Tier) error {
		_, err := f.Put(t.Context(), ada, "p/key", vault.Change{Tier: &to})
		return err
	}
	id := wantDenied(t, lower(vault.Standard), broker.ApprovalRequired).Approval
	r, err := f.Approval(t.Context(), bob, id)
	if err != nil || r.Action != policy.Set || len(r.Details) != 1 || r.Details[0] != (approval.Detail{Name: "tier", Text: "standard"}) {
		t.Errorf("%+v, %v", r, err)
	}
	for _, admin := range []identity.Principal{bob, eve} {
		if _, err := f.Approve(t.Context(), admin, id, ""); err != nil {
			t.Fatal(err)
		}
	}
	f.pass(5 * time.Minute)
	if got := wantDenied(t, lower(vault.Sensitive), broker.ApprovalRequired); got.Approval == id {
		t.Error("approved for another tier")
	}
	_, err = f.Reveal(t.Context(), ada, "p/key", vault.Latest)
	wantDenied(t, err, broker.ApprovalRequired)
	if err := lower(vault.Standard); err != nil {
		t.Fatal(err)
	}
	if s, err := f.Reveal(t.Context(), ada, "p/key", vault.Latest); err != nil || string(s.Value.Reveal()) != value {
		t.Error(err)
	}
	if err := lower(vault.Critical); err != nil {
		t.Errorf("raised: %v", err)
	}
}

// TestNobodyIsAskedForWhatCannotBe: a request that fails whoever agrees to it is
// refused at once.
func TestNobodyIsAskedForWhatCannotBe(t *testing.T) {
	f := newDesk(t, allowEverything)
	ada, who := f.admin(t, "ada"), f.register(t, identity.NewAgent{Name: "claude"})
	f.put(t, "p/bare", vault.Change{Tier: new(vault.Critical)})
	f.guarded(t, "p/key", vault.Critical)
	f.put(t, "p/plain", vault.Change{})
	f.guarded(t, "p/old", vault.Sensitive)
	if _, err := f.Put(t.Context(), owner, "p/old", vault.Change{ExpiresAt: new(f.now().Add(time.Second))}); err != nil {
		t.Fatal(err)
	}
	f.pass(time.Minute)
	issue := func(p vault.Path) error {
		_, err := f.Issue(t.Context(), who, broker.IssueRequest{Path: p})
		return err
	}
	reveal := func(p vault.Path, version int) error { _, err := f.Reveal(t.Context(), who, p, version); return err }
	rotate := func(p vault.Path, value string) error {
		r := broker.RotateRequest{Path: p}
		if value != "" {
			r.Value = secret.New([]byte(value))
		}
		_, err := f.Rotate(t.Context(), who, r)
		return err
	}
	put := func(p vault.Path, c vault.Change) error {
		c.Value = secret.New([]byte("the next value"))
		_, err := f.Put(t.Context(), who, p, c)
		return err
	}
	token := func(who identity.Principal, r broker.TokenRequest) error {
		r.Scopes = scopes(t, "secrets:read:*")
		_, err := f.IssueToken(t.Context(), who, r)
		return err
	}
	for name, c := range map[string]struct {
		err  error
		want any // a broker.Code, an error, or the field of a *vault.InvalidError
	}{
		"handle that goes nowhere":        {issue("p/bare"), broker.NoDestination},
		"handle of what has expired":      {issue("p/old"), vault.ErrExpired},
		"reading of what has expired":     {reveal("p/old", vault.Latest), vault.ErrExpired},
		"version that never was":          {reveal("p/key", 9), vault.ErrNotFound},
		"rotation that takes a human":     {rotate("p/bare", ""), broker.HumanNeeded},
		"reference for a value":           {rotate("p/key", vault.ReferencePrefix+"a/b"), "value"},
		"new where there is one":          {put("p/key", vault.Change{Mode: vault.Create}), vault.ErrExists},
		"new and other where one is":      {put("p/plain", vault.Change{Mode: vault.Create, Description: new("x")}), vault.ErrExists},
		"next of nothing":                 {put("p/no", vault.Change{Mode: vault.Replace}), vault.ErrNotFound},
		"next and other of nothing":       {put("p/no", vault.Change{Mode: vault.Replace, Description: new("x")}), vault.ErrNotFound},
		"token for too short a time":      {token(who, broker.TokenRequest{TTL: time.Second}), "ttl"},
		"token for too long a time":       {token(who, broker.TokenRequest{TTL: 48 * time.Hour}), "ttl"},
		"token for less than no use":      {token(who, broker.TokenRequest{MaxUses: -1}), "max_uses"},
		"token for what is no address":    {token(who, broker.TokenRequest{Addrs: []netip.Prefix{{}}}), "address"},
		"token described with controls":   {token(who, broker.TokenRequest{Description: "a\nb"}), "description"},
		"token of an agent there is none": {token(ada, broker.TokenRequest{For: "nobody"}), identity.ErrUnknownAgent},
	} {
		switch want := c.want.(type) {
		case broker.Code:
			if codeOf(c.err) != string(want) {
				t.Errorf("%s: %v", name, c.err)
			}
		case error:
			if !errors.Is(c.err, want) {
				t.Errorf("%s: %v", name, c.err)
			}
		case string:
			if bad := (*vault.InvalidError)(nil); !errors.As(c.err, &bad) || bad.Field != want {
				t.Errorf("%s: %v", name, c.err)
			}
		}
	}
	items := []broker.ImportItem{{Path: "p/key", Change: vault.Change{Value: secret.New([]byte("the next value"))}}}
	_, err := f.Import(t.Context(), who, broker.ImportRequest{Items: items, Replace: true, DryRun: true})
	wantDenied(t, err, broker.ApprovalRequired)
	if page, err := f.Approvals(t.Context(), ada, approval.Query{}); err != nil || len(page.Items) != 0 {
		t.Errorf("people are asked: %+v, %v", page, err)
	}
}

// TestNoKeyStandsOnRecord: one that is taken for a name, by mistake.
func TestNoKeyStandsOnRecord(t *testing.T) {
	f := newDesk(t, allowEverything)
	key, err := f.AddAdmin(t.Context(), owner, "ada")
	if err != nil {
		t.Fatal(err)
	}
	foreign := "sk-proj-" + strings.Repeat("Zq7", 16)
	for _, name := range []string{key, "named " + key, foreign} {
		if err := f.RevokeAdmin(t.Context(), owner, name); !errors.Is(err, identity.ErrUnknownAdmin) {
			t.Error(err)
		}
		if err := f.RevokeAgent(t.Context(), owner, name); !errors.Is(err, identity.ErrUnknownAgent) {
			t.Error(err)
		}
		if _, err := f.AddAgent(t.Context(), owner, identity.NewAgent{Name: name}); name != foreign && err == nil {
			t.Error("a key is a name")
		}
		if _, err := f.AddAdmin(t.Context(), owner, name); name != foreign && err == nil {
			t.Error("a key is a name")
		}
	}
	if err := f.RevokeAgent(t.Context(), owner, "nobody"); !errors.Is(err, identity.ErrUnknownAgent) {
		t.Error(err)
	}
	named := false
	for _, e := range f.events(t) {
		if named = named || e.Event == "agent.revoked" && e.Target == "nobody"; strings.Contains(e.Target, key) || strings.Contains(e.Target, foreign) {
			t.Errorf("%s shows a key", e.Event)
		}
	}
	if !named {
		t.Error("no name is on record")
	}
}

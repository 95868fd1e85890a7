package broker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

func scopes(tb testing.TB, texts ...string) identity.Scopes {
	tb.Helper()
	s, err := identity.ParseScopes(texts)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// token issues a token to an agent and returns it as the door for programs does.
func (f *fixture) token(tb testing.TB, who identity.Principal, r broker.TokenRequest) (identity.Principal, broker.IssuedToken) {
	tb.Helper()
	t, err := f.IssueToken(tb.Context(), who, r)
	if err != nil {
		tb.Fatal(err)
	}
	return f.by(tb, t.Text), t
}

// TestTokenCarriesNoMore: a token does what its scopes, its agent and the policy
// all allow, and what it may not is refused before anybody looks whether the
// secret is there.
func TestTokenCarriesNoMore(t *testing.T) {
	f := newDesk(t, `
version: 1
rules:
  - {name: reads, agents: ["*"], doors: [rest], paths: ["*"], allow: [list, reveal, token]}
  - {name: sets, agents: ["*"], doors: [rest], paths: ["a/*"], allow: [set, delete]}
  - {name: not these, agents: ["*"], doors: [rest], paths: ["a/shut/*"], deny: [reveal]}
  - {name: no tokens here, agents: ["*"], doors: [rest], paths: ["a/own/*"], deny: [token]}
`)
	for _, p := range []vault.Path{"a/x", "a/shut/x", "a/own/x", "b/x"} {
		f.put(t, p, vault.Change{})
	}
	who := f.register(t, identity.NewAgent{Name: "claude"})
	reader, _ := f.token(t, who, broker.TokenRequest{Scopes: scopes(t, "secrets:read:a/*")})
	writer, _ := f.token(t, who, broker.TokenRequest{Scopes: scopes(t, "secrets:write:*")})
	read := func(who identity.Principal, p vault.Path) error {
		_, err := f.Reveal(t.Context(), who, p, vault.Latest)
		return err
	}
	set := func(who identity.Principal, p vault.Path) error {
		_, err := f.Put(t.Context(), who, p, vault.Change{Value: secret.New([]byte("another value"))})
		return err
	}
	for name, c := range map[string]struct {
		do   func(identity.Principal, vault.Path) error
		who  identity.Principal
		path vault.Path
		want broker.Code
	}{
		"agent reads":                    {read, who, "b/x", ""},
		"agent reads its own":            {read, who, "a/own/x", ""},
		"reads":                          {read, reader, "a/x", ""},
		"reads beyond its scope":         {read, reader, "b/x", broker.ScopeDenied},
		"reads nothing beyond":           {read, reader, "b/nothing", broker.ScopeDenied},
		"reads what a rule denies":       {read, reader, "a/shut/x", broker.PolicyDenied},
		"reads where no tokens are":      {read, reader, "a/own/x", broker.PolicyDenied},
		"writes with a token to read":    {set, reader, "a/x", broker.ScopeDenied},
		"writes":                         {set, writer, "a/x", ""},
		"writes where its agent may not": {set, writer, "b/x", broker.PolicyDenied},
		"reads with a token to write":    {read, writer, "a/x", broker.ScopeDenied},
	} {
		err := c.do(c.who, c.path)
		var denied *broker.Denied
		if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &denied) || denied.Code != c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if c.want == broker.ScopeDenied && denied != nil && !strings.HasSuffix(denied.Scope, ":"+string(c.path)) {
			t.Errorf("%s: names scope %q", name, denied.Scope)
		}
	}
	for path, want := range map[vault.Path]broker.Code{"b/x": broker.ScopeDenied, "a/own/x": broker.PolicyDenied, "a/x": ""} {
		if got, err := f.Explain(t.Context(), reader, broker.ExplainRequest{Path: path, Right: policy.Reveal}); err != nil || got.Code != string(want) {
			t.Errorf("%s is explained as %+v, %v", path, got, err)
		}
	}
	page, err := f.List(t.Context(), reader, broker.ListRequest{})
	if err != nil || len(page.Items) != 2 { // where there are no tokens it lists nothing
		t.Errorf("lists %+v, %v", page.Items, err)
	}
	if page, err = f.List(t.Context(), writer, broker.ListRequest{}); err != nil || len(page.Items) != 0 {
		t.Errorf("a token to write lists %+v, %v", page.Items, err)
	}
	_, err = f.IssueToken(t.Context(), reader, broker.TokenRequest{Scopes: scopes(t, "secrets:read:a/*")})
	wantDenied(t, err, broker.ScopeDenied)
}

// TestBoundedAgent: an agent that was registered for some namespaces and scopes
// gets no further with its own key, nor with tokens.
func TestBoundedAgent(t *testing.T) {
	f := newDesk(t, allowEverything)
	for _, p := range []vault.Path{"dev/a/x", "prod/a/x"} {
		f.put(t, p, vault.Change{})
	}
	namespaces, err := identity.ParseNamespaces([]string{"dev"})
	if err != nil {
		t.Fatal(err)
	}
	who := f.register(t, identity.NewAgent{Name: "ci", Namespaces: namespaces, Scopes: scopes(t, "read:secrets")})
	wide, _ := f.token(t, who, broker.TokenRequest{Scopes: scopes(t, "*")})
	for _, one := range []identity.Principal{who, wide} {
		if _, err := f.Reveal(t.Context(), one, "dev/a/x", vault.Latest); err != nil {
			t.Errorf("%s: %v", one.ID(), err)
		}
		_, err := f.Reveal(t.Context(), one, "prod/a/x", vault.Latest)
		wantDenied(t, err, broker.ScopeDenied)
		_, err = f.Put(t.Context(), one, "dev/a/x", vault.Change{Value: secret.New([]byte("another value"))})
		wantDenied(t, err, broker.ScopeDenied)
		page, err := f.List(t.Context(), one, broker.ListRequest{})
		if err != nil || len(page.Items) != 1 || page.Items[0].Path != "dev/a/x" {
			t.Errorf("%s lists %+v, %v", one.ID(), page.Items, err)
		}
		names, err := f.Namespaces(t.Context(), one, "")
		if err != nil || len(names.Items) != 1 || names.Items[0] != (broker.Namespace{Path: "dev/a", Secrets: 1}) {
			t.Errorf("%s: namespaces %+v, %v", one.ID(), names, err)
		}
	}
	_, err = f.IssueToken(t.Context(), who, broker.TokenRequest{Scopes: scopes(t, "secrets:read:prod/*")})
	if denied := wantDenied(t, err, broker.ScopeDenied); denied.Scope != "secrets:read:prod/*" {
		t.Errorf("%+v", denied)
	}
}

// TestTokenOfGuardedSecrets: a token that can read a guarded secret waits for
// people, passes with the same request or a narrower one, and reads nothing that
// is more guarded by then.
func TestTokenOfGuardedSecrets(t *testing.T) {
	f := newDesk(t, allowEverything)
	ada, who := f.admin(t, "ada"), f.register(t, identity.NewAgent{Name: "claude"})
	f.guarded(t, "p/plain", vault.Standard)
	f.guarded(t, "p/key", vault.Sensitive)
	ask := func(r broker.TokenRequest) (broker.IssuedToken, error) { return f.IssueToken(t.Context(), who, r) }
	net := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	wide := broker.TokenRequest{Scopes: scopes(t, "secrets:*:p/*"), TTL: time.Hour, Addrs: net, Description: "for the job"}
	if _, err := ask(broker.TokenRequest{Scopes: scopes(t, "secrets:write:p/*", "secrets:read:p/plain")}); err != nil {
		t.Errorf("nothing guarded is read: %v", err)
	}
	_, err := ask(wide)
	id := wantDenied(t, err, broker.ApprovalRequired).Approval
	r, err := f.Approval(t.Context(), ada, id)
	if err != nil || r.Description != "for the job" || r.Tier != vault.Sensitive || len(r.Scopes) != 1 || r.Scopes[0] != "secrets:*:p/*" {
		t.Errorf("%+v, %v", r, err)
	}
	narrow := broker.TokenRequest{Scopes: scopes(t, "secrets:read:p/k*"), TTL: time.Minute, MaxUses: 5, Addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	_, err = ask(narrow) // is pending itself when the wider one is approved
	wantDenied(t, err, broker.ApprovalRequired)
	if _, err := f.Approve(t.Context(), ada, id, ""); err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string]broker.TokenRequest{
		"longer": {Scopes: wide.Scopes, TTL: 2 * time.Hour, Addrs: net}, "wider": {Scopes: scopes(t, "secrets:read:*"), Addrs: net},
		"from anywhere": {Scopes: wide.Scopes}, "from elsewhere": {Scopes: wide.Scopes, Addrs: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}},
	} {
		_, err := ask(other)
		if got := wantDenied(t, err, broker.ApprovalRequired); got.Approval == id {
			t.Errorf("%s: the same request", name)
		}
	}
	reader, issued := f.token(t, who, narrow)
	if issued.Approval != id || issued.Tier != vault.Sensitive {
		t.Errorf("%+v", issued.Token)
	}
	if _, err := f.Reveal(t.Context(), reader, "p/key", vault.Latest); err != nil {
		t.Error(err)
	}
	_, err = ask(wide)
	if again := wantDenied(t, err, broker.ApprovalRequired); again.Approval == id {
		t.Error("one approval for two tokens")
	}
	if _, err := f.Put(t.Context(), owner, "p/key", vault.Change{Tier: new(vault.Critical)}); err != nil {
		t.Fatal(err)
	}
	_, err = f.Reveal(t.Context(), reader, "p/key", vault.Latest)
	wantDenied(t, err, broker.ApprovalRequired)
	_, err = ask(narrow)
	if got := wantDenied(t, err, broker.ApprovalRequired); got.Approval == id {
		t.Error("approved for less")
	}
}

// TestClaim: whoever asked fetches the token with the id of the request, once.
func TestClaim(t *testing.T) {
	f := newDesk(t, allowEverything)
	ada, who, other := f.admin(t, "ada"), f.register(t, identity.NewAgent{Name: "claude"}), f.register(t, identity.NewAgent{Name: "other"})
	f.guarded(t, "p/key", vault.Sensitive)
	asked := broker.TokenRequest{Scopes: scopes(t, "secrets:read:p/*"), TTL: 2 * time.Minute, MaxUses: 3, Description: "d", Addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	_, err := f.IssueToken(t.Context(), who, asked)
	id := wantDenied(t, err, broker.ApprovalRequired).Approval
	if r, token, err := f.Claim(t.Context(), who, id); err != nil || token != nil || r.Status != approval.Pending {
		t.Fatalf("%+v, %v, %v", r, token, err)
	}
	if _, err := f.Approve(t.Context(), ada, id, ""); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Claim(t.Context(), other, id); !errors.Is(err, approval.ErrUnknown) {
		t.Errorf("another's: %v", err)
	}
	if _, token, err := f.Claim(t.Context(), ada, id); err != nil || token != nil {
		t.Errorf("the admin gets %v, %v", token, err)
	}
	r, token, err := f.Claim(t.Context(), who, id)
	if err != nil || token == nil || r.Status != approval.Used {
		t.Fatalf("%+v, %v, %v", r, token, err)
	}
	if token.Scopes != asked.Scopes || token.MaxUses != 3 || token.Description != "d" || token.ExpiresAt.Sub(token.CreatedAt) != 2*time.Minute || len(token.Addrs) != 1 {
		t.Errorf("%+v", token.Token)
	}
	if _, err := f.Reveal(t.Context(), f.by(t, token.Text), "p/key", vault.Latest); err != nil {
		t.Error(err)
	}
	if _, token, err := f.Claim(t.Context(), who, id); err != nil || token != nil {
		t.Errorf("a second time: %v, %v", token, err)
	}
}

// TestTokenUses: a token with a number of uses opens or changes that many secrets,
// whoever races for them; what was refused and what opens nothing counts not.
func TestTokenUses(t *testing.T) {
	f := newDesk(t, allowEverything)
	who := f.register(t, identity.NewAgent{Name: "claude"})
	f.put(t, "p/key", vault.Change{}, "api.example.com")
	f.guarded(t, "p/guarded", vault.Sensitive)
	reader, issued := f.token(t, who, broker.TokenRequest{Scopes: scopes(t, "secrets:read:p/key", "secrets:read:p/nothing", "secrets:write:p/*"), MaxUses: 10})
	for range 3 {
		if _, err := f.Reveal(t.Context(), reader, "p/nothing", vault.Latest); !errors.Is(err, vault.ErrNotFound) {
			t.Fatal(err)
		}
		if _, err := f.Issue(t.Context(), reader, broker.IssueRequest{Path: "p/key"}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.List(t.Context(), reader, broker.ListRequest{}); err != nil {
			t.Fatal(err)
		}
		_, err := f.Put(t.Context(), reader, "p/guarded", vault.Change{Value: secret.New([]byte("another value"))})
		if err == nil {
			t.Fatal("set without approval")
		}
	}
	var passed atomic.Int32
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				switch _, err := f.Reveal(t.Context(), reader, "p/key", vault.Latest); {
				case err == nil:
					passed.Add(1)
				case !errors.Is(err, identity.ErrUnauthenticated):
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := passed.Load(); n != 10 {
		t.Errorf("%d uses of 10", n)
	}
	if _, err := f.List(t.Context(), reader, broker.ListRequest{}); !errors.Is(err, identity.ErrUnauthenticated) {
		t.Errorf("an exhausted token lists: %v", err)
	}
	page, err := f.ListTokens(t.Context(), who, "", "", 10)
	if err != nil || len(page.Items) != 0 {
		t.Errorf("%s is listed: %+v, %v", issued.ID, page, err)
	}
}

// TestRevokedTokens: a token ends at once when it or its agent is revoked, and so
// do its handles.
func TestRevokedTokens(t *testing.T) {
	for name, revoke := range map[string]func(f *fixture, who, admin identity.Principal, id string) error{
		"by its agent": func(f *fixture, who, _ identity.Principal, id string) error {
			return f.RevokeToken(t.Context(), who, id)
		},
		"by an admin": func(f *fixture, _, admin identity.Principal, id string) error {
			return f.RevokeToken(t.Context(), admin, id)
		},
		"with its agent": func(f *fixture, _, admin identity.Principal, _ string) error {
			return f.RevokeAgent(t.Context(), admin, "claude")
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newDesk(t, allowEverything)
			ada, who, other := f.admin(t, "ada"), f.register(t, identity.NewAgent{Name: "claude"}), f.register(t, identity.NewAgent{Name: "other"})
			f.put(t, "p/key", vault.Change{}, "api.example.com")
			reader, issued := f.token(t, who, broker.TokenRequest{Scopes: scopes(t, "secrets:read:*")})
			if _, err := f.Issue(t.Context(), reader, broker.IssueRequest{Path: "p/key"}); err != nil {
				t.Fatal(err)
			}
			for _, someone := range []identity.Principal{other, reader} {
				if err := f.RevokeToken(t.Context(), someone, issued.ID); !errors.Is(err, identity.ErrUnknownToken) {
					t.Fatalf("%s revokes it: %v", someone.ID(), err)
				}
			}
			if err := revoke(f, who, ada, issued.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Reveal(t.Context(), reader, "p/key", vault.Latest); !errors.Is(err, identity.ErrUnauthenticated) {
				t.Errorf("it reads: %v", err)
			}
			if handles, err := f.ListHandles(t.Context(), owner, ""); err != nil || len(handles) != 0 {
				t.Errorf("%d handles, %v", len(handles), err)
			}
		})
	}
}

// TestAdminIssuesForAnAgent: an admin gives an agent a token without a rule, but
// what is guarded waits for another admin; the owner does as he likes.
func TestAdminIssuesForAnAgent(t *testing.T) {
	f := newDesk(t, allowEverything)
	ada := f.admin(t, "ada")
	f.register(t, identity.NewAgent{Name: "claude"})
	f.guarded(t, "p/key", vault.Sensitive)
	r := broker.TokenRequest{Scopes: scopes(t, "secrets:read:*"), For: "claude"}
	_, err := f.IssueToken(t.Context(), ada, r)
	id := wantDenied(t, err, broker.ApprovalRequired).Approval
	if _, err := f.Approve(t.Context(), ada, id, ""); !errors.Is(err, approval.ErrOwnRequest) {
		t.Error(err)
	}
	reader, _ := f.token(t, owner, r)
	if _, err := f.Reveal(t.Context(), reader, "p/key", vault.Latest); err != nil {
		t.Error(err)
	}
	for _, r := range []broker.TokenRequest{{Scopes: r.Scopes}, {Scopes: r.Scopes, For: "nobody"}, {For: "claude"}} {
		if _, err := f.IssueToken(t.Context(), owner, r); err == nil {
			t.Errorf("%+v was issued", r)
		}
	}
}

// TestUnnamedAgentHasNoTokens: they end with a registration, and it has none.
func TestUnnamedAgentHasNoTokens(t *testing.T) {
	f := newDesk(t, strings.Replace(allowEverything, `["*"]`, `["*", "@stdio"]`, 1))
	_, err := f.IssueToken(t.Context(), local, broker.TokenRequest{Scopes: scopes(t, "secrets:read:*")})
	wantDenied(t, err, broker.PolicyDenied)
}

// TestTokenOfAStdioAgent: the rules about what starts over stdio are about its
// tokens too, which come by the network.
func TestTokenOfAStdioAgent(t *testing.T) {
	f := newDesk(t, `
version: 1
rules:
  - {name: stdio, agents: ["@stdio"], doors: [mcp, rest], paths: ["*"], allow: [list, reveal, token]}
  - {name: not these, agents: ["@stdio"], doors: [mcp, rest], paths: ["shut/*"], deny: [reveal]}
  - {name: named, agents: ["dev"], doors: [mcp, rest], paths: ["*"], allow: [reveal]}
`)
	f.put(t, "p/key", vault.Change{})
	f.put(t, "shut/key", vault.Change{})
	if _, err := f.AddAgent(t.Context(), owner, identity.NewAgent{Name: "dev", Stdio: true}); err != nil {
		t.Fatal(err)
	}
	var dev identity.Principal
	if err := f.db.View(t.Context(), func(tx *sqldb.Tx) (err error) {
		dev, err = f.config.Agents.ByName(tx, "dev")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	reader, _ := f.token(t, dev, broker.TokenRequest{Scopes: scopes(t, "secrets:read:*")})
	for _, who := range []identity.Principal{dev, reader} {
		if _, err := f.Reveal(t.Context(), who, "p/key", vault.Latest); err != nil {
			t.Errorf("%s: %v", who.ID(), err)
		}
		_, err := f.Reveal(t.Context(), who, "shut/key", vault.Latest)
		if codeOf(err) != string(broker.PolicyDenied) {
			t.Errorf("%s: %v", who.ID(), err)
		}
	}
}

// TestTokenOnTheTermsOfNow: what was approved when fewer had to agree is asked for
// anew.
func TestTokenOnTheTermsOfNow(t *testing.T) {
	f := newDesk(t, allowEverything+"approvals:\n  critical: {quorum: 1, expires: 15m}\n")
	ada, who := f.admin(t, "ada"), f.register(t, identity.NewAgent{Name: "claude"})
	f.guarded(t, "p/key", vault.Critical)
	r := broker.TokenRequest{Scopes: scopes(t, "secrets:read:*")}
	_, err := f.IssueToken(t.Context(), who, r)
	id := wantDenied(t, err, broker.ApprovalRequired).Approval
	if _, err := f.Approve(t.Context(), ada, id, ""); err != nil {
		t.Fatal(err)
	}
	f.setPolicy(t, allowEverything)
	_, err = f.IssueToken(t.Context(), who, r)
	if got := wantDenied(t, err, broker.ApprovalRequired); got.Approval == id {
		t.Error("waits for what was approved")
	}
	_, token, err := f.Claim(t.Context(), who, id)
	if wantDenied(t, err, broker.ApprovalRequired); token != nil {
		t.Error("claimed")
	}
}

// TestTokenOfAnAgentThatWrites: an agent that may only write has tokens to write.
func TestTokenOfAnAgentThatWrites(t *testing.T) {
	f := newDesk(t, allowEverything)
	who := f.register(t, identity.NewAgent{Name: "ci", Scopes: scopes(t, "secrets:write:ci/*")})
	writer, _ := f.token(t, who, broker.TokenRequest{Scopes: scopes(t, "secrets:write:ci/x")})
	if _, err := f.Put(t.Context(), writer, "ci/x", vault.Change{Value: secret.New([]byte("the next value"))}); err != nil {
		t.Error(err)
	}
	for _, text := range []string{"secrets:read:ci/x", "secrets:delete:ci/x", "secrets:write:other/x", "namespaces:read"} {
		_, err := f.IssueToken(t.Context(), who, broker.TokenRequest{Scopes: scopes(t, text)})
		if codeOf(err) != string(broker.ScopeDenied) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestAgentSeesWhatItsTokensAskFor, and another agent does not.
func TestAgentSeesWhatItsTokensAskFor(t *testing.T) {
	f := newDesk(t, allowEverything)
	who, other := f.register(t, identity.NewAgent{Name: "claude"}), f.register(t, identity.NewAgent{Name: "other"})
	f.guarded(t, "p/key", vault.Sensitive)
	writer, _ := f.token(t, who, broker.TokenRequest{Scopes: scopes(t, "secrets:write:*")})
	id := wantDenied(t, f.deeds("p/key")["rotate"](t.Context(), writer), broker.ApprovalRequired).Approval
	for _, someone := range []identity.Principal{who, writer} {
		if r, err := f.Approval(t.Context(), someone, id); err != nil || r.Requester != writer.ID() {
			t.Errorf("%s: %+v, %v", someone.ID(), r, err)
		}
	}
	if _, err := f.Approval(t.Context(), other, id); !errors.Is(err, approval.ErrUnknown) {
		t.Errorf("another agent: %v", err)
	}
}

// TestAgentAndTokensAreOne to whoever keeps values from coming back: what one of
// them sent somewhere is masked in what another gets from there, and their
// guesses at handles are counted together.
func TestAgentAndTokensAreOne(t *testing.T) {
	f := newDesk(t, allowEverything)
	who := f.register(t, identity.NewAgent{Name: "claude"})
	kept := make(chan string, 1)
	kept <- ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, <-kept)
		kept <- r.Header.Get("Authorization")
	}))
	t.Cleanup(server.Close)
	value := f.put(t, "p/one", vault.Change{}, server.URL)
	f.put(t, "p/two", vault.Change{}, server.URL)
	use := func(who identity.Principal, p vault.Path) (broker.Answer, error) {
		return f.HTTP(t.Context(), who, get(server.URL, f.issue(t, who, broker.IssueRequest{Path: p})))
	}
	token := func() identity.Principal {
		one, _ := f.token(t, who, broker.TokenRequest{Scopes: scopes(t, "secrets:read:*")})
		return one
	}
	if _, err := use(who, "p/one"); err != nil {
		t.Fatal(err)
	}
	if a, err := use(token(), "p/two"); err != nil || strings.Contains(string(a.Body), value) || a.Masked != 1 {
		t.Errorf("%d masked, %v", a.Masked, err)
	}
	for range 20 {
		text, err := mint.New(handle.Prefix)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = f.HTTP(t.Context(), token(), get(server.URL, text)); !errors.Is(err, handle.ErrUnknown) {
			t.Fatal(err)
		}
	}
	_, err := use(token(), "p/one")
	wantDenied(t, err, broker.RateLimited)
}

// TestTokenWhenTheSecretChangesMeanwhile: also where only the right to have tokens
// depends on what the secret is.
func TestTokenWhenTheSecretChangesMeanwhile(t *testing.T) {
	f := newDesk(t, `
version: 1
rules:
  - {name: reads, agents: ["*"], doors: [rest], paths: ["*"], allow: [list, reveal]}
  - {name: tokens, agents: ["*"], doors: [rest], paths: ["*"], allow: [token], when: "!has(tags.team)"}
`)
	reader, _ := f.token(t, f.register(t, identity.NewAgent{Name: "ci"}), broker.TokenRequest{Scopes: scopes(t, "secrets:read:*")})
	f.put(t, "p/key", vault.Change{})
	config := f.config
	change := func() { f.put(t, "p/key", tagged(vault.Standard, "web")) }
	config.Vault = turning{f.config.Vault.(broker.Inside), func() { change() }}
	b, err := broker.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Reveal(t.Context(), reader, "p/key", vault.Latest); codeOf(err) != "policy_denied" || !strings.Contains(err.Error(), "changed while") {
		t.Error(err)
	}
	if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

// TestTheLargestTokenIsAskedFor: people can be asked for whatever a token may be, and
// see all of it.
func TestTheLargestTokenIsAskedFor(t *testing.T) {
	f := newDesk(t, allowEverything)
	ada, who := f.admin(t, "ada"), f.register(t, identity.NewAgent{Name: "claude"})
	f.guarded(t, "p/key", vault.Sensitive)
	most := func(n int) broker.TokenRequest {
		texts, addrs := []string{"secrets:read:p/*"}, []string{}
		for i := range n {
			addrs = append(addrs, fmt.Sprintf("2001:db8:1111:2222:3333:4444:5555:%x", 0x1000+i))
			if len(texts) < n {
				name := fmt.Sprintf("secrets:delete:%02d", i)
				texts = append(texts, name+strings.Repeat("x", vault.MaxPathBytes+len("secrets:delete:")-len(name)))
			}
		}
		r := broker.TokenRequest{Scopes: scopes(t, texts...), MaxUses: identity.MaxTokenUses, TTL: identity.MaxTokenTTL, Description: strings.Repeat("d", identity.MaxDescription)}
		var err error
		if r.Addrs, err = identity.ParseAddrs(addrs); err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := most(identity.MaxScopes)
	_, err := f.IssueToken(t.Context(), who, r)
	id := wantDenied(t, err, broker.ApprovalRequired).Approval
	asked, err := f.Approve(t.Context(), ada, id, "")
	if err != nil || !slices.Equal(asked.Scopes, r.Scopes.Strings()) || len(asked.Details) != identity.MaxAddrs+2 || asked.Description != r.Description {
		t.Fatalf("%d scopes, %d details, %v", len(asked.Scopes), len(asked.Details), err)
	}
	if got, err := f.IssueToken(t.Context(), who, r); err != nil || got.Approval != id || got.Scopes != r.Scopes {
		t.Errorf("%+v, %v", got.Token, err)
	}
}

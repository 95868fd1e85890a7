package broker_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// at does something right before a call of that kind, once.
func (a *away) at(call string, do func()) {
	a.before = func(this string, _ vault.Path) error {
		if this == call {
			a.before = nil
			do()
		}
		return nil
	}
}

// theirs is what somebody else does to a secret of the vault elsewhere.
func (a *away) theirs(t *testing.T, p vault.Path, anew bool, c vault.Change) func() {
	t.Helper()
	return func() {
		if anew {
			if err := a.Vault.Delete(t.Context(), p, true); err != nil {
				t.Error(err)
			}
		}
		c.Value = secret.New([]byte("somebody else's value"))
		if _, err := a.Vault.Put(t.Context(), p, c); err != nil {
			t.Error(err)
		}
	}
}

// TestElsewhereOpensWhatWasLookedAt: a value that is not any more of the secret that
// was decided about, or is guarded more, is neither lent nor handed out.
func TestElsewhereOpensWhatWasLookedAt(t *testing.T) {
	target := vault.Target{Scheme: "https", Host: "api.example.com", Port: 443, Method: "GET", Path: "/"}
	fit := func(string, string, []vault.Destination) error { return nil }
	for name, tc := range map[string]struct {
		anew  bool
		c     vault.Change
		mute  bool // the vault does not say with a value when its secret was made
		reads bool // a reading follows other versions
	}{
		"made anew":      {anew: true},
		"the same, mute": {anew: true, mute: true},
		"guarded":        {c: vault.Change{Tier: new(vault.Critical)}},
		"tagged":         {c: vault.Change{Tags: &map[string]string{"team": "red"}}},
		"another value":  {reads: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newDesk(t, strings.Replace(whenRule("use, reveal", `!has(tags.team)`), "allow:", "doors: [mcp, rest]\n    allow:", 1))
			far := f.sendAway(t)
			far.mute = tc.mute
			f.guarded(t, "p/key", vault.Standard)
			who := f.register(t, identity.NewAgent{Name: "claude"})
			text := f.issue(t, local, broker.IssueRequest{Path: "p/key"})
			f.pass(time.Second)
			far.at("get", far.theirs(t, "p/key", tc.anew, tc.c))
			err := f.Use(t.Context(), local, []string{text}, target, fit, func(o broker.Opened) error {
				if o.Values[text].Equal(secret.New([]byte("somebody else's value"))) {
					t.Error("lent what was not looked at")
				}
				return nil
			})
			if (codeOf(err) == "policy_denied") == tc.reads {
				t.Errorf("used: %v", err)
			}
			for _, p := range []vault.Path{"p/other", "p/mine"} {
				f.put(t, p, vault.Change{})
			}
			f.pass(time.Second)
			far.at("get", far.theirs(t, "p/other", tc.anew, tc.c))
			if s, err := f.Reveal(t.Context(), who, "p/other", vault.Latest); (err == nil) != tc.reads || !s.Value.IsZero() != tc.reads {
				t.Errorf("read: %v", err)
			}
			far.at("get", far.theirs(t, "p/mine", tc.anew, tc.c))
			if _, err := f.Export(t.Context(), owner, []vault.Path{"p/mine"}); (codeOf(err) == "policy_denied") != (tc.anew || tc.c.Tier != nil) {
				t.Errorf("exported: %v", err)
			}
		})
	}
}

// TestElsewhereDescribesWhatWasDecided: what became hidden after the decision is not
// shown, nor does anything that is said here fall to a secret made anew meanwhile.
func TestElsewhereDescribesWhatWasDecided(t *testing.T) {
	f := newDesk(t, whenRule("list", `!has(tags.team)`))
	far := f.sendAway(t)
	f.put(t, "p/key", vault.Change{})
	looks := 0
	far.before = func(string, vault.Path) error {
		if looks++; looks == 2 {
			far.theirs(t, "p/key", false, vault.Change{Tags: &map[string]string{"team": "red"}})()
		}
		return nil
	}
	if m, err := f.Describe(t.Context(), local, "p/key"); err != nil || m.Tags != nil {
		t.Errorf("%+v, %v", m, err)
	}
	f.put(t, "p/other", vault.Change{})
	f.pass(time.Second)
	far.at("put", far.theirs(t, "p/other", true, vault.Change{}))
	to, err := vault.ParseDestination("api.example.com", vault.Bearer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Put(t.Context(), owner, "p/other", vault.Change{Description: new("mine"), Destinations: &[]vault.Destination{to}}); err == nil {
		t.Error("another secret was told where it may go")
	}
	if m, err := f.Describe(t.Context(), owner, "p/other"); err != nil || m.Destinations != nil {
		t.Errorf("it goes to %v, %v", m.Destinations, err)
	}
}

// TestElsewhereTakesItsTime: what ends while the vault is asked has ended, and a
// value that came late is masked all the same.
func TestElsewhereTakesItsTime(t *testing.T) {
	const value = "Zk3pQ9vX2mR7tY5wB8nC"
	target := vault.Target{Scheme: "https", Host: "api.example.com", Port: 443, Method: "GET", Path: "/"}
	fit := func(string, string, []vault.Destination) error { return nil }
	f := newDesk(t, allowEverything)
	far := f.sendAway(t)
	f.put(t, "p/key", vault.Change{Value: secret.New([]byte(value))}, "api.example.com")
	late := func() { f.pass(10 * time.Minute) }
	text := f.issue(t, local, broker.IssueRequest{Path: "p/key", TTL: time.Minute})
	far.at("get", late)
	if err := f.Use(t.Context(), local, []string{text}, target, fit, func(broker.Opened) error {
		if _, masked := f.config.Scrubber.Scrub(local.ID(), []byte("echo: "+value)); masked != 1 {
			t.Error("it would be shown")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	text = f.issue(t, local, broker.IssueRequest{Path: "p/key", TTL: time.Minute})
	far.at("describe", late)
	if err := f.Use(t.Context(), local, []string{text}, target, fit, func(broker.Opened) error { return nil }); !errors.Is(err, handle.ErrExpired) {
		t.Errorf("a handle that ended meanwhile: %v", err)
	}
	token, _ := f.token(t, f.register(t, identity.NewAgent{Name: "claude"}), broker.TokenRequest{Scopes: scopes(t, "secrets:read:p/*"), TTL: time.Minute})
	far.at("describe", late)
	if _, err := f.Reveal(t.Context(), token, "p/key", vault.Latest); !errors.Is(err, identity.ErrUnauthenticated) {
		t.Errorf("a token that ended meanwhile: %v", err)
	}
}

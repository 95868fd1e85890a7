package broker_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// writers is a policy of an agent that sees what it writes, and of one that
// writes and sees nothing.
const writers = `
version: 1
rules:
  - {name: writer, agents: ["@stdio"], paths: ["a/*"], allow: [list, use, set, rotate, delete]}
  - {name: blind, agents: [blind], paths: ["a/*"], allow: [set]}
`

// blind is an agent that may set below a/ and nothing else.
func (f *fixture) blind(t *testing.T) identity.Principal {
	t.Helper()
	if _, err := f.AddAgent(t.Context(), owner, identity.NewAgent{Name: "blind"}); err != nil {
		t.Fatal(err)
	}
	return identity.Principal{Kind: identity.Agent, Name: "blind", Door: policy.DoorMCP}
}

func (f *fixture) set(t *testing.T, who identity.Principal, p vault.Path, value string) (broker.Stored, error) {
	t.Helper()
	return f.Set(t.Context(), who, broker.SetRequest{Path: p, Value: secret.New([]byte(value))})
}

// last is the newest event.
func (f *fixture) last(t *testing.T) audit.Record {
	t.Helper()
	list := f.events(t)
	return list[len(list)-1]
}

// sealedOff is a secret with everything that an agent must not change.
func (f *fixture) sealedOff(t *testing.T, p vault.Path, more ...func(*vault.Change)) vault.Metadata {
	t.Helper()
	kind, text, tags, recipe, until := vault.OAuthToken, "the team's", map[string]string{"team": "ml"}, vault.Recipe("{hex:32}"), f.now().Add(time.Hour)
	c := vault.Change{Type: &kind, Description: &text, Tags: &tags, Generate: &recipe, ExpiresAt: &until}
	for _, change := range more {
		change(&c)
	}
	f.put(t, p, c, "https://api.example.com/v1/*")
	meta, err := f.Describe(t.Context(), owner, p)
	if err != nil {
		t.Fatal(err)
	}
	return meta
}

func TestAnAgentSetsTheValueAndNothingElse(t *testing.T) {
	f := newDesk(t, writers)
	before := f.sealedOff(t, "a/b")
	f.pass(time.Minute)
	got, err := f.set(t, local, "a/b", "a value of the agent's own")
	if err != nil || !got.Done || got.Created || !got.Shown {
		t.Fatalf("%+v, %v", got, err)
	}
	after, err := f.Describe(t.Context(), owner, "a/b")
	if err != nil {
		t.Fatal(err)
	}
	if after.Version != before.Version+1 || !after.UpdatedAt.After(before.UpdatedAt) {
		t.Fatalf("no new version: %+v", after)
	}
	after.Version, after.UpdatedAt = before.Version, before.UpdatedAt
	if fmt.Sprintf("%+v", after) != fmt.Sprintf("%+v", before) || !after.Destinations[0].Equal(before.Destinations[0]) {
		t.Fatalf("more than the value changed:\n%+v\n%+v", before, after)
	}
	if e := f.last(t); e.Event != "secret.updated" || e.Actor != "agent:local" || e.Version != 2 || e.Rule != "writer" || e.Outcome != audit.OK {
		t.Fatalf("recorded %+v", e)
	}
	now, err := f.Reveal(t.Context(), owner, "a/b", vault.Latest)
	if err != nil || string(now.Value.Reveal()) != "a value of the agent's own" {
		t.Fatal("another value is stored", err)
	}
}

func TestAnAgentsNewSecretGoesNowhere(t *testing.T) {
	f := newDesk(t, writers)
	key := "sk-proj-" + strings.Repeat("Zq7x", 10)
	for _, tc := range []struct {
		path  vault.Path
		value string
		kind  vault.Type
		next  string
	}{
		{"a/plain", " leading, trailing and two lines\n\n ", vault.Custom, "coatcheck secret set 'a/plain' --keep-value --to HOST"},
		{"a/known", key, vault.APIKey, "coatcheck secret set 'a/known' --keep-value --to api.openai.com"},
		{"a/nearly", "sk-proj-" + strings.Repeat("!", 40), vault.Custom, "--to HOST"}, // the prefix and not the shape
		{"a/one", "x", vault.Custom, "--to HOST"},
		{"a/shared", "AIza" + strings.Repeat("Zq7", 11) + "Zq", vault.APIKey, "--to HOST"}, // several services take that key
		{"a/re_captcha_secret_key_production", "x", vault.Custom, "--to HOST"},
		{"a/large", strings.Repeat("x", vault.MaxValueBytes), vault.Custom, "--to HOST"},
	} {
		t.Run(string(tc.path), func(t *testing.T) {
			got, err := f.set(t, local, tc.path, tc.value)
			if err != nil || !got.Created || !strings.Contains(got.Next, tc.next) {
				t.Fatalf("%+v, %v", got, err)
			}
			if strings.Contains(fmt.Sprintf("%+v", got), tc.value) && len(tc.value) > 1 {
				t.Error("the answer repeats the value")
			}
			meta := got.Metadata
			if meta.Tier != vault.Standard || meta.Type != tc.kind || len(meta.Destinations) != 0 || meta.Version != 1 {
				t.Errorf("made %+v", meta)
			}
			if e := f.last(t); e.Event != "secret.created" || e.Actor != "agent:local" || e.Path != tc.path {
				t.Errorf("recorded %+v", e)
			}
			stored, err := f.Reveal(t.Context(), owner, tc.path, vault.Latest)
			if err != nil || string(stored.Value.Reveal()) != tc.value {
				t.Error("the value was changed", err)
			}
			if _, err := f.Issue(t.Context(), local, broker.IssueRequest{Path: tc.path}); codeOf(err) != "no_destination" {
				t.Errorf("a handle on it: %v", err)
			}
		})
	}
}

func TestWhatAnAgentMayNotSet(t *testing.T) {
	f := newDesk(t, writers)
	tier := vault.Sensitive
	f.put(t, "a/sensitive", vault.Change{Tier: &tier})
	f.put(t, "a/space/below", vault.Change{})
	f.put(t, "a/b", vault.Change{}, "api.example.com")
	f.put(t, "a/gone", vault.Change{Tier: &tier})
	if _, err := f.Delete(t.Context(), owner, "a/gone", false); err != nil {
		t.Fatal(err)
	}
	handle := f.issue(t, local, broker.IssueRequest{Path: "a/b"})
	mistyped := handle[:len(handle)-1] + "_"
	key := "sk-proj-" + strings.Repeat("Zq7x", 10)
	for _, tc := range []struct {
		name, path, value, code string
	}{
		{"no right", "b/c", "value", "policy_denied"},
		{"a namespace", "a/space", "value", "path_conflict"},
		{"below a secret", "a/b/c", "value", "path_conflict"},
		{"in the trash", "a/gone", "value", "in_trash"},
		{"empty", "a/b", "", "invalid_value"},
		{"too long", "a/b", strings.Repeat("x", vault.MaxValueBytes+1), "invalid_value"},
		{"a handle", "a/b", handle, "invalid_value"},
		{"a handle with a line break", "a/b", handle + "\n", "invalid_value"},
		{"a mistyped handle", "a/b", mistyped[:30], "invalid_value"},
		{"a handle in a shape", "a/b", "sk-proj-" + handle, "invalid_value"},
		{"a handle in a header", "a/b", "Bearer " + handle + " ", "invalid_value"},
		{"a reference", "a/b", "coatcheck://a/b", "invalid_value"},
		{"a key for a name", "a/" + key, "value", "invalid_path"},
		{"a key cut for a name", "a/ghp_" + strings.Repeat("Zq7x", 5), "value", "invalid_path"},
		{"the value for a name", "a/hunter2-Zq7x-k9", "hunter2-Zq7x-k9", "invalid_path"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := len(f.events(t))
			got, err := f.set(t, local, vault.Path(tc.path), tc.value)
			if err == nil || got.Done {
				t.Fatal("it was stored")
			}
			e := f.last(t)
			if len(f.events(t)) != before+1 || e.Code != tc.code || e.Outcome == audit.OK {
				t.Fatalf("recorded %s %s (%s), want %s", e.Event, e.Outcome, e.Code, tc.code)
			}
			if shown := fmt.Sprintf("%v %+v", err, e); len(tc.value) > 10 && tc.value != "hunter2-Zq7x-k9" && strings.Contains(shown, tc.value) || strings.Contains(shown, key) {
				t.Fatal("the refusal repeats what was given")
			}
		})
	}
	if _, err := f.set(t, local, "a/sensitive", "value"); codeOf(err) != "approval_required" || f.last(t).Event != "approval.requested" {
		t.Errorf("%v, recorded %+v", err, f.last(t))
	}
	if meta, err := f.Describe(t.Context(), owner, "a/b"); err != nil || meta.Version != 1 {
		t.Fatalf("something was stored: %+v, %v", meta, err)
	}
	for _, p := range []vault.Path{"a/gone", "a/space", "b/c"} {
		if _, err := f.Describe(t.Context(), owner, p); !errors.Is(err, vault.ErrNotFound) {
			t.Errorf("%s is there: %v", p, err)
		}
	}
	if meta, err := f.Restore(t.Context(), owner, "a/gone"); err != nil || meta.Version != 1 {
		t.Errorf("the deleted secret does not come back: %+v, %v", meta, err)
	}
}

// TestSetAfterDelete: a new secret where deleted ones can be restored is the next
// version of that path and goes nowhere; they stay in the trash. What the agent could
// not have changed while it was there it does not take the place of.
func TestSetAfterDelete(t *testing.T) {
	f := newDesk(t, whenRule("list, use, set, delete", `!("keep" in tags)`))
	gone := func(p vault.Path, c vault.Change) {
		f.put(t, p, c, "api.example.com")
		if _, err := f.Delete(t.Context(), owner, p, false); err != nil {
			t.Fatal(err)
		}
	}
	gone("p/key", vault.Change{})
	gone("p/key", vault.Change{})
	got, err := f.set(t, local, "p/key", "another value")
	if err != nil || !got.Created || got.Metadata.Version != 3 || len(got.Metadata.Destinations) != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	if n := f.trashed(t); n != 2 {
		t.Errorf("%d in the trash", n)
	}
	if _, err := f.Restore(t.Context(), owner, "p/key"); !errors.Is(err, vault.ErrExists) {
		t.Errorf("restored over it: %v", err)
	}
	gone("p/tagged", vault.Change{Tags: &map[string]string{"keep": "yes"}})
	gone("p/both", vault.Change{Tier: new(vault.Critical)})
	gone("p/both", vault.Change{})
	for _, p := range []vault.Path{"p/tagged", "p/both"} {
		if _, err := f.set(t, local, p, "another value"); err == nil || f.last(t).Code != "in_trash" {
			t.Errorf("%s: %v", p, err)
		}
		items := []broker.ImportItem{{Path: p, Change: vault.Change{Value: secret.New([]byte("v"))}}}
		if _, err := f.Import(t.Context(), local, broker.ImportRequest{Items: items}); err == nil || f.last(t).Code != "in_trash" {
			t.Errorf("%s, imported: %v", p, err)
		}
	}
	if _, err := f.Put(t.Context(), owner, "p/both", vault.Change{Value: secret.New([]byte("v"))}); err != nil {
		t.Errorf("by the owner: %v", err)
	}
}

// TestATrashedSecretCameMeanwhile: one that was deleted after the look stops it.
func TestATrashedSecretCameMeanwhile(t *testing.T) {
	f := newDesk(t, allowEverything)
	config := f.config
	looks := 0
	config.Vault = turning{f.config.Vault.(broker.Inside), func() {
		if looks++; looks == 1 {
			f.guarded(t, "p/key", vault.Critical)
			if _, err := f.Delete(t.Context(), owner, "p/key", false); err != nil {
				t.Error(err)
			}
		}
	}}
	b, err := broker.New(config)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is seen in the look
		if _, err := b.Set(t.Context(), local, broker.SetRequest{Path: "p/key", Value: secret.New([]byte("another value"))}); codeOf(err) != "in_trash" {
			t.Errorf("got %v", err)
		}
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestAHashIsNoHandle: text that only begins like a handle is a value.
func TestAHashIsNoHandle(t *testing.T) {
	f := newDesk(t, writers)
	for _, value := range []string{"ash_tray", "hash_d41d8cd98f00b204e9800998ecf8427e", "x ash_d41d8cd98f00b204e9800998ecf8427e", "coatcheck:/x", "see coatcheck://a/b"} {
		if _, err := f.set(t, local, "a/b", value); err != nil {
			t.Errorf("%q: %v", value, err)
		}
	}
}

// TestWhatOnlyPeopleSayOfASecret: an agent brings a value. What it says of a
// secret that is there must be so already; what it makes goes nowhere.
func TestWhatOnlyPeopleSayOfASecret(t *testing.T) {
	f := newDesk(t, writers)
	before := f.sealedOff(t, "a/b")
	text, tags, to := "mine", map[string]string{}, []vault.Destination{}
	recipe, never, soon, grace := vault.Recipe(""), time.Time{}, f.now().Add(time.Minute), time.Duration(0)
	value := secret.New([]byte("value"))
	for name, c := range map[string]vault.Change{
		"destinations": {Value: value, Destinations: &to}, "recipe": {Value: value, Generate: &recipe}, "grace": {Value: value, Grace: &grace}, "no value": {},
		"no value but text": {Description: &text},
	} {
		for _, p := range []vault.Path{"a/b", "a/new"} {
			if _, err := f.Put(t.Context(), local, p, c); codeOf(err) != "owner_only" {
				t.Errorf("%s of %s: %v", name, p, err)
			}
		}
	}
	for name, c := range map[string]vault.Change{
		"type": {Value: value, Type: new(vault.APIKey)}, "higher tier": {Value: value, Tier: new(vault.Critical)}, "description": {Value: value, Description: &text},
		"tags": {Value: value, Tags: &tags}, "extra": {Value: value, Extra: new(`{"a":1}`)}, "no expiry": {Value: value, ExpiresAt: &never}, "expiry": {Value: value, ExpiresAt: &soon},
	} {
		if _, err := f.Put(t.Context(), local, "a/b", c); codeOf(err) != "owner_only" {
			t.Errorf("%s: %v", name, err)
		}
	}
	after, err := f.Describe(t.Context(), owner, "a/b")
	if err != nil || fmt.Sprintf("%+v", after) != fmt.Sprintf("%+v", before) {
		t.Fatalf("something changed: %+v, %v", after, err)
	}
	said := vault.Change{
		Value: value, Type: new(vault.Custom), Tier: new(vault.Standard), Description: &before.Description, Tags: &before.Tags, Extra: &before.Extra, ExpiresAt: &before.ExpiresAt,
	}
	if after, err = f.Put(t.Context(), local, "a/b", said); err != nil || after.Version != before.Version+1 || after.Type != before.Type || after.Tier != before.Tier {
		t.Errorf("what says nothing new: %+v, %v", after, err)
	}
	said = vault.Change{Value: value, Type: new(vault.SSHKey), Tier: new(vault.Sensitive), Description: &text, Tags: &map[string]string{"a": "b"}, Extra: new(`{"n":1}`), ExpiresAt: &soon}
	made, err := f.Put(t.Context(), local, "a/new", said)
	if err != nil || made.Type != vault.SSHKey || made.Tier != vault.Sensitive || made.Description != text || made.Tags["a"] != "b" || made.Extra != `{"n":1}` ||
		!made.ExpiresAt.Equal(soon) || made.Destinations != nil {
		t.Errorf("made %+v, %v", made, err)
	}
}

// TestSettingTellsNothingOfWhatIsHidden: an agent that may set and not list
// gets the same answers whatever is there.
func TestSettingTellsNothingOfWhatIsHidden(t *testing.T) {
	f := newDesk(t, writers)
	blind := f.blind(t)
	tier := vault.Critical
	recipe := vault.Recipe("{hex:32}")
	f.sealedOff(t, "a/full")
	f.put(t, "a/bare", vault.Change{Generate: &recipe})
	f.put(t, "a/critical", vault.Change{Tier: &tier})
	f.put(t, "a/space/below", vault.Change{})
	f.put(t, "a/gone", vault.Change{Tier: &tier})
	if _, err := f.Delete(t.Context(), owner, "a/gone", false); err != nil {
		t.Fatal(err)
	}
	said := func(p vault.Path, value secret.Value) string {
		got, err := f.Set(t.Context(), blind, broker.SetRequest{Path: p, Value: value})
		explained, explainErr := f.Explain(t.Context(), blind, broker.ExplainRequest{Path: p, Right: policy.Set})
		all := fmt.Sprintf("%+v\n%+v %s\n%+v %v", got, err, codeOf(err), explained, explainErr)
		return strings.ReplaceAll(all, string(p), "PATH")
	}
	for _, value := range []secret.Value{{}, secret.New([]byte("value"))} {
		want := said("a/none", value)
		for _, p := range []vault.Path{"a/full", "a/bare"} {
			if got := said(p, value); got != want {
				t.Errorf("%s differs:\n%s\n%s", p, got, want)
			}
		}
	}
	want := said("a/critical", secret.New([]byte("value")))
	for _, p := range []vault.Path{"a/space", "a/bare/below", "a/gone"} {
		if got := said(p, secret.New([]byte("value"))); got != want || !strings.Contains(got, string(broker.Unavailable)) {
			t.Errorf("%s differs:\n%s\n%s", p, got, want)
		}
	}
	if e := f.last(t); e.Code != "in_trash" {
		t.Errorf("the record hides it too: %+v", e)
	}
	// A value that its name would show is refused before anything is looked for.
	f.put(t, "a/one-name-of-a-key", vault.Change{})
	f.put(t, "a/two-name-of-a-key", vault.Change{Tier: &tier})
	named := secret.New([]byte("name-of-a-key"))
	want = said("a/no-name-of-a-key", named)
	for _, p := range []vault.Path{"a/one-name-of-a-key", "a/two-name-of-a-key"} {
		if got := said(p, named); got != want || !strings.Contains(got, "the value itself") {
			t.Errorf("%s differs:\n%s\n%s", p, got, want)
		}
	}
}

func TestWithoutAValueNothingIsStored(t *testing.T) {
	f := newDesk(t, writers)
	recipe := vault.Recipe("{hex:32}")
	f.put(t, "a/made", vault.Change{Generate: &recipe}, "api.example.com")
	f.put(t, "a/typed", vault.Change{}, "api.example.com")
	f.put(t, "a/nowhere", vault.Change{})
	before := len(f.events(t))
	for p, want := range map[vault.Path]string{
		"a/made": "call rotate_secret", "a/typed": "coatcheck secret set 'a/typed'",
		"a/nowhere": "coatcheck secret set 'a/nowhere' --to HOST", "a/new": "coatcheck secret set 'a/new' --to HOST",
	} {
		got, err := f.Set(t.Context(), local, broker.SetRequest{Path: p})
		if err != nil || got.Done || !strings.Contains(got.Next, want) || !strings.HasPrefix(got.Next, "Nothing was stored.") {
			t.Errorf("%s: %+v, %v", p, got, err)
		}
	}
	if _, err := f.Describe(t.Context(), owner, "a/new"); !errors.Is(err, vault.ErrNotFound) || len(f.events(t)) != before {
		t.Errorf("something was stored or recorded: %v", err)
	}
	if _, err := f.Set(t.Context(), local, broker.SetRequest{Path: "b/c"}); codeOf(err) != "policy_denied" || f.last(t).Code != "policy_denied" {
		t.Errorf("without the right: %v", err)
	}
}

func TestSettingLeavesARotationsGraceAlone(t *testing.T) {
	f := newDesk(t, writers)
	f.put(t, "a/b", vault.Change{}, "api.example.com")
	if _, err := f.Rotate(t.Context(), owner, broker.RotateRequest{Path: "a/b", Value: secret.New([]byte("second")), Grace: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.set(t, local, "a/b", "third"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Reveal(t.Context(), owner, "a/b", 1); err != nil {
		t.Errorf("inside the grace: %v", err)
	}
	f.pass(2 * time.Minute)
	if _, err := f.Reveal(t.Context(), owner, "a/b", 1); !errors.Is(err, vault.ErrVersionRetired) {
		t.Errorf("after the grace: %v", err)
	}
	for version, want := range map[int]string{2: "second", vault.Latest: "third"} {
		if got, err := f.Reveal(t.Context(), owner, "a/b", version); err != nil || string(got.Value.Reveal()) != want {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

func TestSettingIsCounted(t *testing.T) {
	f := newDesk(t, `
version: 1
rules:
  - {name: writer, agents: ["@stdio"], paths: ["*"], allow: [list, set, delete], limits: {rate: 2/m}}
`)
	for range 2 {
		if _, err := f.set(t, local, "a/b", "value"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.set(t, local, "a/b", "value"); codeOf(err) != "rate_limited" {
		t.Errorf("the third: %v", err)
	}
	if _, err := f.Delete(t.Context(), local, "a/b", false); codeOf(err) != "rate_limited" {
		t.Errorf("a deletion after it: %v", err)
	}
	f.pass(time.Minute)
	if _, err := f.Delete(t.Context(), local, "a/b", false); err != nil {
		t.Error(err)
	}
}

// TestWhoMayNotListIsToldNothing: a value is stored or it is not, whatever is
// there and whichever way it is asked for; a token to write is told what its agent is.
func TestWhoMayNotListIsToldNothing(t *testing.T) {
	f := newDesk(t, `
version: 1
rules:
  - {name: sets, agents: ["*"], doors: [rest], paths: ["*"], allow: [set, token]}
  - {name: lists, agents: ["lister"], doors: [rest], paths: ["*"], allow: [list]}
`)
	who := f.register(t, identity.NewAgent{Name: "writer"})
	f.put(t, "p/key", vault.Change{Description: new("of the bank")})
	value := secret.New([]byte("the next value"))
	var said []string
	for p, mode := range map[vault.Path]vault.Mode{"p/key": vault.Create, "p/none": vault.Replace, "p": vault.Upsert} {
		_, err := f.Put(t.Context(), who, p, vault.Change{Value: value, Mode: mode})
		refused := wantDenied(t, err, broker.Unavailable)
		said = append(said, strings.ReplaceAll(refused.Error()+refused.Next, "'"+string(p)+"'", "PATH"))
	}
	if said[0] != said[1] || said[1] != said[2] {
		t.Errorf("%q", said)
	}
	for _, p := range []vault.Path{"p/key", "p/new"} {
		own := vault.Metadata{Path: p, Version: 1, Type: vault.Custom, Tier: vault.Standard, CreatedAt: f.now(), UpdatedAt: f.now()}
		if got, err := f.Put(t.Context(), who, p, vault.Change{Value: value}); err != nil || !reflect.DeepEqual(got, own) {
			t.Errorf("%+v, %v", got, err)
		}
		items := []broker.ImportItem{{Path: p, Change: vault.Change{Value: value}}}
		got, err := f.Import(t.Context(), who, broker.ImportRequest{Items: items})
		if err != nil || !reflect.DeepEqual(got, []broker.Imported{{Metadata: vault.Metadata{Path: p}}}) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	writer, _ := f.token(t, f.register(t, identity.NewAgent{Name: "lister"}), broker.TokenRequest{Scopes: scopes(t, "secrets:write:p/*")})
	if got, err := f.Put(t.Context(), writer, "p/key", vault.Change{Value: value}); err != nil || got.Version == 0 || got.Description != "of the bank" {
		t.Errorf("%+v, %v", got, err)
	}
}

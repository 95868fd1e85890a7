package broker_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/vault"
)

const permanent = `
version: 1
rules:
  - {name: writer, agents: ["@stdio"], paths: ["a/*"], allow: [list, use, set, delete]}
  - {name: cleaner, agents: ["@stdio"], paths: ["a/tmp/*"], allow: [delete], permanent: true}
`

func TestAnAgentDeletesToTheTrash(t *testing.T) {
	f := newDesk(t, permanent)
	base, received := upstream(t)
	f.put(t, "a/b", vault.Change{}, base)
	text := f.issue(t, local, broker.IssueRequest{Path: "a/b"})
	got, err := f.Delete(t.Context(), local, "a/b", false)
	if err != nil || got.Permanent || !got.RestorableUntil.Equal(f.now().Add(vault.TrashRetention)) {
		t.Fatalf("%+v, %v", got, err)
	}
	if e := f.last(t); e.Event != "secret.deleted" || e.Actor != "agent:local" || e.Path != "a/b" || e.Rule != "writer" {
		t.Errorf("recorded %+v", e)
	}
	f.pass(vault.TrashRetention - time.Second)
	if _, err := f.Restore(t.Context(), owner, "a/b"); err != nil {
		t.Fatalf("a second before the end: %v", err)
	}
	f.pass(time.Second - vault.TrashRetention)
	if _, _, _, err := f.AcceptClock(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	if _, err := f.HTTP(t.Context(), local, get(base, text)); !errors.Is(err, handle.ErrRevoked) || len(received()) != 0 {
		t.Errorf("its handle after a restore: %v", err)
	}
}

func TestWhatAnAgentMayNotDelete(t *testing.T) {
	f := newDesk(t, permanent)
	tier := vault.Critical
	f.put(t, "a/b", vault.Change{})
	f.put(t, "a/critical", vault.Change{Tier: &tier})
	f.put(t, "b/c", vault.Change{})
	for _, tc := range []struct {
		name, path string
		permanent  bool
		code       string
	}{
		{"no right", "b/c", false, "policy_denied"},
		{"no right, for good", "b/c", true, "policy_denied"},
		{"for good", "a/b", true, "policy_denied"},
		{"not there", "a/none", false, "not_found"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := f.Delete(t.Context(), local, vault.Path(tc.path), tc.permanent)
			if e := f.last(t); err == nil || e.Code != tc.code || e.Outcome == audit.OK {
				t.Fatalf("%v, recorded %+v", err, e)
			}
			if denied := (*broker.Denied)(nil); tc.name == "for good" && (!errors.As(err, &denied) || !strings.Contains(denied.Next, "coatcheck secret delete 'a/b' --permanent")) {
				t.Errorf("says %+v", denied)
			}
		})
	}
	if _, err := f.Delete(t.Context(), local, "a/critical", false); codeOf(err) != "approval_required" || f.last(t).Event != "approval.requested" {
		t.Errorf("%v, recorded %+v", err, f.last(t))
	}
	for _, p := range []vault.Path{"a/b", "a/critical", "b/c"} {
		if _, err := f.Describe(t.Context(), owner, p); err != nil {
			t.Errorf("%s is gone: %v", p, err)
		}
	}
}

func TestDeletingForGoodWhereTheRuleSaysSo(t *testing.T) {
	f := newDesk(t, permanent)
	f.put(t, "a/tmp/x", vault.Change{})
	got, err := f.Delete(t.Context(), local, "a/tmp/x", true)
	if err != nil || !got.Permanent || !got.RestorableUntil.IsZero() {
		t.Fatalf("%+v, %v", got, err)
	}
	if e := f.last(t); e.Event != "secret.purged" || e.Actor != "agent:local" || e.Rule != "cleaner" {
		t.Errorf("recorded %+v", e)
	}
	if _, err := f.Restore(t.Context(), owner, "a/tmp/x"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("it comes back: %v", err)
	}
}

// TestATrashedSecretKeepsItsGuard: a new secret of the same path is no way to
// destroy the guarded one in the trash.
func TestATrashedSecretKeepsItsGuard(t *testing.T) {
	f := newDesk(t, permanent)
	tier := vault.Sensitive
	f.put(t, "a/tmp/x", vault.Change{Tier: &tier})
	if _, err := f.Delete(t.Context(), owner, "a/tmp/x", false); err != nil {
		t.Fatal(err)
	}
	f.put(t, "a/tmp/x", vault.Change{})
	f.put(t, "a/tmp/x2", vault.Change{Tier: &tier})
	if _, err := f.Delete(t.Context(), local, "a/tmp/x", true); codeOf(err) != "owner_only" {
		t.Fatalf("destroyed: %v", err)
	}
	if _, err := f.Delete(t.Context(), local, "a/tmp/x", false); err != nil {
		t.Fatalf("to the trash: %v", err)
	}
	if _, err := f.Delete(t.Context(), owner, "a/tmp/x", true); err != nil {
		t.Fatalf("the owner: %v", err)
	}
}

// TestATrashedSecretKeepsItsCondition: what a rule says of a secret's tags holds
// for one in the trash too.
func TestATrashedSecretKeepsItsCondition(t *testing.T) {
	for _, with := range []string{
		`allow: [delete], permanent: true, when: '!("keep" in tags)'`,
		`allow: [delete], permanent: true}
  - {name: kept, agents: ["@stdio"], paths: ["*"], deny: [delete], when: '"keep" in tags'`,
	} {
		f := newDesk(t, `{version: 1, rules: []}`)
		f.setPolicy(t, `
version: 1
rules:
  - {name: cleaner, agents: ["@stdio"], paths: ["*"], `+with+`}
`)
		f.put(t, "a/x", vault.Change{Tags: &map[string]string{"keep": "yes"}})
		f.put(t, "a/y", vault.Change{Tags: &map[string]string{"team": "pay"}})
		for _, p := range []vault.Path{"a/x", "a/y"} {
			if _, err := f.Delete(t.Context(), owner, p, false); err != nil {
				t.Fatal(err)
			}
		}
		for _, live := range []bool{false, true} {
			if live {
				f.put(t, "a/x", vault.Change{})
			}
			if _, err := f.Delete(t.Context(), local, "a/x", true); codeOf(err) != "policy_denied" {
				t.Errorf("%s: with one in its place %v: %v", with, live, err)
			}
		}
		if n := f.trashed(t); n != 2 {
			t.Errorf("%s: %d in the trash", with, n)
		}
		f.put(t, "a/y", vault.Change{})
		if _, err := f.Delete(t.Context(), local, "a/y", true); err != nil {
			t.Errorf("%s: what it does not keep: %v", with, err)
		}
	}
}

func TestExplainSetAndDelete(t *testing.T) {
	f := newDesk(t, writers)
	tier := vault.Critical
	past := f.now().Add(time.Second)
	f.put(t, "a/b", vault.Change{ExpiresAt: &past})
	f.put(t, "a/critical", vault.Change{Tier: &tier})
	f.put(t, "a/gone", vault.Change{Tier: &tier})
	if _, err := f.Delete(t.Context(), owner, "a/gone", false); err != nil {
		t.Fatal(err)
	}
	f.pass(time.Minute)
	for _, tc := range []struct {
		right      policy.Right
		path, code string
		next       string
	}{
		{policy.Set, "a/b", "", "replaces the value"},
		{policy.Set, "a/new", "", "makes a new secret"},
		{policy.Set, "a/critical", "approval_required", ""},
		{policy.Set, "a/gone", "in_trash", "coatcheck secret restore 'a/gone'"},
		{policy.Set, "b/c", "policy_denied", ""},
		{policy.Delete, "a/b", "", "trash"},
		{policy.Delete, "a/none", "not_found", ""},
		{policy.Delete, "a/critical", "approval_required", ""},
	} {
		t.Run(string(tc.right)+" "+tc.path, func(t *testing.T) {
			got, err := f.Explain(t.Context(), local, broker.ExplainRequest{Path: vault.Path(tc.path), Right: tc.right})
			if err != nil || got.Code != tc.code || got.Allowed != (tc.code == "") || !strings.Contains(got.Next, tc.next) {
				t.Fatalf("%+v, %v", got, err)
			}
		})
	}
}

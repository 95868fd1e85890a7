package broker_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

const sparse = `
version: 1
rules:
  - name: two corners
    agents: ["@stdio"]
    paths: ["a/open/*", "z/*-ok"]
    allow: [list]
`

// pages reads a listing to its end and returns the paths.
func pages(t *testing.T, f *fixture, who identity.Principal, r broker.ListRequest) (all []vault.Path, calls int) {
	t.Helper()
	for {
		page, err := f.List(t.Context(), who, r)
		if err != nil {
			t.Fatal(err)
		}
		calls++
		for _, m := range page.Items {
			all = append(all, m.Path)
		}
		if r.After = page.Next; r.After == "" {
			return all, calls
		}
	}
}

func TestListShowsWhatThePolicyShows(t *testing.T) {
	f := newDesk(t, sparse)
	var everything, visible []vault.Path
	for i := range 60 {
		for _, form := range []string{"a/hidden/%02d", "a/open/%02d", "z/%02d-no", "z/%02d-ok"} {
			p := vault.Path(fmt.Sprintf(form, i))
			f.put(t, p, vault.Change{})
			everything = append(everything, p)
			if strings.HasPrefix(form, "a/open") || strings.HasSuffix(form, "ok") {
				visible = append(visible, p)
			}
		}
	}
	slices.Sort(everything)
	slices.Sort(visible)
	for _, limit := range []int{0, 1, 7, 60, 200, 5000} {
		got, _ := pages(t, f, local, broker.ListRequest{Limit: limit})
		if !slices.Equal(got, visible) {
			t.Fatalf("limit %d: an agent sees %d secrets, want %d", limit, len(got), len(visible))
		}
		if got, _ = pages(t, f, owner, broker.ListRequest{Limit: limit}); !slices.Equal(got, everything) {
			t.Fatalf("limit %d: the owner sees %d secrets, want %d", limit, len(got), len(everything))
		}
	}
	if got, _ := pages(t, f, local, broker.ListRequest{Prefix: "a/"}); len(got) != 60 {
		t.Fatalf("below a/: %d secrets, want 60", len(got))
	}
	if got, calls := pages(t, f, local, broker.ListRequest{Prefix: "a/hidden/"}); len(got) != 0 || calls != 1 {
		t.Fatalf("a hidden namespace: %d secrets in %d calls", len(got), calls)
	}
	var bad *vault.InvalidError
	if _, err := f.List(t.Context(), local, broker.ListRequest{After: "made up"}); !errors.As(err, &bad) {
		t.Fatalf("a cursor nobody gave: %v", err)
	}
	if _, err := f.List(t.Context(), local, broker.ListRequest{Deleted: true}); codeOf(err) != "owner_only" {
		t.Fatalf("an agent asks for the trash: %v", err)
	}
}

func TestExistenceIsHiddenWithoutARight(t *testing.T) {
	f := newDesk(t, sparse)
	f.put(t, "a/hidden/x", vault.Change{}, "api.example.com")
	ask := func(p vault.Path) []string {
		_, issued := f.Issue(t.Context(), local, broker.IssueRequest{Path: p})
		_, revealed := f.Reveal(t.Context(), local, p, vault.Latest)
		_, masked := f.Redacted(t.Context(), local, p)
		_, described := f.Describe(t.Context(), local, p)
		_, rotated := f.Rotate(t.Context(), local, broker.RotateRequest{Path: p})
		said, err := f.Explain(t.Context(), local, broker.ExplainRequest{Path: p, Right: policy.Use})
		if err != nil {
			t.Fatal(err)
		}
		all := fmt.Sprintf("%v\n%v\n%v\n%v\n%v\n%+v", issued, revealed, masked, described, rotated, said)
		return strings.Split(strings.ReplaceAll(all, string(p), "PATH"), "\n")
	}
	if there, notThere := ask("a/hidden/x"), ask("a/hidden/y"); !slices.Equal(there, notThere) {
		t.Fatalf("answers differ:\n%s\n%s", there, notThere)
	}
}

func TestRotate(t *testing.T) {
	f := newDesk(t, allowAll)
	recipe, tier := vault.Recipe("key_{base62:30}"), vault.Sensitive
	old := f.put(t, "a/made", vault.Change{Generate: &recipe})
	f.put(t, "a/typed", vault.Change{})
	f.put(t, "a/guarded", vault.Change{Generate: &recipe, Tier: &tier})
	rotated, err := f.Rotate(t.Context(), local, broker.RotateRequest{Path: "a/made"})
	if err != nil || rotated.Metadata.Version != 2 || rotated.OldVersion != 1 {
		t.Fatalf("%+v, %v", rotated, err)
	}
	now, err := f.Reveal(t.Context(), owner, "a/made", vault.Latest)
	if err != nil || !strings.HasPrefix(string(now.Value.Reveal()), "key_") || string(now.Value.Reveal()) == old {
		t.Fatalf("not a new value by the recipe: %v", err)
	}
	if _, err := f.Reveal(t.Context(), owner, "a/made", 1); !errors.Is(err, vault.ErrVersionRetired) {
		t.Fatalf("the old version without grace: %v", err)
	}
	_, err = f.Rotate(t.Context(), local, broker.RotateRequest{Path: "a/typed"})
	var denied *broker.Denied
	if !errors.As(err, &denied) || denied.Code != broker.HumanNeeded || !strings.Contains(denied.Next, "coatcheck secret rotate 'a/typed'") {
		t.Fatalf("without a recipe: %v", err)
	}
	if _, err := f.Rotate(t.Context(), local, broker.RotateRequest{Path: "a/guarded"}); codeOf(err) != "approval_required" {
		t.Fatalf("a sensitive secret: %v", err)
	}
	if _, err := f.Rotate(t.Context(), local, broker.RotateRequest{Path: "a/made", Value: secret.New([]byte("an agent's own"))}); codeOf(err) != "owner_only" {
		t.Fatalf("an agent brings the value: %v", err)
	}
}

func TestRedactedShowsNothingOfTheValue(t *testing.T) {
	f := newDesk(t, allowAll)
	value := "sk-proj-" + strings.Repeat("Zq7", 40)
	f.put(t, "a/known", vault.Change{Value: secret.New([]byte(value))})
	f.put(t, "a/short", vault.Change{Value: secret.New([]byte("x"))})
	known, err := f.Redacted(t.Context(), local, "a/known")
	if err != nil || known.Mask != "sk-proj-••••••••" {
		t.Fatalf("mask %q, %v", known.Mask, err)
	}
	short, err := f.Redacted(t.Context(), local, "a/short")
	if err != nil || short.Mask != "••••••••" {
		t.Fatalf("mask %q, %v", short.Mask, err)
	}
}

func TestAgentsMayNotDoWhatIsTheOwners(t *testing.T) {
	f := newDesk(t, allowAll)
	f.put(t, "a/b", vault.Change{}, "api.example.com")
	ctx := t.Context()
	for name, do := range map[string]func() error{
		"restore":       func() error { _, err := f.Restore(ctx, local, "a/b"); return err },
		"add agent":     func() error { _, err := f.AddAgent(ctx, local, identity.NewAgent{Name: "x"}); return err },
		"list agents":   func() error { _, err := f.ListAgents(ctx, local); return err },
		"revoke agent":  func() error { return f.RevokeAgent(ctx, local, "x") },
		"list handles":  func() error { _, err := f.ListHandles(ctx, local, ""); return err },
		"revoke handle": func() error { return f.RevokeHandle(ctx, local, "h_0123456789") },
		"issue for another": func() error {
			_, err := f.Issue(ctx, local, broker.IssueRequest{Path: "a/b", For: "other"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := do(); codeOf(err) != "owner_only" {
				t.Fatalf("got %v", err)
			}
		})
	}
	if meta, err := f.Describe(ctx, owner, "a/b"); err != nil || meta.Version != 1 {
		t.Fatalf("something changed: %+v, %v", meta, err)
	}
}

func TestExplainSaysWhatWouldHappen(t *testing.T) {
	tier := vault.Critical
	f := newDesk(t, allowAll)
	f.put(t, "a/b", vault.Change{}, "https://api.example.com/v1/*")
	f.put(t, "a/none", vault.Change{})
	f.put(t, "a/critical", vault.Change{Tier: &tier}, "api.example.com")
	for _, tc := range []struct {
		name, path, url string
		right           policy.Right
		code            string
	}{
		{"use", "a/b", "", policy.Use, ""},
		{"use there", "a/b", "https://api.example.com/v1/models", policy.Use, ""},
		{"use elsewhere", "a/b", "https://api.example.com/v2", policy.Use, "destination_refused"},
		{"no destination", "a/none", "", policy.Use, "no_destination"},
		{"critical", "a/critical", "", policy.Use, "approval_required"},
		{"list critical", "a/critical", "", policy.List, ""},
		{"not there", "a/gone", "", policy.Use, "not_found"},
		{"no rule", "a/b", "", policy.Delete, "policy_denied"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := f.Explain(t.Context(), local, broker.ExplainRequest{Path: vault.Path(tc.path), Right: tc.right, URL: tc.url})
			if err != nil || got.Code != tc.code || got.Allowed != (tc.code == "") || got.Reason == "" {
				t.Fatalf("%+v, %v", got, err)
			}
		})
	}
	var refusal *redeem.Refusal
	if _, err := f.Explain(t.Context(), local, broker.ExplainRequest{Path: "a/b", Right: policy.Use, URL: "ftp://x"}); !errors.As(err, &refusal) {
		t.Fatalf("a URL nobody may send: %v", err)
	}
}

package broker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// TestElsewhereExplains: a vault elsewhere is not asked about what is refused anyway,
// what is explained is what would happen, and in this desk's words.
func TestElsewhereExplains(t *testing.T) {
	f := newDesk(t, "version: 1\nrules:\n  - {name: some, agents: ['*'], paths: ['p/*'], allow: [list, use, set]}\n")
	far := f.sendAway(t)
	f.put(t, "q/key", vault.Change{}, "api.example.com")
	far.calls = nil
	for _, right := range policy.Rights() {
		if e, err := f.Explain(t.Context(), local, broker.ExplainRequest{Path: "q/key", Right: right}); err != nil || e.Allowed || e.Code != "policy_denied" {
			t.Errorf("%s: %+v, %v", right, e, err)
		}
	}
	if len(far.calls) != 0 {
		t.Errorf("it was asked: %q", far.calls)
	}
	refused := func(r vault.RefusedError) error { return fmt.Errorf("%w: THEIR WORDS", &r) }
	for code, tc := range map[string]struct {
		describe, list error
	}{
		"":                  {list: refused(vault.RefusedError{Code: "OWNER_ONLY"})},
		"vault_refused":     {list: refused(vault.RefusedError{Code: "RATE_LIMITED", RetryAfter: time.Second})},
		"vault_unreachable": {list: fmt.Errorf("%w: THEIR WORDS", vault.ErrUnreachable)},
		"not_found":         {describe: fmt.Errorf("%w: THEIR WORDS", vault.ErrNotFound)},
	} {
		far.list, far.before = tc.list, func(string, vault.Path) error { return tc.describe }
		right := policy.Set
		if tc.describe != nil {
			right = policy.Use
		}
		e, err := f.Explain(t.Context(), local, broker.ExplainRequest{Path: "p/new", Right: right})
		if err != nil || e.Code != code || e.Allowed != (code == "") || strings.Contains(e.Reason+e.Next, "THEIR WORDS") {
			t.Errorf("%s: %+v, %v", code, e, err)
		}
		if _, err := f.set(t, local, "p/new", "another value"); tc.list != nil && (err == nil) != e.Allowed {
			t.Errorf("%s: explained as %v, and then: %v", code, e.Allowed, err)
		}
		far.before = nil
		if err := far.Vault.Delete(t.Context(), "p/new", true); (err == nil) != (code == "") {
			t.Error(err)
		}
	}
}

// TestElsewhereVeiled: why a vault elsewhere refuses to store a value tells what is
// there, which who may not list it does not learn.
func TestElsewhereVeiled(t *testing.T) {
	f := newDesk(t, writers)
	blind := f.blind(t)
	far := f.sendAway(t)
	for want, refusals := range map[string][]vault.RefusedError{
		"path_unavailable": {{Code: "IN_TRASH"}, {Code: "APPROVAL_REQUIRED", Approval: "apr_there"}, {Code: "OWNER_ONLY"}},
		"":                 {{Code: "RATE_LIMITED", RetryAfter: time.Second}},
	} {
		for _, refusal := range refusals {
			far.before = func(call string, _ vault.Path) error {
				if call == "put" {
					return &refusal
				}
				return nil
			}
			if _, err := f.set(t, blind, "a/b", "some new value"); err == nil || codeOf(err) != want {
				t.Errorf("%s: %v", refusal.Code, err)
			}
		}
	}
}

package tools_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func TestFailures(t *testing.T) {
	tests := map[string]struct {
		err  error
		code string
	}{
		"denied":        {&broker.Denied{Code: broker.PolicyDenied, Reason: "No rule.", Next: "Ask."}, "policy_denied"},
		"approval":      {&broker.Denied{Code: broker.ApprovalRequired, Reason: "Approval required."}, "approval_required"},
		"human":         {&broker.Denied{Code: broker.HumanNeeded, Reason: "A human.", Next: "coatcheck secret rotate 'a'"}, "human_needed"},
		"refusal":       {&redeem.Refusal{Code: redeem.CodeAddress, Reason: "A private address."}, "address_refused"},
		"timeout there": {&redeem.Upstream{Code: redeem.CodeTimeout}, "timeout"},
		"invalid":       {&vault.InvalidError{Field: "cursor", Rule: "is not one of ours"}, tools.InvalidArgument},
		"mistyped":      {handle.ErrMistyped, "handle_mistyped"},
		"unknown":       {handle.ErrUnknown, "handle_unknown"},
		"expired":       {handle.ErrExpired, "handle_expired"},
		"exhausted":     {handle.ErrExhausted, "handle_exhausted"},
		"revoked":       {handle.ErrRevoked, "handle_revoked"},
		"secret gone":   {vault.ErrNotFound, "not_found"},
		"secret old":    {vault.ErrExpired, "secret_expired"},
		"version old":   {vault.ErrVersionRetired, "version_retired"},
		"agent gone":    {identity.ErrUnauthenticated, "unauthenticated"},
		"approval gone": {approval.ErrUnknown, "approval_unknown"},
		"approvals":     {approval.ErrTooMany, "too_many_requests"},
		"busy":          {fmt.Errorf("canary: %w", vault.ErrBusy), "busy"},
		"key away":      {vault.ErrKeyUnavailable, "key_unavailable"},
		"key changed":   {vault.ErrKeyWrong, "key_changed"},
		"full":          {vault.ErrStorageFull, "storage_full"},
		"read-only":     {vault.ErrReadOnly, "storage_read_only"},
		"damaged":       {vault.ErrCorrupt, "damaged"},
		"cancelled":     {context.Canceled, "cancelled"},
		"deadline":      {context.DeadlineExceeded, "timeout"},
		"anything":      {errors.New("canary in the text"), tools.Internal},
		"new upstream":  {&redeem.Upstream{Code: "canary"}, tools.Internal},
	}
	calls := map[string]string{
		"explain_access": `{"path":"a"}`, "get_secret": `{"path":"a"}`, "http_request": `{"url":"https://x.example"}`,
		"list_secrets": `{}`, "rotate_secret": `{"path":"a"}`, "set_secret": `{"path":"a","value":"canary"}`,
		"delete_secret": `{"path":"a"}`, "check_approval": `{"approval_id":"apr_0123456789"}`, "request_token": `{"scopes":["secrets:read:a"]}`,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for tool, args := range calls {
				b := fake(t)
				b.err = test.err
				res := call(t, b, tool, args)
				if res.Structured != nil || res.Text != "" || res.Failure == nil {
					t.Fatalf("%s: %+v", tool, res)
				}
				f := *res.Failure
				if f.Code != test.code || f.Message == "" || strings.Contains(f.JSON(), "canary") {
					t.Errorf("%s: %s", tool, f.JSON())
				}
				if internal := test.code == tools.Internal; internal != (f.Reference != "") || internal != (res.Cause != nil) {
					t.Errorf("%s: reference %q, cause %v", tool, f.Reference, res.Cause)
				}
			}
		})
	}
}

// TestReferencesDiffer: two faults never share a reference.
func TestReferencesDiffer(t *testing.T) {
	if a, b := tools.Broken(), tools.Broken(); a.Reference == b.Reference || len(a.Reference) != 14 {
		t.Errorf("%q, %q", a.Reference, b.Reference)
	}
}

// TestEveryErrorHasItsRow finds the sentinels and codes of the packages below
// and fails when one is missing from the table.
func TestEveryErrorHasItsRow(t *testing.T) {
	// These cannot reach a tool: they belong to commands and to start-up.
	elsewhere := map[string]bool{
		"ErrNewer": true, "ErrForeign": true, "ErrLoosePermissions": true,
		"ErrNetworkFilesystem": true, "ErrAgentExists": true, "ErrUnknownAgent": true,
		"ErrAdminExists": true, "ErrUnknownAdmin": true, "ErrUnknownToken": true,
	}
	table := source(t, ".")
	for dir, prefix := range map[string]string{"../vault": "vault.Err", "../policy/handle": "handle.Err", "../policy/identity": "identity.Err"} {
		for name := range declared(t, dir, "Err") {
			row := prefix[:strings.IndexByte(prefix, '.')+1] + name
			if !elsewhere[name] && !strings.Contains(table, row) {
				t.Errorf("%s has no row", row)
			}
		}
	}
	for code := range declared(t, "../policy/redeem", "Code") {
		// A refusal carries its own words; only upstream codes need a row.
		if !strings.Contains(table, "redeem."+code) && !refusals[code] {
			t.Errorf("redeem.%s has no row", code)
		}
	}
}

var refusals = map[string]bool{
	"CodeURL": true, "CodeMethod": true, "CodeHeader": true, "CodeQuery": true, "CodeBody": true, "CodePlace": true,
	"CodeDestination": true, "CodeAddress": true, "CodeValue": true,
}

// declared returns the exported names with that prefix that a package declares
// as variables or constants.
func declared(t *testing.T, dir, prefix string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	walk(t, dir, func(f *ast.File) {
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR && g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				for _, n := range s.(*ast.ValueSpec).Names {
					if strings.HasPrefix(n.Name, prefix) {
						out[n.Name] = true
					}
				}
			}
		}
	})
	if len(out) == 0 {
		t.Fatalf("%s declares nothing that starts with %s", dir, prefix)
	}
	return out
}

package cli_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/transport/cli"
	"github.com/coatcheck-dev/coatcheck/transport/connect"
	"github.com/coatcheck-dev/coatcheck/transport/connect/jsonc"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// TestJudge holds every class of error to its exit code, wrapped and beside
// another error too, and most of them to a next step.
func TestJudge(t *testing.T) {
	for _, test := range []struct {
		err  error
		code int
		next string
	}{
		{nil, 0, ""},
		{errors.New("something else"), 1, ""},
		{context.Canceled, 1, ""},
		{context.DeadlineExceeded, 1, ""},
		{&vault.InvalidError{Field: "path", Rule: "is empty"}, 2, ""},
		{connect.ErrUnknownClient, 2, ""},
		{connect.ErrPasses, 2, ""},
		{&broker.Denied{Code: broker.NoDestination, Next: "Ask the owner to run: coatcheck x"}, 3, "Run: coatcheck x"},
		{&broker.Denied{Code: broker.PolicyDenied, Next: "Something else."}, 3, "Something else."},
		{&redeem.Refusal{Code: redeem.CodeURL, Next: "Write another."}, 3, "Write another."},
		{approval.ErrOwnRequest, 3, "Another admin"},
		{approval.ErrTooMany, 3, "--status pending"},
		{identity.ErrTooManyTokens, 3, "token list"},
		{vault.ErrNotFound, 4, "secret list"},
		{vault.ErrExpired, 4, "--expires"},
		{vault.ErrVersionRetired, 4, "secret history"},
		{handle.ErrUnknown, 4, "handle list"},
		{identity.ErrUnknownAgent, 4, "agent list"},
		{identity.ErrUnknownAdmin, 4, "admin list"},
		{identity.ErrUnknownToken, 4, "token list"},
		{approval.ErrUnknown, 4, "approvals list"},
		{audit.ErrNoRecord, 4, "audit tail"},
		{audit.ErrUnsealed, 4, "first event"},
		{audit.ErrNoKey, 4, "first opens"},
		{vault.ErrExists, 5, "Delete"},
		{vault.ErrPathConflict, 5, "another path"},
		{identity.ErrAgentExists, 5, "another name"},
		{identity.ErrAdminExists, 5, "another name"},
		{approval.ErrVoted, 5, "Another admin"},
		{approval.ErrSettled, 5, "approvals show"},
		{connect.ErrChanged, 5, "again"},
		{vault.ErrKeyMissing, 6, ""},
		{vault.ErrKeyWrong, 6, ""},
		{vault.ErrKeyUnavailable, 6, ""},
		{vault.ErrLoosePermissions, 6, ""},
		{identity.ErrUnauthenticated, 6, "agent add"},
		{vault.ErrReadOnly, 7, "disk"},
		{vault.ErrStorageFull, 7, "room"},
		{vault.ErrBusy, 7, "again"},
		{vault.ErrCorrupt, 7, "good copy"},
		{vault.ErrNewer, 7, "newest"},
		{vault.ErrForeign, 7, "COATCHECK_HOME"},
		{vault.ErrNetworkFilesystem, 7, "local disk"},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EROFS}, 7, "read-only"},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, 7, "room"},
		{&fs.PathError{Op: "open", Path: "x", Err: syscall.EACCES}, 7, "who may"},
		{connect.ErrReadOnly, 7, "--print"},
		{&policy.SyntaxError{File: "policy.yaml"}, 8, ""},
		{&jsonc.SyntaxError{}, 8, "--print"},
		{&audit.TamperError{Seq: 1}, 9, "copy"},
		{audit.ErrNotProven, 9, "Do not believe it"},
	} {
		t.Run(fmt.Sprint(test.err), func(t *testing.T) {
			for _, err := range []error{test.err, fmt.Errorf("around: %w", test.err), errors.Join(test.err, errors.New("and another"))} {
				if test.err == nil {
					err = nil
				}
				code, next := cli.Judge(err)
				if code != test.code || !strings.Contains(next, test.next) || test.next == "" && next != "" {
					t.Errorf("%v: %d, %q; want %d, %q", err, code, next, test.code, test.next)
				}
			}
		})
	}
}

// TestExitCodes: the table lists every code once, in order.
func TestExitCodes(t *testing.T) {
	for i, row := range cli.ExitCodes() {
		if row.Code != i || row.Meaning == "" {
			t.Errorf("row %d: %+v", i, row)
		}
	}
}

// TestErrorNamesTheRequest that waits for people, for programs.
func TestErrorNamesTheRequest(t *testing.T) {
	for err, want := range map[error]string{
		fmt.Errorf("around: %w", &broker.Denied{Code: broker.ApprovalRequired, Reason: "wait", Approval: "apr_0123456789"}): `{"error":"around: wait","exit_code":3,"approval_id":"apr_0123456789"}`,
		&broker.Denied{Code: broker.PolicyDenied, Reason: "no"}:                                                             `{"error":"no","exit_code":3}`,
	} {
		var out strings.Builder
		if cli.Complain(&out, err); strings.TrimSpace(out.String()) != want {
			t.Errorf("%s, want %s", out.String(), want)
		}
	}
}

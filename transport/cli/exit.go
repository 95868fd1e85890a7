package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// The exit codes; exitTable says what each means.
const (
	exitOK       = 0
	exitFailed   = 1
	exitUsage    = 2
	exitRefused  = 3
	exitNotFound = 4
	exitConflict = 5
	exitKey      = 6
	exitStorage  = 7
	exitPolicy   = 8
	exitTampered = 9
)

// ExitCode is one row of the documented table.
type ExitCode struct {
	Code    int
	Meaning string
}

// ExitCodes returns the codes that [Main] returns and their meaning.
func ExitCodes() []ExitCode {
	return []ExitCode{
		{exitOK, "success"},
		{exitFailed, "something failed that has no code of its own; for doctor and demo, a check failed"},
		{exitUsage, "the command line or an input is wrong; nothing was changed"},
		{exitRefused, "refused by the policy or by the desk's own rules"},
		{exitNotFound, "no such secret, version, agent or handle"},
		{exitConflict, "it exists already, or a secret and a namespace would share a path"},
		{exitKey, "the key is missing or wrong, or a file is open to others"},
		{exitStorage, "the storage refuses: read-only, full, busy, damaged or written by a newer version"},
		{exitPolicy, "the policy or the configuration has an error"},
		{exitTampered, "the audit log was changed"},
	}
}

// exitTable maps errors to exit codes; the first row that matches counts.
var exitTable = []struct {
	code int
	errs []error
}{
	{exitNotFound, []error{vault.ErrNotFound, handle.ErrUnknown, identity.ErrUnknownAgent}},
	{exitConflict, []error{vault.ErrExists, vault.ErrPathConflict, identity.ErrAgentExists}},
	{exitKey, []error{vault.ErrKeyMissing, vault.ErrKeyWrong, vault.ErrLoosePermissions, identity.ErrUnauthenticated}},
	{exitStorage, []error{
		vault.ErrReadOnly, vault.ErrStorageFull, vault.ErrBusy, vault.ErrCorrupt, vault.ErrNewer,
		vault.ErrForeign, vault.ErrNetworkFilesystem,
	}},
}

// usageError is a command line that cannot be carried out.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func exitCode(err error) int {
	var (
		wrong    usageError
		invalid  *vault.InvalidError
		denied   *broker.Denied
		refusal  *redeem.Refusal
		syntax   *policy.SyntaxError
		tampered *audit.TamperError
	)
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return exitOK
	case errors.As(err, &wrong), errors.As(err, &invalid), strings.HasPrefix(err.Error(), "unknown command"):
		return exitUsage
	case errors.As(err, &denied), errors.As(err, &refusal):
		return exitRefused
	case errors.As(err, &syntax):
		return exitPolicy
	case errors.As(err, &tampered):
		return exitTampered
	}
	for _, row := range exitTable {
		for _, known := range row.errs {
			if errors.Is(err, known) {
				return row.code
			}
		}
	}
	return exitFailed
}

// complain writes the error, and what to do next where that is known.
func (a *app) complain(cmd *cobra.Command, code int, err error) {
	if code == exitOK || errors.Is(err, errQuiet) {
		return
	}
	next := ""
	var denied *broker.Denied
	if errors.As(err, &denied) {
		next = denied.Next
	}
	if a.json {
		_ = json.NewEncoder(a.Err).Encode(map[string]any{"error": err.Error(), "exit_code": code, "next": next})
		return
	}
	a.note("coatcheck: %v", err)
	if next != "" {
		a.note("%s", next)
	}
	if code == exitUsage && cmd != nil {
		a.note("See '%s --help'.", cmd.CommandPath())
	}
}

// errQuiet ends a command with [exitFailed] after it has said why itself.
var errQuiet = errors.New("")

func exitCodesTopic() *cobra.Command {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range ExitCodes() {
		_, _ = fmt.Fprintf(table, "  %d\t%s\n", row.Code, row.Meaning)
	}
	_ = table.Flush()
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: "coatcheck ends with one of these codes:\n\n" + text.String()}
}

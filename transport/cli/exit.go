package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/transport/connect"
	"github.com/coatcheck-dev/coatcheck/transport/connect/jsonc"
	"github.com/coatcheck-dev/coatcheck/transport/httpd"
	"github.com/coatcheck-dev/coatcheck/transport/mcp/bridge"
	"github.com/coatcheck-dev/coatcheck/transport/socket"
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
	Code    int    `json:"code"`
	Meaning string `json:"meaning"`
}

// ExitCodes returns the codes that [Main] returns and their meaning.
func ExitCodes() []ExitCode {
	return []ExitCode{
		{exitOK, "success"},
		{exitFailed, "something failed that has no code of its own; for doctor, demo and policy test, a check failed"},
		{exitUsage, "the command line or an input is wrong; nothing was changed"},
		{exitRefused, "refused by the policy or by the desk's own rules"},
		{exitNotFound, "no such secret, version, agent, admin, token, handle or request"},
		{exitConflict, "it exists or is decided already, or a secret and a namespace would share a path"},
		{exitKey, "the key is missing, wrong or out of reach, or a file is open to others"},
		{exitStorage, "the storage refuses: read-only, full, busy, damaged, gone or written by a newer version"},
		{exitPolicy, "the policy, the configuration or a client's configuration has an error"},
		{exitTampered, "the audit log was changed, or the proof of an event does not hold"},
	}
}

// exitTable maps errors to exit codes and says what to do next, where the
// error's own text does not; the first row that matches counts.
var exitTable = []struct {
	err  error
	code int
	next string
}{
	{vault.ErrExpired, exitNotFound, "Store a new value, or give it another time: coatcheck secret set PATH --keep-value --expires 90d"},
	{vault.ErrVersionRetired, exitNotFound, "Leave out --version for the current one; 'coatcheck secret history PATH' lists those kept."},
	{vault.ErrNotFound, exitNotFound, "See 'coatcheck secret list', and the trash with 'coatcheck secret list --deleted'."},
	{handle.ErrUnknown, exitNotFound, "See the ids in 'coatcheck handle list'."},
	{identity.ErrUnknownAgent, exitNotFound, "See 'coatcheck agent list'."},
	{identity.ErrUnknownAdmin, exitNotFound, "See 'coatcheck admin list'."},
	{identity.ErrUnknownToken, exitNotFound, "See the ids in 'coatcheck token list'."},
	{approval.ErrUnknown, exitNotFound, "See the ids in 'coatcheck approvals list'."},
	{audit.ErrNoRecord, exitNotFound, "See the numbers in 'coatcheck audit tail'."},
	{audit.ErrUnsealed, exitNotFound, "The first event is signed with the command that causes it."},
	{audit.ErrNoKey, exitNotFound, "The key is made when a desk first opens the home."},
	{vault.ErrExists, exitConflict, "Delete the one that is there, or leave it."},
	{vault.ErrPathConflict, exitConflict, "Choose another path: a name is either a secret or a folder of secrets."},
	{identity.ErrAgentExists, exitConflict, "Choose another name, or revoke that agent first."},
	{identity.ErrAdminExists, exitConflict, "Choose another name, or revoke that admin first."},
	{approval.ErrVoted, exitConflict, "Another admin must agree."},
	{approval.ErrSettled, exitConflict, "See 'coatcheck approvals show ID'."},
	{approval.ErrOwnRequest, exitRefused, "Another admin must decide."},
	{approval.ErrTooMany, exitRefused, "Decide some of those that wait: coatcheck approvals list --status pending"},
	{identity.ErrTooManyTokens, exitRefused, "Revoke some: coatcheck token list --agent NAME"},
	{vault.ErrKeyMissing, exitKey, ""},
	{vault.ErrKeyWrong, exitKey, ""},
	{vault.ErrKeyUnavailable, exitKey, ""},
	{vault.ErrLoosePermissions, exitKey, ""},
	{identity.ErrUnauthenticated, exitKey, "Register the agent with 'coatcheck agent add', with --stdio if it has no key; 'coatcheck agent list' shows who there is."},
	{vault.ErrReadOnly, exitStorage, "Nothing was changed. Check the disk and who may write to the home."},
	{vault.ErrStorageFull, exitStorage, "Nothing was changed. Free some room and try again."},
	{vault.ErrStorageFailed, exitStorage, "The change may have been made or not: look before you repeat it. Check the disk."},
	{vault.ErrBusy, exitStorage, "Nothing was changed. Try again."},
	{vault.ErrCorrupt, exitStorage, "If it is an agent, an admin, a token or a handle, revoke it and make a new one; deny a request. Put back a good copy of the home otherwise, and keep this one."},
	{vault.ErrUnreachable, exitStorage, "The change may have been made or not: look before you repeat it. Check the address of the vault, and the network."},
	{vault.ErrUnsupported, exitRefused, "Nothing was changed. The vault behind this desk cannot do it."},
	{vault.ErrNewer, exitStorage, "Nothing was changed. Install the newest coatcheck."},
	{vault.ErrForeign, exitStorage, "Nothing was changed. Is COATCHECK_HOME the right folder?"},
	{vault.ErrNetworkFilesystem, exitStorage, "Put the home on a local disk: set COATCHECK_HOME."},
	{syscall.EROFS, exitStorage, "Nothing was changed. The home is on a read-only disk."},
	{syscall.ENOSPC, exitStorage, "Free some room and try again."},
	{fs.ErrPermission, exitStorage, "Check who may read and write in the home."},
	{audit.ErrNotProven, exitTampered, "Do not believe it. Ask for the proof again, and compare the key with the one you were given."},
	{httpd.ErrInsecureListen, exitUsage, "Set tls_cert and tls_key in config.yaml, or give --insecure-listen where something in front ends TLS."},
	{socket.ErrUnsupported, exitUsage, "Use TCP with TLS: tls_cert and tls_key in config.yaml."},
	{socket.ErrInUse, exitConflict, "Stop the desk that is there, or choose another path."},
	{socket.ErrImpostor, exitKey, "No key was sent. Find out who put the socket there."},
	{bridge.ErrServer, exitUsage, ""},
	{bridge.ErrKeyRefused, exitKey, "Put a key from 'coatcheck agent add NAME' into COATCHECK_AGENT_KEY."},
	{bridge.ErrTurnedAway, exitRefused, "Have the owner of the desk put this user into socket_users in its config.yaml."},
	{bridge.ErrUntrusted, exitFailed, "Check --server, or give the desk's authority in SSL_CERT_FILE."},
	{bridge.ErrUnreachable, exitFailed, "Check --server, and that the desk runs: coatcheck serve."},
	{bridge.ErrNoAnswer, exitFailed, "Check --server."},
	{connect.ErrUnknownClient, exitUsage, ""},
	{connect.ErrPasses, exitUsage, ""},
	{connect.ErrChanged, exitConflict, "Nothing was changed. Try again."},
	{connect.ErrReadOnly, exitStorage, "Nothing was changed. Make the file writable, or use --print and put the entry in yourself."},
	{context.Canceled, exitFailed, ""},
}

// usageError is a command line that cannot be carried out.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// codedError is a failure of the home as a whole, with its own exit code and
// what to do next.
type codedError struct {
	error
	code int
	next string
}

func (e codedError) Unwrap() error { return e.error }

// notSealed is a command that was carried out, and whose record could not be
// signed or closed afterwards.
type notSealed struct{ error }

func (e notSealed) Error() string {
	return "the command was carried out, but its record could not be signed: " + e.error.Error()
}

func (e notSealed) Unwrap() error { return e.error }

// judge returns the exit code of err and what to do next.
func judge(err error) (code int, next string) {
	var (
		wrong    usageError
		invalid  *vault.InvalidError
		denied   *broker.Denied
		away     *vault.RefusedError
		refusal  *redeem.Refusal
		syntax   *policy.SyntaxError
		client   *jsonc.SyntaxError
		coded    codedError
		unsealed notSealed
		tampered *audit.TamperError
	)
	switch {
	case err == nil:
		return exitOK, ""
	case errors.As(err, &wrong), errors.As(err, &invalid):
		return exitUsage, ""
	case errors.As(err, &denied):
		return exitRefused, toOwner(denied.Next)
	case errors.As(err, &away):
		return exitRefused, allowThere(away)
	case errors.As(err, &refusal):
		return exitRefused, refusal.Next
	case errors.As(err, &syntax):
		return exitPolicy, ""
	case errors.As(err, &client):
		return exitPolicy, "Repair the file, or use --print and put the entry in yourself."
	case errors.As(err, &tampered):
		if tampered.AgainstAnchor() {
			return exitTampered, tamperedNext + "\n" + giveUpAnchor
		}
		return exitTampered, tamperedNext
	case errors.Is(err, audit.ErrCheckpoint):
		return exitTampered, tamperedNext + "\n" + giveUpAnchor
	case errors.As(err, &unsealed):
		return exitStorage, "Do not repeat it. Remedy the cause; the next change signs this one too. See 'coatcheck audit verify'."
	case errors.As(err, &coded):
		return coded.code, coded.next
	}
	for _, row := range exitTable {
		if errors.Is(err, row.err) {
			return row.code, row.next
		}
	}
	return exitFailed, ""
}

// allowThere says what to do at a vault elsewhere that refuses this desk.
func allowThere(refused *vault.RefusedError) string {
	switch {
	case refused.Approval != "":
		return "Have the request " + refused.Approval + " approved there, then repeat the command."
	case refused.RetryAfter > 0:
		return "Wait " + refused.RetryAfter.Round(time.Second).String() + ", then repeat the command."
	default:
		return "Give the key in " + vaultKeyName + " the right for it there."
	}
}

// What to do about a log that was changed.
const (
	tamperedNext = "Keep a copy of the home as it is now, and compare it with a backup."
	giveUpAnchor = "Only to go on with this record as it is: remove the home's file checkpoint by hand."
)

// toOwner turns a next step that is written for a model round to the owner, who
// is the one reading it here.
func toOwner(next string) string {
	step, ok := strings.CutPrefix(next, "Ask the owner to ")
	if !ok || step == "" {
		return next
	}
	return strings.ToUpper(step[:1]) + step[1:]
}

// complain writes the error and what to do next, and returns the exit code.
func (a *app) complain(cmd *cobra.Command, err error) int {
	code, next := judge(err)
	if errors.Is(err, errQuiet) {
		return code
	}
	text := err.Error()
	if errors.Is(err, context.Canceled) {
		text = "interrupted"
	}
	if code == exitUsage && next == "" && cmd != nil {
		if cmd.Name() == "help" {
			cmd = cmd.Root()
		}
		next = "See '" + cmd.CommandPath() + " --help'."
	}
	if a.json || slices.Contains(a.args, "--json") { // a flag after one that is wrong is not read
		waiting := ""
		if denied := (*broker.Denied)(nil); errors.As(err, &denied) {
			waiting = denied.Approval
		}
		_ = json.NewEncoder(a.Err).Encode(struct {
			Error    string `json:"error"`
			ExitCode int    `json:"exit_code"`
			Next     string `json:"next,omitempty"`
			Approval string `json:"approval_id,omitempty"`
		}{text, code, next, waiting})
		return code
	}
	a.note("coatcheck: %s", text)
	if next != "" {
		a.note("%s", next)
	}
	return code
}

// errQuiet ends a command with [exitFailed] after it has said why itself.
var errQuiet = errors.New("")

package broker

import (
	"errors"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// Code names why a request was refused. Codes are stable and appear in the log.
type Code string

// The codes of [Denied].
const (
	PolicyDenied      Code = "policy_denied"
	ScopeDenied       Code = "scope_denied" // beyond what the agent was registered for, or the token was issued for
	ApprovalRequired  Code = "approval_required"
	ApprovalDenied    Code = "approval_denied"
	NoDestination     Code = "no_destination"
	DestinationDenied Code = "destination_refused"
	RateLimited       Code = "rate_limited"
	NoHandle          Code = "no_handle"
	OwnerOnly         Code = "owner_only"
	HumanNeeded       Code = "human_needed"
	InTrash           Code = "in_trash"
	Unavailable       Code = "path_unavailable"
	ClockBehind       Code = "clock_behind"
	NotKept           Code = "not_kept"      // done in a vault elsewhere, and what belongs to it here not written
	VaultRefused      Code = "vault_refused" // by a vault elsewhere, of this desk
)

// Denied is a refusal by policy or by the desk's own rules. Its texts are safe
// to show to a model.
type Denied struct {
	Code   Code
	Rule   string // name of the policy rule that decided, if one did
	Reason string // a sentence
	Next   string // what to do next, a sentence; may be empty
	// Approval is the id of the request that waits for people, of code
	// [ApprovalRequired], or that they refused, of code [ApprovalDenied]. "" when
	// nothing was asked for.
	Approval string
	// Scope is what would be needed, as [identity.Scope] spells it: of
	// [ScopeDenied] and [PolicyDenied] where one path was asked for.
	Scope string
	// RetryAfter is when it is worth asking again, of code [RateLimited]; 0: not known.
	RetryAfter time.Duration
}

// Error returns the reason.
func (d *Denied) Error() string { return d.Reason }

func ownerOnly() *Denied {
	return &Denied{Code: OwnerOnly, Reason: "Only the owner may do this.", Next: "Ask the owner to do it with the coatcheck command."}
}

// notForAdmins refuses an admin what is for agents: it decides about handles and
// holds none.
func notForAdmins() *Denied {
	return &Denied{Code: PolicyDenied, Reason: "An admin's key is for people who decide; it gets and uses no handles.", Next: "Use an agent's key."}
}

// managersOnly refuses what people do.
func managersOnly() *Denied {
	return &Denied{Code: OwnerOnly, Reason: "Only the owner and admins may do this.", Next: "Ask the owner to do it with the coatcheck command."}
}

func notKept() *Denied {
	return &Denied{
		Code: NotKept, Reason: "It was done in the vault behind this desk, and what belongs to it here could not be written.",
		Next: "Do not repeat it. Tell the owner, who sees to the storage and says again where the secret may go.",
	}
}

// ByVault returns what a vault elsewhere refused this desk, in this desk's words;
// nil for any other error.
func ByVault(err error) *Denied {
	refused, ok := errors.AsType[*vault.RefusedError](err)
	switch {
	case !ok:
		return nil
	case refused.Approval != "":
		return &Denied{
			Code: VaultRefused, Reason: "The vault behind this desk has people of its own who must approve this first (its request " + refused.Approval + ").",
			Next: "Tell the person you work for. Once it is approved there, make exactly the same call again.",
		}
	case refused.RetryAfter > 0:
		return &Denied{
			Code: VaultRefused, RetryAfter: refused.RetryAfter, Reason: "The vault behind this desk is asked too often.",
			Next: "Wait " + refused.RetryAfter.Round(time.Second).String() + ", then try again.",
		}
	default:
		return &Denied{
			Code: VaultRefused, Reason: "The vault behind this desk does not let it do that (" + refused.Code + ").",
			Next: "Tell the owner: the desk's key there needs the right for it.",
		}
	}
}

// outcome tells how the log names err: "denied" with a code for a refusal,
// "failed" with a code for a request that could not be met, and ok=false for
// faults of the machine, which are not events of the log.
func outcome(err error) (name, code string, ok bool) {
	var denied *Denied
	var refusal *redeem.Refusal
	var upstream *redeem.Upstream
	var bad *vault.InvalidError
	switch {
	case errors.As(err, &denied) && denied.Code == NotKept: // it was done
		return audit.Failed, string(NotKept), true
	case errors.As(err, &denied):
		return audit.Denied, string(denied.Code), true
	case ByVault(err) != nil:
		return audit.Failed, string(VaultRefused), true
	case errors.As(err, &refusal):
		return audit.Denied, refusal.Code, true
	case errors.As(err, &upstream):
		return audit.Failed, upstream.Code, true
	case errors.As(err, &bad):
		return audit.Failed, "invalid_" + bad.Field, true
	}
	for _, known := range failures {
		if errors.Is(err, known.err) {
			return known.outcome, known.code, true
		}
	}
	return "", "", false
}

// inOwnWords is the text of err without what a vault elsewhere adds to it.
func inOwnWords(err error) string {
	for _, known := range failures {
		if errors.Is(err, known.err) {
			return known.err.Error()
		}
	}
	return err.Error()
}

var failures = []struct {
	err           error
	outcome, code string
}{
	{identity.ErrUnauthenticated, audit.Denied, "unauthenticated"},
	{handle.ErrMistyped, audit.Denied, "handle_mistyped"},
	{handle.ErrUnknown, audit.Denied, "handle_unknown"},
	{handle.ErrExpired, audit.Denied, "handle_expired"},
	{handle.ErrExhausted, audit.Denied, "handle_exhausted"},
	{handle.ErrRevoked, audit.Denied, "handle_revoked"},
	{vault.ErrExpired, audit.Failed, "secret_expired"},
	{vault.ErrVersionRetired, audit.Failed, "version_retired"},
	{vault.ErrNotFound, audit.Failed, "not_found"},
	{vault.ErrExists, audit.Failed, "exists"},
	{vault.ErrPathConflict, audit.Failed, "path_conflict"},
	{vault.ErrCorrupt, audit.Failed, "damaged"},
	{vault.ErrUnreachable, audit.Failed, "vault_unreachable"},
	{vault.ErrUnsupported, audit.Failed, "unsupported"},
	{errNotTried, audit.Failed, "not_tried"},
	{identity.ErrAgentExists, audit.Failed, "agent_exists"},
	{identity.ErrUnknownAgent, audit.Failed, "agent_unknown"},
	{identity.ErrAdminExists, audit.Failed, "admin_exists"},
	{identity.ErrUnknownAdmin, audit.Failed, "admin_unknown"},
	{identity.ErrUnknownToken, audit.Failed, "token_unknown"},
	{identity.ErrTooManyTokens, audit.Denied, "too_many_tokens"},
	{approval.ErrUnknown, audit.Failed, "approval_unknown"},
	{approval.ErrOwnRequest, audit.Denied, "own_request"},
	{approval.ErrVoted, audit.Failed, "voted"},
	{approval.ErrSettled, audit.Failed, "settled"},
	{approval.ErrTooMany, audit.Denied, "too_many_requests"},
}

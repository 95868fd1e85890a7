package broker

import (
	"errors"

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
	ApprovalRequired  Code = "approval_required"
	NoDestination     Code = "no_destination"
	DestinationDenied Code = "destination_refused"
	RateLimited       Code = "rate_limited"
	NoHandle          Code = "no_handle"
	OwnerOnly         Code = "owner_only"
	HumanNeeded       Code = "human_needed"
	InTrash           Code = "in_trash"
	Unavailable       Code = "path_unavailable"
	ClockBehind       Code = "clock_behind"
)

// Denied is a refusal by policy or by the desk's own rules. Its texts are safe
// to show to a model.
type Denied struct {
	Code   Code
	Rule   string // name of the policy rule that decided, if one did
	Reason string // a sentence
	Next   string // what to do next, a sentence; may be empty
}

// Error returns the reason.
func (d *Denied) Error() string { return d.Reason }

func ownerOnly() *Denied {
	return &Denied{Code: OwnerOnly, Reason: "Only the owner may do this.", Next: "Ask the owner to do it with the coatcheck command."}
}

func approvalRequired(t vault.Tier) *Denied {
	return &Denied{
		Code:   ApprovalRequired,
		Reason: "This secret is " + string(t) + ": approval required, and approvals do not exist yet in this version.",
		Next:   "Nothing was granted. Ask the owner to do this step, or to lower the tier if that is right.",
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
	case errors.As(err, &denied):
		return audit.Denied, string(denied.Code), true
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
	{identity.ErrAgentExists, audit.Failed, "agent_exists"},
	{identity.ErrUnknownAgent, audit.Failed, "agent_unknown"},
	{identity.ErrAdminExists, audit.Failed, "admin_exists"},
	{identity.ErrUnknownAdmin, audit.Failed, "admin_unknown"},
	{identity.ErrUnknownToken, audit.Failed, "token_unknown"},
	{identity.ErrTooManyTokens, audit.Denied, "too_many_tokens"},
}

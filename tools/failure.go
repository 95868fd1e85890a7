package tools

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/handle"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// Codes of failures that arise here. All others come with the error.
const (
	InvalidArgument = "invalid_argument"
	Internal        = "internal"
)

// Failure is what a model is told when a tool does not do what was asked. Its
// texts carry no value, no handle and nothing an upstream said.
type Failure struct {
	Code    string `json:"code"`           // stable word, for programs
	Message string `json:"message"`        // what is wrong, a sentence
	Next    string `json:"next,omitempty"` // what to do next, a sentence
	// Approval is the id of the request that waits for people or was denied by them.
	Approval string `json:"approval_id,omitempty"`
	// Reference names the log entry of a failure of code [Internal].
	Reference string `json:"reference,omitempty"`
}

// JSON returns f as a compact JSON object of its fields.
func (f *Failure) JSON() string {
	text, err := encode(f)
	if err != nil {
		return `{"code":"` + Internal + `"}` // four strings always encode
	}
	return string(text)
}

// Broken is the failure of a fault of the machine. The caller logs it under
// the reference.
func Broken() *Failure {
	return &Failure{
		Code:      Internal,
		Message:   "Something is broken in coatcheck; nothing more is known here.",
		Next:      "Try once more. If it happens again, give the reference to the owner: it is in the log.",
		Reference: "ref_" + rand.Text()[:10],
	}
}

const getAgain = "Get a new handle with get_secret and use that."

// failures is the one table from errors to what a model is told. Order matters:
// vault.ErrExpired and vault.ErrVersionRetired are vault.ErrNotFound too.
//
//nolint:gochecknoglobals // a constant table
var failures = []struct {
	err                 error
	code, message, next string
}{
	{handle.ErrMistyped, "handle_mistyped", "The handle is mistyped: its checksum does not match.", "Copy it again, every character, from the answer of get_secret."},
	{handle.ErrUnknown, "handle_unknown", "This desk knows no such handle of yours.", getAgain},
	{handle.ErrExpired, "handle_expired", "The handle has expired.", getAgain},
	{handle.ErrExhausted, "handle_exhausted", "The handle has no uses left.", getAgain},
	{handle.ErrRevoked, "handle_revoked", "The handle was revoked.", "If you still need the secret, ask with get_secret; it may be refused."},
	{vault.ErrExpired, "secret_expired", "The secret has expired, and its value stays shut.", "Ask the owner to set a new value or another expiry."},
	{vault.ErrVersionRetired, "version_retired", "That version was retired by a rotation.", "Leave version out to get the latest."},
	{vault.ErrNotFound, "not_found", "There is no such secret, or no such version of it.", "Use list_secrets to see what is there, and check the spelling."},
	{vault.ErrExists, "exists", "A secret with that path exists already.", "Choose another path, or change the one that is there."},
	{vault.ErrPathConflict, "path_conflict", "A secret and a namespace may not share a path.", "Choose another path."},
	{identity.ErrUnauthenticated, "unauthenticated", "This agent's access has ended.", "Ask the owner of this coatcheck."},
	{approval.ErrUnknown, "approval_unknown", "This desk knows no such request of yours.", "Copy the id again, every character, from the answer that told of it."},
	{identity.ErrTooManyTokens, "too_many_tokens", "This agent has as many tokens as it may.", "Use one of them, or wait until some have expired."},
	{approval.ErrTooMany, "too_many_requests", "Too many of your requests wait for people.", "Wait until some are decided; check_approval tells."},
	{vault.ErrBusy, "busy", "The vault was busy for too long; nothing was done.", "Try again in a moment."},
	{vault.ErrKeyUnavailable, "key_unavailable", "What keeps the vault's key does not answer; nothing was done.", "Try again in a moment. If it goes on, tell the owner."},
	{vault.ErrKeyWrong, "key_changed", "The vault was given another key since this coatcheck started, and it cannot open it.", "Tell the owner to start it anew."},
	{vault.ErrKeyMissing, "key_changed", "The vault was given another key since this coatcheck started, and it cannot open it.", "Tell the owner to start it anew."},
	{vault.ErrReadOnly, "storage_read_only", "The vault's storage refuses writes; nothing was done.", "Tell the owner: the disk or its permissions need attention."},
	{vault.ErrStorageFailed, "storage_failed", "The vault's disk failed; whether the change was made is not known.", "Tell the owner: the disk needs attention."},
	{vault.ErrStorageFull, "storage_full", "The disk is full; nothing was done.", "Tell the owner to free some room."},
	{vault.ErrCorrupt, "damaged", "A record that this needs is damaged, so nothing was opened.", "If it came with a handle, get a new one with get_secret. Else tell the owner to restore a backup."},
	{vault.ErrUnreachable, "vault_unreachable", "The vault behind this desk gives no answer; whether a change was made is not known.", "Try again in a moment. If it goes on, tell the owner."},
	{vault.ErrUnsupported, "unsupported", "The vault behind this desk has no such thing; nothing was done.", "Ask for it in another way, or tell the owner."},
	{context.Canceled, "cancelled", "The call was cancelled before it was done.", "Ask again if it is still needed."},
	{context.DeadlineExceeded, "timeout", "The call took too long and was stopped.", "Try again, or ask for less."},
}

// upstreams tells by code why no answer came. Nothing the other side said is in it.
//
//nolint:gochecknoglobals // a constant table
var upstreams = map[string][2]string{
	redeem.CodeDNS:       {"The host of the URL has no address.", "Check the host name."},
	redeem.CodeConnect:   {"The host took no connection.", "Check host and port; the other side may be down: try again later."},
	redeem.CodeTLS:       {"The host offered no TLS connection that can be trusted, so nothing was sent.", "Tell the owner: the certificate of the host needs attention."},
	redeem.CodeTimeout:   {"The other side took too long to answer; it may have done what was asked.", "If repeating does no harm, try again later."},
	redeem.CodeCanceled:  {"The call was cancelled; the other side may have done what was asked.", "Ask again if it is still needed."},
	redeem.CodeMalformed: {"What came back is not an HTTP answer, or its headers are too long.", "Check the URL; the other side may not speak HTTP there."},
	redeem.CodeCut:       {"The answer ended early.", "If repeating does no harm, try again."},
	redeem.CodeEncoding:  {"The answer is not in the encoding that it names, or ends early.", "If repeating does no harm, try again."},
	redeem.CodeExpands:   {"The answer is compressed to blow up when it is read, and was not read.", "Do not repeat it; tell the owner."},
	redeem.CodeLost:      {"The connection broke under the request; the other side may have done what was asked.", "If repeating does no harm, try again."},
	redeem.CodeUpgrade:   {"The other side wanted to switch protocols, which is refused.", "Use an address of the API that answers plain HTTP."},
	redeem.CodePartial:   {"The other side sent a part of an answer that nobody asked for, which is refused.", "Try again without asking for a range."},
	redeem.CodeInternal:  {"The request could not be written.", "Check method, headers and query for odd characters."},
}

// failed turns an error of the broker into a result.
func failed(err error) Result {
	var denied *broker.Denied
	var refusal *redeem.Refusal
	var upstream *redeem.Upstream
	var bad *vault.InvalidError
	switch denied = broker.ByVault(err); {
	case denied != nil, errors.As(err, &denied):
		return Result{Failure: &Failure{Code: string(denied.Code), Message: denied.Reason, Next: denied.Next, Approval: denied.Approval}}
	case errors.As(err, &refusal):
		return Result{Failure: &Failure{Code: refusal.Code, Message: refusal.Reason, Next: refusal.Next}}
	case errors.As(err, &upstream):
		if said, known := upstreams[upstream.Code]; known {
			return Result{Failure: &Failure{Code: upstream.Code, Message: said[0], Next: said[1]}}
		}
	case errors.As(err, &bad):
		return Result{Failure: badArgument(bad.Field, bad.Rule)}
	}
	for _, f := range failures {
		if errors.Is(err, f.err) {
			return Result{Failure: &Failure{Code: f.code, Message: f.message, Next: f.next}}
		}
	}
	return Result{Failure: Broken(), Cause: err}
}

// badArguments takes the sentence without its first capital and full stop.
func badArguments(what string) *Failure {
	return &Failure{Code: InvalidArgument, Message: strings.ToUpper(what[:1]) + what[1:] + ".", Next: "Call the tool again with arguments that fit its input schema."}
}

func badArgument(field, rule string) *Failure {
	return badArguments("argument " + field + " " + rule)
}

// unknownArgument does not repeat the name it was given, which could be
// anything, and helps with the nearest one there is.
func unknownArgument(name string, known []string) *Failure {
	f := badArguments("there is an argument this tool does not know")
	if near := nearest(name, known); near != "" {
		f.Message = "There is an argument this tool does not know; the nearest it knows is " + near + "."
	}
	f.Next = "Call the tool again with these arguments only: " + strings.Join(known, ", ") + "."
	return f
}

package rest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/dotenv"
	"github.com/coatcheck-dev/coatcheck/transport/httperror"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// The codes that the known clients look at (R11). Others are the broker's, in
// capitals.
const (
	codeUnauthorized = "UNAUTHORIZED"
	codeScopeDenied  = "SCOPE_DENIED"
	codeNotFound     = "SECRET_NOT_FOUND"
	codeRateLimited  = "RATE_LIMITED"
	codeInvalid      = "VALIDATION_ERROR"
	codeApproval     = "APPROVAL_REQUIRED"
)

var (
	errRoute  = errors.New("no such route")
	errMethod = errors.New("no such method of this route")
)

// failures is the one table from errors to answers. Order matters:
// vault.ErrExpired and vault.ErrVersionRetired are vault.ErrNotFound too.
//
//nolint:gochecknoglobals // a constant table
var failures = []struct {
	err           error
	status        int
	code, message string
}{
	{errRoute, http.StatusNotFound, "NOT_FOUND", "There is no such route; /v1/openapi.json lists them."},
	{errMethod, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "The route does not have this method."},
	{identity.ErrUnauthenticated, http.StatusUnauthorized, codeUnauthorized, "Missing, invalid or expired credential."},
	{vault.ErrExpired, http.StatusNotFound, codeNotFound, "The secret has expired, and its value stays shut."},
	{vault.ErrVersionRetired, http.StatusNotFound, "VERSION_EXPIRED", "That version was retired by a rotation."},
	{vault.ErrNotFound, http.StatusNotFound, codeNotFound, "There is no such secret, or no such version of it."},
	{vault.ErrExists, http.StatusConflict, "SECRET_EXISTS", "A secret with that path exists already."},
	{vault.ErrPathConflict, http.StatusConflict, "PATH_CONFLICT", "A secret and a namespace may not share a path."},
	{identity.ErrUnknownAgent, http.StatusNotFound, "AGENT_NOT_FOUND", "There is no such agent."},
	{identity.ErrAgentExists, http.StatusConflict, "AGENT_EXISTS", "An agent with that name exists already."},
	{identity.ErrUnknownToken, http.StatusNotFound, "TOKEN_NOT_FOUND", "There is no such token."},
	{identity.ErrTooManyTokens, http.StatusConflict, "TOO_MANY_TOKENS", "The agent has too many tokens that can be used: revoke some, or share one."},
	{approval.ErrUnknown, http.StatusNotFound, "APPROVAL_NOT_FOUND", "There is no such request, or it is not yours."},
	{approval.ErrOwnRequest, http.StatusForbidden, "OWN_REQUEST", "This is your own request, or one of an agent that you registered or a token that you issued: another admin decides it."},
	{approval.ErrVoted, http.StatusConflict, "ALREADY_VOTED", "You have approved this request already: another admin is needed."},
	{approval.ErrSettled, http.StatusConflict, "APPROVAL_SETTLED", "The request is settled; its status says how."},
	{approval.ErrTooMany, http.StatusTooManyRequests, codeRateLimited, "Too many requests wait for approval: wait until one is decided or expires."},
	{vault.ErrBusy, http.StatusServiceUnavailable, "BUSY", "The vault was busy for too long; nothing was done. Try again."},
	{vault.ErrKeyUnavailable, http.StatusServiceUnavailable, "KEY_UNAVAILABLE", "What keeps the vault's key does not answer; nothing was done."},
	{vault.ErrKeyWrong, http.StatusServiceUnavailable, "KEY_CHANGED", "The vault was given another key since this desk started."},
	{vault.ErrKeyMissing, http.StatusServiceUnavailable, "KEY_CHANGED", "The vault was given another key since this desk started."},
	{vault.ErrReadOnly, http.StatusServiceUnavailable, "STORAGE_READ_ONLY", "The vault's storage refuses writes; nothing was done."},
	{vault.ErrStorageFull, http.StatusServiceUnavailable, "STORAGE_FULL", "The vault's disk is full; nothing was done."},
	{vault.ErrStorageFailed, http.StatusInternalServerError, "STORAGE_FAILED", "The vault's disk failed; whether the change was made is not known."},
	{vault.ErrCorrupt, http.StatusInternalServerError, "DAMAGED", "A record that this needs is damaged, so nothing was opened."},
	{vault.ErrUnreachable, http.StatusBadGateway, "VAULT_UNREACHABLE", "The vault behind this desk gives no answer; whether a change was made is not known."},
	{vault.ErrUnsupported, http.StatusNotImplemented, "UNSUPPORTED", "The vault behind this desk has no such thing; nothing was done."},
	{context.Canceled, http.StatusServiceUnavailable, "CANCELLED", "The request was cancelled before it was done."},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "TIMEOUT", "The request took too long and was stopped."},
}

// refusals gives the codes of a [broker.Denied] their status, and another code
// than their own where the clients know one. What is not here is 403.
//
//nolint:gochecknoglobals // a constant table
var refusals = map[broker.Code]struct {
	status int
	code   string
}{
	broker.ScopeDenied:  {http.StatusForbidden, codeScopeDenied},
	broker.PolicyDenied: {http.StatusForbidden, codeScopeDenied},
	broker.RateLimited:  {http.StatusTooManyRequests, codeRateLimited},
	broker.HumanNeeded:  {http.StatusBadRequest, codeInvalid},
	broker.InTrash:      {http.StatusConflict, "IN_TRASH"},
	broker.Unavailable:  {http.StatusConflict, "PATH_UNAVAILABLE"},
	broker.NotKept:      {http.StatusInternalServerError, "NOT_KEPT"},
	broker.VaultRefused: {http.StatusBadGateway, "VAULT_REFUSED"},
	broker.ClockBehind:  {http.StatusServiceUnavailable, "CLOCK_BEHIND"},
}

// peopleTake is after how long it is worth asking whether somebody has decided.
const peopleTake = time.Minute

// refusal turns an error into an answer; known is false for one that is in no
// table, whose text goes nowhere.
func refusal(err error) (no httperror.Refusal, known bool) {
	var denied *broker.Denied
	var bad *vault.InvalidError
	var env *dotenv.SyntaxError
	switch denied = broker.ByVault(err); {
	case denied != nil, errors.As(err, &denied):
		return refusedByDesk(denied), true
	case errors.As(err, &env):
		return invalid("content", "is not .env text: "+env.Error()), true
	case errors.As(err, &bad):
		return invalid(bad.Field, bad.Rule), true
	}
	for _, f := range failures {
		if errors.Is(err, f.err) {
			no = httperror.New(f.status, f.code, f.message)
			if errors.Is(f.err, approval.ErrTooMany) {
				no.RetryAfter = peopleTake
			}
			return no, true
		}
	}
	return httperror.New(http.StatusInternalServerError, "INTERNAL", "Something is broken in coatcheck; nothing more is known here."), false
}

func invalid(field, rule string) httperror.Refusal {
	return httperror.New(http.StatusBadRequest, codeInvalid, field+" "+rule+".")
}

// refusedByDesk says reason and next step in one text: the known clients show no
// other.
func refusedByDesk(d *broker.Denied) httperror.Refusal {
	row := refusals[d.Code]
	if row.status == 0 {
		row.status = http.StatusForbidden
	}
	if row.code == "" {
		row.code = strings.ToUpper(string(d.Code))
	}
	no := httperror.New(row.status, row.code, strings.TrimSpace(d.Reason+" "+d.Next))
	no.RequiredScope, no.ApprovalID, no.RetryAfter = d.Scope, d.Approval, d.RetryAfter
	return no
}

// fail sends an error.
func (h *Handler) fail(w http.ResponseWriter, c *call, err error) {
	if c.who.Kind != "" && Proves(c.r) {
		if no := h.desk.Alive(c.ctx, c.who); no != nil {
			err = no
		}
	}
	no, known := refusal(err)
	if !known {
		no.Message += " Reference: " + h.broken(c, err) + "."
	}
	no.Path = string(c.path)
	switch no.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="coatcheck"`)
	case http.StatusTooManyRequests:
		no.RetryAfter = max(no.RetryAfter, time.Second)
	}
	no.Write(w)
}

// broken logs an error that is in no table by its types, and returns the
// reference that the answer carries.
func (h *Handler) broken(c *call, err error) string {
	ref := "ref_" + rand.Text()[:10]
	inner := err
	for next := errors.Unwrap(inner); next != nil; next = errors.Unwrap(inner) {
		inner = next
	}
	h.log.LogAttrs(c.ctx, slog.LevelError, "internal error", slog.String("reference", ref), slog.String("route", c.route.id),
		slog.String("error_type", fmt.Sprintf("%T", err)), slog.String("cause_type", fmt.Sprintf("%T", inner)))
	return ref
}

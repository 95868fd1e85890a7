package rest_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/policy/approval"
	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/transport/rest"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// failing is a desk whose methods fail with err.
type failing struct {
	rest.Desk
	err error
}

func (f failing) Put(context.Context, identity.Principal, vault.Path, vault.Change) (vault.Metadata, error) {
	return vault.Metadata{}, f.err
}

// TestErrors is the table from errors to answers (CONTRACT §12).
func TestErrors(t *testing.T) {
	d := newDesk(t, programs)
	for name, tt := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"not authenticated":   {identity.ErrUnauthenticated, 401, "UNAUTHORIZED"},
		"policy":              {&broker.Denied{Code: broker.PolicyDenied, Reason: "No."}, 403, "SCOPE_DENIED"},
		"approval":            {&broker.Denied{Code: broker.ApprovalRequired, Reason: "Wait."}, 403, "APPROVAL_REQUIRED"},
		"no more approved":    {approval.ErrTooMany, 429, "RATE_LIMITED"},
		"scope":               {&broker.Denied{Code: broker.ScopeDenied, Reason: "No.", Scope: "secrets:write:app/key"}, 403, "SCOPE_DENIED"},
		"approval denied":     {&broker.Denied{Code: broker.ApprovalDenied, Reason: "No."}, 403, "APPROVAL_DENIED"},
		"unknown token":       {identity.ErrUnknownToken, 404, "TOKEN_NOT_FOUND"},
		"too many tokens":     {identity.ErrTooManyTokens, 409, "TOO_MANY_TOKENS"},
		"unknown approval":    {approval.ErrUnknown, 404, "APPROVAL_NOT_FOUND"},
		"own request":         {approval.ErrOwnRequest, 403, "OWN_REQUEST"},
		"voted":               {approval.ErrVoted, 409, "ALREADY_VOTED"},
		"settled":             {approval.ErrSettled, 409, "APPROVAL_SETTLED"},
		"unknown agent":       {identity.ErrUnknownAgent, 404, "AGENT_NOT_FOUND"},
		"agent exists":        {identity.ErrAgentExists, 409, "AGENT_EXISTS"},
		"for the owner":       {&broker.Denied{Code: broker.OwnerOnly, Reason: "No."}, 403, "OWNER_ONLY"},
		"rate":                {&broker.Denied{Code: broker.RateLimited, Reason: "Slowly."}, 429, "RATE_LIMITED"},
		"human needed":        {&broker.Denied{Code: broker.HumanNeeded, Reason: "No."}, 400, "VALIDATION_ERROR"},
		"trash":               {&broker.Denied{Code: broker.InTrash, Reason: "No."}, 409, "IN_TRASH"},
		"unavailable":         {&broker.Denied{Code: broker.Unavailable, Reason: "No."}, 409, "PATH_UNAVAILABLE"},
		"clock":               {&broker.Denied{Code: broker.ClockBehind, Reason: "No."}, 503, "CLOCK_BEHIND"},
		"invalid":             {&vault.InvalidError{Field: "tags", Rule: "are too many"}, 400, "VALIDATION_ERROR"},
		"an item":             {&broker.ItemError{Path: "a", Err: &vault.InvalidError{Field: "value", Rule: "is empty"}}, 400, "VALIDATION_ERROR"},
		"import, exists":      {&broker.ImportConflict{Exist: []vault.Path{"a"}}, 409, "SECRET_EXISTS"},
		"import, clash":       {&broker.ImportConflict{Clash: []vault.Path{"a"}}, 409, "PATH_CONFLICT"},
		"not found":           {vault.ErrNotFound, 404, "SECRET_NOT_FOUND"},
		"expired":             {vault.ErrExpired, 404, "SECRET_NOT_FOUND"},
		"retired":             {vault.ErrVersionRetired, 404, "VERSION_EXPIRED"},
		"exists":              {vault.ErrExists, 409, "SECRET_EXISTS"},
		"conflict":            {vault.ErrPathConflict, 409, "PATH_CONFLICT"},
		"busy":                {vault.ErrBusy, 503, "BUSY"},
		"full":                {vault.ErrStorageFull, 503, "STORAGE_FULL"},
		"damaged":             {fmt.Errorf("row: %w", vault.ErrCorrupt), 500, "DAMAGED"},
		"cancelled":           {context.Canceled, 503, "CANCELLED"},
		"unknown":             {errors.New("CANARY"), 500, "INTERNAL"},
		"unknown, and joined": {errors.Join(errors.New("CANARY"), errors.New("CANARY")), 500, "INTERNAL"},
	} {
		t.Run(name, func(t *testing.T) {
			d.door = rest.New(failing{d.Broker, tt.err}, d.caller, nil)
			got := d.send(t, "owner", "PUT /v1/secrets/app/key", `{"value":"CANARY"}`)
			if got.status != tt.status || got.code(t) != tt.code || strings.Contains(got.body, "CANARY") {
				t.Errorf("%d %s", got.status, got.body)
			}
			if path := got.fields(t)["error"].(map[string]any)["path"]; path != "app/key" {
				t.Errorf("path %v", path)
			}
			if limited := got.header.Get("Retry-After") != ""; limited != (tt.status == 429) {
				t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
			}
			if people := errors.Is(tt.err, approval.ErrTooMany); people && got.header.Get("Retry-After") != "60" { // who decides is no machine
				t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
			}
		})
	}
}

// TestParticulars: what a refusal says beside its text, also in the header.
func TestParticulars(t *testing.T) {
	d := newDesk(t, programs)
	err := &broker.Denied{
		Code: broker.RateLimited, Reason: "Slowly.", Next: "Wait.", Scope: "secrets:write:app/key", Approval: "apr_1", RetryAfter: 1500 * time.Millisecond,
	}
	d.door = rest.New(failing{d.Broker, err}, d.caller, nil)
	got := d.send(t, "ada", "PUT /v1/secrets/app/key", `{"value":"v"}`)
	want := map[string]any{
		"code": "RATE_LIMITED", "message": "Slowly. Wait.", "path": "app/key", "required_scope": "secrets:write:app/key",
		"approval_id": "apr_1", "approval_request_id": "apr_1", "retry_after": 2.0,
	}
	if said := got.fields(t)["error"]; !reflect.DeepEqual(said, want) || got.header.Get("Retry-After") != "2" {
		t.Errorf("%v, Retry-After %q", said, got.header.Get("Retry-After"))
	}
}

// TestInternal: an error of no table is told by a reference, which the log has
// with its types and without its text.
func TestInternal(t *testing.T) {
	d := newDesk(t, programs)
	d.door = rest.New(failing{d.Broker, fmt.Errorf("CANARY: %w", errors.New("CANARY"))}, d.caller, &rest.Options{Log: d.logger})
	got := d.send(t, "owner", "PUT /v1/secrets/app/key", `{"value":"v"}`)
	message, _ := got.fields(t)["detail"].(string)
	_, reference, _ := strings.Cut(message, "Reference: ")
	log := d.log.String()
	if reference = strings.TrimSuffix(reference, "."); !strings.HasPrefix(reference, "ref_") || !strings.Contains(log, reference) {
		t.Errorf("%s, log %s", got.body, log)
	}
	if !strings.Contains(log, "*fmt.wrapError") || !strings.Contains(log, "*errors.errorString") || strings.Contains(log, "CANARY") {
		t.Error(log)
	}
}

// TestMethods: what a route does not have is 405 with what it has, and what is no
// route is 404; to those without a credential both are 401.
func TestMethods(t *testing.T) {
	d := newDesk(t, programs)
	for target, allow := range map[string]string{
		"HEAD /v1/secrets/app/key":          "DELETE, GET, PATCH, PUT",
		"OPTIONS /v1/secrets":               "GET, POST",
		"POST /v1/secrets/app/key":          "DELETE, GET, PATCH, PUT",
		"POST /v1/health":                   "GET, HEAD",
		"GET /v1/secrets/app/key/rotate/no": "",
		"POST /v1/nothing":                  "",
		"GET /v1/agents/x/y":                "",
	} {
		got := d.send(t, "program", target, "")
		switch {
		case target == "GET /v1/secrets/app/key/rotate/no": // a path like any other
			if got.code(t) != "SECRET_NOT_FOUND" {
				t.Errorf("%s: %d %s", target, got.status, got.body)
			}
		case allow == "" && (got.status != 404 || got.code(t) != "NOT_FOUND"),
			allow != "" && (got.status != 405 || got.header.Get("Allow") != allow):
			t.Errorf("%s: %d %q %s", target, got.status, got.header.Get("Allow"), got.body)
		}
		got = d.send(t, "nobody", target, "")
		if open := strings.HasSuffix(target, "/health"); !open && (got.status != 401 || got.header.Get("Allow") != "") {
			t.Errorf("%s by nobody: %d", target, got.status)
		}
	}
}

// TestOpen: two paths need no credential, in no other spelling.
func TestOpen(t *testing.T) {
	d := newDesk(t, programs)
	if got := rest.OpenPaths(); !slices.Equal(got, []string{"/v1/health", "/v1/openapi.json"}) {
		t.Errorf("%v", got)
	}
	for target, status := range map[string]int{
		"GET /v1/health": 200, "GET /v1/openapi.json": 200, "HEAD /v1/health": 200, "HEAD /v1/openapi.json": 200, "POST /v1/health": 405,
		"GET /v1/%68ealth": 401, "GET /v1/secrets": 401, "GET /v1/health/": 401, "GET /v1//health": 401, "GET /v1/nothing": 401,
	} {
		if got := d.send(t, "nobody", target, ""); got.status != status {
			t.Errorf("%s: %d, want %d", target, got.status, status)
		}
	}
}

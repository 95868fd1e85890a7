package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// The pauses between two looks at an approval.
const (
	firstLook = time.Second
	lastLook  = 5 * time.Second
)

// WaitOptions of [Client.WaitForApproval].
type WaitOptions struct {
	// Timeout of the whole wait. Zero: until ctx ends or the service ends the
	// request, which every service does in time.
	Timeout time.Duration
}

// WaitForApproval looks every second, later every five, whether a request was
// decided, and returns the token once it is. A service gives a token out once:
// when its answer is lost, or somebody else waits too, a request for the token
// that this client made is made again. An approval that is not for a token of
// this client's (a reading, say, or a request of another process in edition B)
// yields a Token without Value: make the call again that needed it.
//
// Errors: [ErrApprovalDenied], [ErrApprovalExpired], [ErrApprovalTimeout],
// *[NotFoundError] and those of every call. A program that runs for long is
// better served by webhooks.
func (c *Client) WaitForApproval(ctx context.Context, id string, opts *WaitOptions) (*Token, error) {
	if err := checkID("approval id", id); err != nil {
		return nil, err
	}
	wait, cancel := ctx, context.CancelFunc(func() {})
	if opts != nil && opts.Timeout != 0 {
		wait, cancel = context.WithTimeout(ctx, opts.Timeout)
	}
	defer cancel()
	t, err := c.look(wait, id)
	if err != nil && wait.Err() != nil && ctx.Err() == nil {
		return nil, &Error{Code: CodeApprovalTimeout, Message: "nobody decided in time; the request still waits", cause: ErrApprovalTimeout}
	}
	return t, err
}

// look looks until the request is decided or ctx ends.
func (c *Client) look(ctx context.Context, id string) (*Token, error) {
	e, err := c.spoken(ctx)
	if err != nil {
		return nil, err
	}
	for next := firstLook; ; next = min(2*next, lastLook) {
		if t, decided, err := c.approval(ctx, e, id); err != nil || decided {
			return t, err
		}
		select {
		case <-time.After(next):
		case <-ctx.Done():
			return nil, network(ctx.Err())
		}
	}
}

// approval looks once.
func (c *Client) approval(ctx context.Context, e Edition, id string) (_ *Token, decided bool, _ error) {
	target := "/approvals/"
	if e == EditionB {
		target += "agent/"
	}
	var w struct {
		Status string `json:"status"`
		wireToken
	}
	r := &request{method: http.MethodGet, target: target + url.PathEscape(id), repeat: true}
	a, err := c.do(ctx, e, r, &w)
	if err != nil {
		return nil, false, err
	}
	from, known := c.requests.find(id)
	switch w.Status {
	case "pending":
		return nil, false, nil
	case "approved":
		w.ApprovalStatus, w.RequiresApproval = string(Approved), false
		t := w.token(from.opts, from.opts.scopes())
		t.ApprovalRequestID = id
		if t.Value.IsZero() {
			t.ExpiresAt = time.Time{} // that of the request
		}
		if t.Value.IsZero() && known {
			t, err = c.RequestToken(ctx, from.opts)
			if err == nil && t.ApprovalStatus != Approved {
				err = waiting(http.StatusAccepted, t.ApprovalRequestID) // the token was given out before
			}
		}
		if err == nil && from.own {
			c.tokens.add(held{t.Value, t.Scopes, t.ExpiresAt})
		}
		return t, true, err
	case "denied":
		return nil, true, denied(from.opts.Scope)
	case "expired", "cancelled", "used":
		return nil, true, &Error{Code: CodeApprovalExpired, Message: "the request is " + w.Status + ": make the call again", StatusCode: a.status, cause: ErrApprovalExpired}
	}
	return nil, false, badAnswer(a.status, "the answer has no status that is known")
}

func waiting(status int, id string) error {
	return &ApprovalPendingError{base{Code: CodeApproval, Message: "somebody has to approve this first", StatusCode: status}, id}
}

func denied(scope string) error {
	return &PermissionError{base{Code: CodeApprovalDenied, Message: "an approver denied the request", StatusCode: http.StatusForbidden, cause: ErrApprovalDenied}, "", scope}
}

// scopes returns what was asked for, in either way.
func (o *TokenOptions) scopes() []string {
	if o.Scope != "" {
		return []string{o.Scope}
	}
	return o.Scopes
}

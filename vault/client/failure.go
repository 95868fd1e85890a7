package client

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// Bounds of what is taken over from a service into an error.
const (
	maxMessage = 300  // characters
	maxDetail  = 1024 // bytes of a path or scope
	maxID      = 128
	maxCode    = 64
)

// envelope is the body of a refusal, in every form that is known (CONTRACT §12).
type envelope struct {
	Error struct {
		Code              string  `json:"code"`
		Message           string  `json:"message"`
		Path              string  `json:"path"`
		RequiredScope     string  `json:"required_scope"`
		ApprovalID        string  `json:"approval_id"`
		ApprovalRequestID string  `json:"approval_request_id"`
		RetryAfter        float64 `json:"retry_after"` // seconds
	} `json:"error"`
	Detail            json.RawMessage `json:"detail"`
	ApprovalID        string          `json:"approval_id"`
	ApprovalRequestID string          `json:"approval_request_id"`
}

// approval returns the id of the request that waits, or "" when there is none
// that could be asked for.
func (e *envelope) approval() string {
	id := first(e.ApprovalRequestID, e.ApprovalID, e.Error.ApprovalRequestID, e.Error.ApprovalID)
	if checkID("approval id", id) != nil {
		return ""
	}
	return id
}

// failure returns the error that an answer other than 2xx stands for.
func (c *Client) failure(r *request, a *answer) error {
	if a.status >= 300 && a.status <= 399 {
		return &Error{Code: CodeRedirected, Message: "the service points elsewhere, which is not followed: check the base URL", StatusCode: a.status}
	}
	var said envelope
	_ = json.Unmarshal(a.body, &said) // what is no JSON, or has other types, says nothing
	message := said.Error.Message
	if message == "" {
		_ = json.Unmarshal(said.Detail, &message) // there may be none, or no text
	}
	b := base{Code: code(c.clean(r, said.Error.Code, maxCode+1, ""), a.status), Message: c.clean(r, message, maxMessage, statusText(a.status)), StatusCode: a.status}
	path := r.path
	if path == "" {
		path = c.clean(r, said.Error.Path, maxDetail, "")
	}
	switch {
	case a.status == http.StatusUnauthorized:
		return &AuthError{b}
	case a.status == http.StatusForbidden && b.Code == CodeApproval:
		return &ApprovalPendingError{b, said.approval()}
	case a.status == http.StatusForbidden:
		switch b.Code {
		case CodeApprovalDenied:
			b.cause = ErrApprovalDenied
		case CodeApprovalExpired:
			b.cause = ErrApprovalExpired
		}
		return &PermissionError{b, path, c.clean(r, said.Error.RequiredScope, maxDetail, r.scope)}
	case a.status == http.StatusNotFound:
		return &NotFoundError{b, path}
	case a.status == http.StatusTooManyRequests:
		after := retryAfter(a.header)
		if said.Error.RetryAfter > 0 && said.Error.RetryAfter < 1<<30 && after == 0 {
			after = time.Duration(said.Error.RetryAfter * float64(time.Second))
		}
		return &RateLimitError{b, after}
	}
	return &b
}

// pending returns the error of an answer that says that an approval is needed
// first: 202 in edition A. Answers to requests for a token say so in their own
// way, and are no errors.
func (c *Client) pending(r *request, a *answer) error {
	if a.status != http.StatusAccepted || r.target == tokensTarget {
		return nil
	}
	var said envelope
	_ = json.Unmarshal(a.body, &said) // what is no JSON, or has other types, says nothing
	return &ApprovalPendingError{
		base{Code: CodeApproval, Message: c.clean(r, said.Error.Message, maxMessage, "somebody has to approve this first"), StatusCode: a.status},
		said.approval(),
	}
}

// code returns the service's code, or one for its status.
func code(said string, status int) string {
	ok := said != "" && len(said) <= maxCode
	for _, c := range []byte(said) {
		ok = ok && (c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_')
	}
	switch {
	case ok:
		return said
	case status == http.StatusUnauthorized:
		return CodeUnauthorized
	case status == http.StatusTooManyRequests:
		return "RATE_LIMITED"
	}
	return CodeUnknown
}

func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return strings.ToLower(text)
	}
	return "the service refused"
}

// clean makes the words of somebody else fit to be shown: printable, of limited
// length, and without the credential and the values that went out. What has one
// of them in it is replaced as a whole.
func (c *Client) clean(r *request, said string, limit int, instead string) string {
	for _, v := range append([]secret.Value{c.key, r.token}, r.sent...) {
		if v.Len() >= 4 && bytes.Contains([]byte(said), v.Reveal()) {
			return instead
		}
	}
	var out strings.Builder
	n := 0
	for _, char := range strings.ToValidUTF8(said, " ") {
		if n++; n > limit {
			break
		}
		if !unicode.IsPrint(char) {
			char = ' '
		}
		out.WriteRune(char)
	}
	if text := strings.TrimSpace(out.String()); text != "" {
		return text
	}
	return instead
}

// Package httperror is the one form in which the HTTP doors refuse: an envelope
// that every known client of the Agent Secret Store reads.
//
// The one rule: an answer holds the fields of a [Refusal] and nothing else, so
// that no text of a caller, a value or an upstream can get into it by way of an
// error. Path and RequiredScope are the caller's own, checked by then.
//
//	httperror.Refusal{
//		Status: http.StatusForbidden, Code: "SCOPE_DENIED", Message: "the token does not reach this secret",
//		Path: "production/openai/api-key", RequiredScope: "secrets:read:production/openai/api-key",
//	}.Write(w)
//
// On the wire, application/json:
//
//	{"error":{"code":"…","message":"…","path":"…","required_scope":"…","approval_id":"…",
//	  "approval_request_id":"…","retry_after":1},"detail":"…"}
//
// code and message are always there, the others when they say something. The
// published SDK and CLI read error.code and error.message, the published MCP
// server reads detail; approval_request_id is the older name of approval_id.
//
// It does not decide what is refused: each door has its own table. Answers over
// JSON-RPC have an error object of their own and do not come here.
package httperror

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Refusal is what an answer with an error status says. Status, Code and Message
// are required; zero fields are left out.
type Refusal struct {
	Status        int    // of HTTP, 400 to 599
	Code          string // for programs: upper case, as the published clients know it
	Message       string // for people: one fixed text for each code and cause
	Path          string // of the secret that was asked for
	RequiredScope string // what the credential would have needed
	ApprovalID    string // of the request that must be approved first
	// RetryAfter says when to try again, in the body and in the header field of
	// that name: whole seconds, rounded up.
	RetryAfter time.Duration
}

// New is a refusal without particulars.
func New(status int, code, message string) Refusal {
	return Refusal{Status: status, Code: code, Message: message}
}

// Body is a refusal on the wire.
type Body struct {
	Error  Error  `json:"error"`
	Detail string `json:"detail"` // the message once more
}

// Error is the member error of a [Body].
type Error struct {
	Code              string `json:"code"`
	Message           string `json:"message"`
	Path              string `json:"path,omitempty"`
	RequiredScope     string `json:"required_scope,omitempty"`
	ApprovalID        string `json:"approval_id,omitempty"`
	ApprovalRequestID string `json:"approval_request_id,omitempty"`
	RetryAfter        int    `json:"retry_after,omitzero"` // seconds
}

// Body is the refusal as it goes over the wire.
func (no Refusal) Body() Body {
	return Body{Error{no.Code, no.Message, no.Path, no.RequiredScope, no.ApprovalID, no.ApprovalID, no.seconds()}, no.Message}
}

// Write sends the refusal: the whole answer, whose header must not have been
// sent. Header fields that are set already stay, but for those that describe the
// body.
func (no Refusal) Write(w http.ResponseWriter) {
	body, err := json.Marshal(no.Body())
	if err != nil { // strings and a number always encode
		body = nil
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Del("Content-Encoding")
	if no.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(no.seconds()))
	}
	w.WriteHeader(no.Status)
	_, _ = w.Write(body) // a client that has gone is no news
}

func (no Refusal) seconds() int { return int((no.RetryAfter + time.Second - 1) / time.Second) }

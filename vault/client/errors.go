package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// The kinds of errors, for errors.Is. Each has a type for errors.As that carries
// the details, and every error of a [Client] is an *[Error] too.
var (
	// ErrAuth (401): the key or token is wrong, expired, used up, revoked or not
	// for this address. Check the key; ask for another token.
	ErrAuth = errors.New("not authenticated")
	// ErrPermission (403): the credential is good and does not cover this. Ask
	// for the scope that *[PermissionError] names.
	ErrPermission = errors.New("not permitted")
	// ErrNotFound (404): no such secret, version, token or approval.
	ErrNotFound = errors.New("not found")
	// ErrRateLimit (429): too many requests, and waiting did not help or would
	// have taken too long. Try again after RetryAfter.
	ErrRateLimit = errors.New("too many requests")
	// ErrApprovalPending (202): somebody has to approve first. Wait with
	// [Client.WaitForApproval], then make the same call again.
	ErrApprovalPending = errors.New("an approval is pending")
	// ErrNetwork: there was no answer, or none in time. What a call that changes
	// something did is not known.
	ErrNetwork = errors.New("no answer")
	// ErrApprovalDenied: an approver said no; it is an [ErrPermission] too.
	ErrApprovalDenied = fmt.Errorf("the approval was denied: %w", ErrPermission)
	// ErrApprovalExpired: nobody decided in time, or the request was withdrawn
	// or used. Make the call again, which asks anew.
	ErrApprovalExpired = errors.New("the approval has expired")
	// ErrApprovalTimeout: [WaitOptions].Timeout passed; the request still waits,
	// so it is an [ErrApprovalPending] too.
	ErrApprovalTimeout = fmt.Errorf("the approval took too long: %w", ErrApprovalPending)
)

// Codes of errors that arise in the client itself. Those of the service stand
// in CONTRACT §12.
const (
	CodeUnauthorized    = "UNAUTHORIZED"
	CodeNetwork         = "NETWORK_ERROR"
	CodeValidation      = "VALIDATION_ERROR"       // an argument cannot be; nothing was sent
	CodeUnsupported     = "UNSUPPORTED"            // the service's edition has no such thing; errors.ErrUnsupported
	CodeInvalidResponse = "INVALID_RESPONSE"       // the answer is not what the service should say
	CodeInvalidToken    = "INVALID_TOKEN_RESPONSE" //nolint:gosec // the code's name, not a token
	CodeTooLarge        = "RESPONSE_TOO_LARGE"     // the answer is longer than 64 MiB
	CodeRedirected      = "REDIRECTED"             // the service points elsewhere; no credential goes there
	CodeUnknown         = "UNKNOWN_ERROR"          // the service gave no code
	CodeApproval        = "APPROVAL_REQUIRED"
	CodeApprovalDenied  = "APPROVAL_DENIED"
	CodeApprovalExpired = "APPROVAL_EXPIRED"
	CodeApprovalTimeout = "APPROVAL_TIMEOUT"
)

// Error is the base of every error of a [Client].
type Error struct {
	// Message is for people: the service's own words, at most 300 printable
	// characters of them, and never a credential or value of the call.
	Message string
	Code    string // the service's, or one of the codes here
	// StatusCode is that of the answer; 0 when there was none.
	StatusCode int

	cause error
}

// Error returns "CODE: message".
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Unwrap returns what the error came from in this process, if anything.
func (e *Error) Unwrap() error { return e.cause }

// base is Error under a name that is embedded without hiding the method Error.
type base = Error

// AuthError is [ErrAuth].
type AuthError struct{ base }

// PermissionError is [ErrPermission].
type PermissionError struct {
	base
	Path          string // "" when it is not about one secret
	RequiredScope string // what a token would have to cover; "" when it is not known
}

// NotFoundError is [ErrNotFound].
type NotFoundError struct {
	base
	Path string // "" when it is not about one secret
}

// RateLimitError is [ErrRateLimit].
type RateLimitError struct {
	base
	RetryAfter time.Duration // 0 when the service does not say
}

// ApprovalPendingError is [ErrApprovalPending].
type ApprovalPendingError struct {
	base
	ApprovalRequestID string
}

// NetworkError is [ErrNetwork]. It matches the error of an ended context too.
type NetworkError struct {
	base
	Cause error
}

// Is matches [ErrAuth].
func (*AuthError) Is(target error) bool { return target == ErrAuth }

// Is matches [ErrPermission].
func (*PermissionError) Is(target error) bool { return target == ErrPermission }

// Is matches [ErrNotFound].
func (*NotFoundError) Is(target error) bool { return target == ErrNotFound }

// Is matches [ErrRateLimit].
func (*RateLimitError) Is(target error) bool { return target == ErrRateLimit }

// Is matches [ErrApprovalPending].
func (*ApprovalPendingError) Is(target error) bool { return target == ErrApprovalPending }

// Is matches [ErrNetwork].
func (*NetworkError) Is(target error) bool { return target == ErrNetwork }

// Unwrap returns the *[Error].
func (e *AuthError) Unwrap() error { return &e.base }

// Unwrap returns the *[Error].
func (e *PermissionError) Unwrap() error { return &e.base }

// Unwrap returns the *[Error].
func (e *NotFoundError) Unwrap() error { return &e.base }

// Unwrap returns the *[Error].
func (e *RateLimitError) Unwrap() error { return &e.base }

// Unwrap returns the *[Error].
func (e *ApprovalPendingError) Unwrap() error { return &e.base }

// Unwrap returns the *[Error] and the cause.
func (e *NetworkError) Unwrap() []error { return []error{&e.base, e.Cause} }

// invalid is an argument that cannot be. It is a *vault.InvalidError too.
func invalid(field, rule string) error {
	cause := &vault.InvalidError{Field: field, Rule: rule}
	return &Error{Code: CodeValidation, Message: cause.Error(), cause: cause}
}

// unsupported is what edition B cannot do.
func unsupported(what string) error {
	return &Error{Code: CodeUnsupported, Message: "this service has no " + what, cause: vault.ErrUnsupported}
}

func badAnswer(status int, what string) error {
	return &Error{Code: CodeInvalidResponse, Message: what, StatusCode: status}
}

func network(cause error) error {
	return &NetworkError{base{Code: CodeNetwork, Message: cause.Error()}, cause}
}

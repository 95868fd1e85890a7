package redeem

// The codes of a [Refusal].
const (
	CodeURL         = "url_refused"         // the URL is not one that every reader understands alike
	CodeMethod      = "method_refused"      // no such method, or one that steers the connection
	CodeHeader      = "header_refused"      // a header that is broken or steers the connection
	CodeQuery       = "query_refused"       // a query that is broken
	CodeBody        = "body_refused"        // the body is too long
	CodePlace       = "handle_misplaced"    // a handle stands where its destination does not allow it
	CodeDestination = "destination_refused" // the destination does not cover the request
	CodeAddress     = "address_refused"     // the host resolves to an address that is not public
	CodeValue       = "value_unfit"         // the secret has bytes that cannot stand in its place
)

// Refusal says why a request may not be made as it is. Nothing was sent.
type Refusal struct {
	Code   string // one of the Code constants
	Reason string // a sentence, without any part of a value
	Next   string // what to do instead; may be empty
}

// Error returns code and reason.
func (r *Refusal) Error() string { return r.Code + ": " + r.Reason }

func refuse(code, reason, next string) *Refusal {
	return &Refusal{Code: code, Reason: reason, Next: next}
}

// The codes of an [Upstream] error.
const (
	CodeDNS       = "dns_failed"          // the host has no address
	CodeConnect   = "connect_failed"      // no address of the host took the connection
	CodeTLS       = "tls_failed"          // no TLS 1.2 or newer, or a certificate that does not verify
	CodeLost      = "connection_lost"     // a kept connection broke under the request, which may have been carried out
	CodeTimeout   = "timeout"             // the deadline passed
	CodeCanceled  = "canceled"            // the caller gave up
	CodeMalformed = "response_malformed"  // not an HTTP response, or its headers are too long
	CodeCut       = "response_cut"        // the body ended early or broke its framing
	CodeEncoding  = "response_encoding"   // the body is not what its Content-Encoding says, or ends early
	CodeExpands   = "response_expands"    // the body is compressed to blow up when it is read
	CodeUpgrade   = "upgrade_refused"     // the server switched protocols
	CodePartial   = "partial_refused"     // the server sent a part (206) nobody asked for
	CodeInternal  = "request_not_written" // the request could not be built
)

// Upstream says at which step the exchange with the host failed. It carries a
// code only: error text of a dialer, of TLS or of a server may hold the value.
type Upstream struct {
	Code string // one of the codes above
}

// Error returns the code.
func (u *Upstream) Error() string { return "upstream: " + u.Code }

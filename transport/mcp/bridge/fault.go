package bridge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/coatcheck-dev/coatcheck/transport/socket"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// What Serve returns when it ends without ever having been any use.
var (
	// ErrUnreachable: there was no desk at the address. Start it, or mend the address.
	ErrUnreachable = errors.New("the desk cannot be reached")
	// ErrKeyRefused: the desk does not know the key, or no longer. Get a new one.
	ErrKeyRefused = errors.New("the desk does not accept the key")
	// ErrTurnedAway: the desk lets this user not connect to its socket. Have it
	// put into socket_users.
	ErrTurnedAway = errors.New("the desk turned this user away")
	// ErrUntrusted: the certificate of the desk is not one to trust. Give its
	// authority in SSL_CERT_FILE, or mend the address.
	ErrUntrusted = errors.New("the certificate of the desk is not trusted")
	// ErrNoAnswer: something was there, and nothing it said was of use.
	ErrNoAnswer = errors.New("the desk gave no answer that could be used")
)

// again says what may be done about a fault.
type again int

const (
	never   again = iota // it would be the same, or could be a second time
	later                // nothing was read: send it again after a while
	renewed              // nothing was done: open the session anew, then send it again
	lookups              // the connection ended under it: only what looks something up
)

// fault is why a message has no answer. Nothing in it comes from the other side.
type fault struct {
	again again
	code  string // for programs
	text  string // for people and models: what is
	done  string // and whether anything can have been done
	next  string // what to do
	cause error  // for the exit code; nil: the connection as such is fine
}

const (
	nothing = "Nothing was carried out."
	unknown = "The call may have been carried out: look before you repeat it."
)

// rpcCode is the code of every fault: an error of the server's own (JSON-RPC 2.0
// §5.1).
const rpcCode = -32000

// line is the fault as the answer to the request with that id.
func (f *fault) line(id []byte) []byte {
	type data struct {
		Code string `json:"code"`
		Next string `json:"next"`
	}
	parts := []string{f.text, f.done, f.next}
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	return errorLine(id, rpcCode, strings.Join(parts, " "), data{f.code, f.next})
}

// errorLine is a JSON-RPC error. id is as written, nil for null.
func errorLine(id []byte, code int, text string, data any) []byte {
	type failure struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Data    any    `json:"data,omitempty"`
	}
	if id == nil {
		id = []byte("null")
	}
	line, err := json.Marshal(struct {
		JSONRPC string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   failure         `json:"error"`
	}{"2.0", id, failure{code, text, data}})
	if err != nil { // an id that was checked, and texts
		return nil
	}
	return line
}

// unsent judges an error of connecting or sending.
func (r *Remote) unsent(err error) *fault {
	where := r.server.String()
	var (
		before   notSent
		unknownA x509.UnknownAuthorityError
		name     x509.HostnameError
		invalid  x509.CertificateInvalidError
		roots    x509.SystemRootsError
		plain    tls.RecordHeaderError
		lookup   *net.DNSError
	)
	switch {
	case errors.Is(err, context.Canceled):
		return &fault{code: "CANCELLED", text: "The call was ended before its answer.", done: unknown, next: "Call again if it is still wanted."}
	case errors.As(err, &before) && (errors.Is(err, vault.ErrLoosePermissions) || errors.Is(err, socket.ErrImpostor)):
		return &fault{code: "SOCKET_NOT_SAFE", text: "No key was sent to " + where + ": " + before.Error() + ".", next: "Ask the owner of the desk to mend it.", cause: before.error}
	case errors.As(err, &before) && (errors.Is(err, socket.ErrPath) || errors.Is(err, socket.ErrUnsupported)):
		return &fault{code: "NO_SOCKET", text: "No desk at " + where + ": " + before.Error() + ".", next: "Check --server.", cause: before.error}
	case errors.As(err, &before) && errors.Is(err, fs.ErrPermission):
		return &fault{code: "USER_REFUSED", text: "This user may not connect to " + where + ".", done: nothing, next: "Have the owner put this user into socket_users.", cause: ErrTurnedAway}
	case errors.As(err, &unknownA), errors.As(err, &name), errors.As(err, &invalid), errors.As(err, &roots), errors.As(err, &plain):
		return &fault{code: "DESK_NOT_TRUSTED", text: "What answers at " + where + " does not prove by a certificate that it is the desk. No key was sent.", next: "Check --server, or give the desk's authority in SSL_CERT_FILE.", cause: ErrUntrusted}
	case errors.As(err, &before):
		f := &fault{again: later, code: "DESK_UNREACHABLE", text: "There is no desk at " + where + ".", done: nothing, next: "Start it with 'coatcheck serve', or check --server; then try again.", cause: ErrUnreachable}
		if errors.As(err, &lookup) && lookup.IsNotFound {
			f.again = never
		}
		return f
	case r.server.path != "" && !r.reached.Load() && !errors.Is(err, context.DeadlineExceeded):
		// The desk closes the connections of users that it does not serve unread;
		// one that dies looks the same.
		return &fault{
			again: lookups, code: "USER_REFUSED", text: "The desk at " + where + " ended the connection without a word.", done: unknown,
			next: "If it does so every time, have the owner put this user into socket_users.", cause: ErrTurnedAway,
		}
	default:
		return &fault{again: lookups, code: "OUTCOME_UNKNOWN", text: "The connection to the desk ended before the answer.", done: unknown, next: "Try again when the desk is back."}
	}
}

// refused judges an HTTP status that is no success. code is that of the desk's
// own envelope, "" when the body is something else, of a proxy for example, which
// may have passed the message on. session says that one was named.
func (r *Remote) refused(status int, code string, session bool) *fault {
	where := r.server.String()
	switch {
	case status == http.StatusNotFound && session && code == "":
		return &fault{again: renewed, code: "SESSION_LOST", text: "The desk has forgotten this session.", done: nothing, next: "Start the client again."}
	case status == http.StatusUnauthorized:
		return &fault{code: "KEY_REFUSED", text: "The desk at " + where + " does not accept this agent's key.", done: nothing, next: "Put a key from 'coatcheck agent add' into COATCHECK_AGENT_KEY and start the client again.", cause: ErrKeyRefused}
	case code == "RATE_LIMITED" || code == "CLOSING":
		return &fault{again: later, code: "DESK_BUSY", text: "The desk is stopping or has too much to do.", done: nothing, next: "Try again in a moment."}
	case code == "BODY_TOO_LARGE":
		return &fault{code: "TOO_LARGE", text: "The message is larger than the desk accepts.", done: nothing, next: "Send less at once."}
	case code == "HOST_REFUSED":
		return &fault{code: "HOST_REFUSED", text: "The desk does not go by the name in " + where + ".", done: nothing, next: "Have the owner add it to allow_hosts."}
	case status >= 300 && status < 400:
		return &fault{code: "REDIRECTED", text: "What answers at " + where + " points elsewhere, and a key is not sent elsewhere.", done: nothing, next: "Give --server the address of the desk itself."}
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return &fault{code: "NO_DESK", text: "What answers at " + where + " is no desk.", done: nothing, next: "Check --server."}
	case status < 500:
		return &fault{code: "DESK_REFUSED", text: fmt.Sprintf("The desk refused the message with HTTP status %d.", status), done: nothing, next: "Check that desk and bridge are of the same version."}
	default:
		return &fault{again: lookups, code: "OUTCOME_UNKNOWN", text: fmt.Sprintf("The answer was HTTP status %d.", status), done: unknown, next: "Try again later."}
	}
}

// garbled is an answer that cannot be passed on.
func garbled(what string) *fault {
	return &fault{code: "BAD_ANSWER", text: "The desk's answer " + what + ".", done: unknown, next: "Check that desk and bridge are of the same version."}
}

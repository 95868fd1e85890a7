package httpd

import (
	"net/http"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/httperror"
)

// refusal is one row of the table of this door: the only answers it makes up.
type refusal = httperror.Refusal

var (
	refusedTarget = httperror.New(http.StatusBadRequest, "BAD_TARGET", "the request target must be a path")
	refusedHost   = httperror.New(http.StatusForbidden, "HOST_REFUSED", "this host name is not allowed here; use the address that was printed at start, or add the name to the allowed hosts")
	refusedOrigin = httperror.New(http.StatusForbidden, "ORIGIN_REFUSED", "web pages may not call this server; add the origin to the allowed origins if it is yours")
	notFound      = httperror.New(http.StatusNotFound, "NOT_FOUND", "there is nothing here; MCP is served at /mcp, and at /sse for older clients")
	badMethod     = httperror.New(http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "this method is not served here")
	notKnown      = httperror.New(http.StatusUnauthorized, "UNAUTHORIZED", "missing or invalid credential; send an agent key or token as Authorization: Bearer or as x-agent-key")
	tooFast       = httperror.New(http.StatusTooManyRequests, "RATE_LIMITED", "too many requests; try again later")
	tooWrong      = httperror.New(http.StatusTooManyRequests, "RATE_LIMITED", "too many wrong credentials came from this address; try again later")
	tooMany       = httperror.New(http.StatusTooManyRequests, "RATE_LIMITED", "too many requests at once; try again shortly")
	notJSON       = httperror.New(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "the body must be application/json, without a content encoding")
	tooLarge      = httperror.New(http.StatusRequestEntityTooLarge, "BODY_TOO_LARGE", "the body is larger than this server accepts")
	tooSlow       = httperror.New(http.StatusRequestTimeout, "BODY_TIMEOUT", "the body did not arrive in time")
	badBody       = httperror.New(http.StatusBadRequest, "BAD_BODY", "the body could not be read")
	broken        = httperror.New(http.StatusInternalServerError, "INTERNAL", "internal error")
	notReady      = httperror.New(http.StatusServiceUnavailable, "NOT_READY", "the desk cannot work just now; its log says why")
	closing       = httperror.New(http.StatusServiceUnavailable, "CLOSING", "the server is stopping")
)

// later is a refusal for now.
func later(no refusal, wait time.Duration) *refusal {
	no.RetryAfter = wait
	return &no
}

// told is a refusal as the clients of a route know it: those of the REST door
// know one code for all that is wrong with a request, whatever the status
// (CONTRACT R11). The log has the closer one.
func told(no *refusal, route string) *refusal {
	if route != restRoute {
		return no
	}
	switch no.Status {
	case http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		general := *no
		general.Code = "VALIDATION_ERROR"
		return &general
	}
	return no
}

// send writes the refusal and ends the connection after it: what is left of the
// body is not worth reading.
func send(w http.ResponseWriter, no *refusal) {
	h := w.Header()
	for name := range h { // a handler that panicked may have described another body
		if name != "Allow" && name != "Www-Authenticate" {
			h.Del(name)
		}
	}
	h.Set("Connection", "close")
	no.Write(w)
}

// harden sets the header fields that every answer of this door has, whatever
// the handler said before.
func harden(h http.Header) {
	for name := range h {
		if len(name) > 15 && name[:15] == "Access-Control-" {
			h.Del(name)
		}
	}
	h.Del("Server")
	h.Del("X-Powered-By")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// share lets the pages of an allowed origin read the answer. Cookies and the
// like are not shared: the credential is a header field.
func share(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "Mcp-Session-Id, Retry-After, Www-Authenticate")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
}

// preflightFields tell an allowed origin what its pages may send. Ten minutes is
// how long a browser may remember.
func preflightFields(h http.Header) {
	h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, X-Agent-Key, Content-Type, Accept, Last-Event-ID, Mcp-Session-Id, Mcp-Protocol-Version, Mcp-Method, Mcp-Name")
	h.Set("Access-Control-Max-Age", "600")
}

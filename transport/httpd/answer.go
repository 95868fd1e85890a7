package httpd

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// refusal is one row of the table of this door: the only answers it makes up.
type refusal struct {
	status  int
	code    string
	message string
}

var (
	refusedTarget = refusal{http.StatusBadRequest, "BAD_TARGET", "the request target must be a path"}
	refusedHost   = refusal{http.StatusForbidden, "HOST_REFUSED", "this host name is not allowed here; use the address that was printed at start, or add the name to the allowed hosts"}
	refusedOrigin = refusal{http.StatusForbidden, "ORIGIN_REFUSED", "web pages may not call this server; add the origin to the allowed origins if it is yours"}
	notFound      = refusal{http.StatusNotFound, "NOT_FOUND", "there is nothing here; MCP is served at /mcp, and at /sse for older clients"}
	badMethod     = refusal{http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "this method is not served here"}
	notKnown      = refusal{http.StatusUnauthorized, "UNAUTHORIZED", "missing or invalid credential; send an agent key as Authorization: Bearer or as x-agent-key"}
	tooMany       = refusal{http.StatusTooManyRequests, "RATE_LIMITED", "too many requests at once; try again shortly"}
	notJSON       = refusal{http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "the body must be application/json, without a content encoding"}
	tooLarge      = refusal{http.StatusRequestEntityTooLarge, "BODY_TOO_LARGE", "the body is larger than this server accepts"}
	tooSlow       = refusal{http.StatusRequestTimeout, "BODY_TIMEOUT", "the body did not arrive in time"}
	badBody       = refusal{http.StatusBadRequest, "BAD_BODY", "the body could not be read"}
	broken        = refusal{http.StatusInternalServerError, "INTERNAL", "internal error"}
	notReady      = refusal{http.StatusServiceUnavailable, "NOT_READY", "the desk cannot work just now; its log says why"}
	closing       = refusal{http.StatusServiceUnavailable, "CLOSING", "the server is stopping"}
)

type envelope struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// send writes the refusal and ends the connection after it: what is left of the
// body is not worth reading.
func (no refusal) send(w http.ResponseWriter) {
	h := w.Header()
	for name := range h { // a handler that panicked may have described another body
		if name != "Allow" && name != "Retry-After" && name != "Www-Authenticate" {
			h.Del(name)
		}
	}
	var e envelope
	e.Error.Code, e.Error.Message = no.code, no.message
	body, err := json.Marshal(e)
	if err != nil { // two strings always encode
		body = nil
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Connection", "close")
	w.WriteHeader(no.status)
	_, _ = w.Write(body) // a client that has gone is no news
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
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, X-Agent-Key, Content-Type, Accept, Last-Event-ID, Mcp-Session-Id, Mcp-Protocol-Version, Mcp-Method, Mcp-Name")
	h.Set("Access-Control-Max-Age", "600")
}

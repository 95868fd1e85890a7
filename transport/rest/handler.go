package rest

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// Options are what a [Handler] can do without; nil and zero fields mean what
// each says.
type Options struct {
	Version string       // of the program, told by /v1/health; "" says nothing
	Log     *slog.Logger // takes the types of internal errors; nil: nothing is logged
}

// Handler serves /v1. It is safe for concurrent use.
type Handler struct {
	desk    Desk
	caller  func(*http.Request) (identity.Principal, bool)
	version string
	log     *slog.Logger
	routes  []*route
	open    []string
}

var _ http.Handler = (*Handler)(nil)

// New returns the door to desk. caller tells who sends a request; false is
// answered with 401. It is not asked for what [OpenPaths] names.
func New(desk Desk, caller func(*http.Request) (identity.Principal, bool), o *Options) *Handler {
	if o == nil {
		o = &Options{}
	}
	h := &Handler{desk: desk, caller: caller, version: o.Version, log: o.Log, routes: operations(), open: OpenPaths()}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	return h
}

// call is one request on its way.
type call struct {
	ctx   context.Context
	who   identity.Principal
	r     *http.Request
	route *route
	named []segment  // what {path} stands for
	path  vault.Path // the same, when there is one
	id    string     // what {id} stands for
	body  []byte
}

// OpenPaths are the paths that are served without a credential, exact: the
// health and the OpenAPI document.
func OpenPaths() (paths []string) {
	for _, r := range operations() {
		if r.open {
			paths = append(paths, prefix+r.pattern)
		}
	}
	return paths
}

// Proves reports that a request is answered to nobody who may not act any more,
// though it was known only whom its credential belonged to earlier: the readings.
// A value and a list are given by methods of [Desk] that ask in their own
// transaction, and before anything else is told the desk is asked.
func Proves(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.HasPrefix(r.URL.EscapedPath(), prefix+"/secrets/")
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{ctx: r.Context(), r: r}
	segments, err := split(r.URL.EscapedPath())
	var allow []string
	if err == nil {
		c.route, allow = find(h.routes, r.Method, segments, c)
	}
	if !slices.Contains(h.open, r.URL.EscapedPath()) {
		who, ok := h.caller(r)
		if !ok {
			h.fail(w, c, identity.ErrUnauthenticated)
			return
		}
		c.who = labelled(who, r)
	}
	switch {
	case err != nil:
		h.fail(w, c, err)
	case c.route == nil && allow != nil:
		w.Header().Set("Allow", strings.Join(allow, ", "))
		h.fail(w, c, errMethod)
	case c.route == nil:
		h.fail(w, c, errRoute)
	default:
		h.run(w, c)
	}
}

// run does what the route says and sends the answer.
func (h *Handler) run(w http.ResponseWriter, c *call) {
	var err error
	if c.named != nil {
		if c.path, err = vault.ParsePath(joined(c.named)); err != nil {
			h.fail(w, c, err)
			return
		}
	}
	if c.r.Body != nil && c.r.Body != http.NoBody {
		var body bytes.Buffer
		body.Grow(int(max(c.r.ContentLength, 0)) + bytes.MinRead) // so that no copy is left behind
		if _, err = body.ReadFrom(c.r.Body); err != nil {
			h.fail(w, c, badBody("could not be read"))
			return
		}
		c.body = body.Bytes()
	}
	out, err := c.route.serve(h, c)
	clear(c.body)
	if err != nil {
		h.fail(w, c, err)
		return
	}
	h.send(w, c, out)
}

// maxClientBytes is how much of a client's name for itself is kept.
const maxClientBytes = 128

// labelled is who as seen through this door, with what the client calls itself.
func labelled(who identity.Principal, r *http.Request) identity.Principal {
	who.Door = policy.DoorREST
	if who.Client == "" {
		who.Client = r.UserAgent()
		who.Client = who.Client[:min(len(who.Client), maxClientBytes)]
	}
	return who
}

// isCLI reports that the published command line sent the request: it reads a
// value out of any 2xx answer (R8).
func (c *call) isCLI() bool { return strings.HasPrefix(c.r.UserAgent(), "ass-cli") }

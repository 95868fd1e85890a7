package httpd

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/policy/identity"
)

type principalKey struct{}

// PrincipalFrom returns whom the request of ctx was authenticated as. ok is
// false outside a mounted handler: refuse then.
func PrincipalFrom(ctx context.Context) (who identity.Principal, ok bool) {
	who, ok = ctx.Value(principalKey{}).(identity.Principal)
	return who, ok
}

// credential takes the key out of Authorization: Bearer or x-agent-key. Both may
// be there if they agree. One field sent twice, another scheme or a malformed
// key is no credential.
func credential(h http.Header) (key string, ok bool) {
	var found []string
	switch sent := h["Authorization"]; len(sent) {
	case 0:
	case 1:
		scheme, rest, _ := strings.Cut(sent[0], " ")
		if asciiLower(scheme) != "bearer" {
			return "", false
		}
		found = append(found, strings.TrimLeft(rest, " "))
	default:
		return "", false
	}
	switch sent := h["X-Agent-Key"]; len(sent) {
	case 0:
	case 1:
		found = append(found, sent[0])
	default:
		return "", false
	}
	if len(found) == 0 || found[0] != found[len(found)-1] {
		return "", false
	}
	key = found[0]
	if key == "" || len(key) > credentialLen || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", false
	}
	return key, true
}

// who authenticates r. Every failure of the credential is the same answer, except
// that it is not even looked up while too many have failed (see wrong). Whom the
// handler will ask about itself may be known from before (see recall).
func (s *Server) who(w *writer, r *http.Request) (identity.Principal, *refusal) {
	refuse := func() (identity.Principal, *refusal) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="coatcheck"`)
		return identity.Principal{}, &notKnown
	}
	key, ok := credential(r.Header)
	if !ok {
		return refuse()
	}
	from, proves := s.source(r), s.proves(r)
	if proves {
		if who, ok := s.recall.get(key); ok {
			w.unknown = func() { s.recall.drop(key) }
			who.Door, who.Addr = policy.DoorREST, from.addr
			return who, nil
		}
	}
	try := s.wrong.attempt(from.payer, key)
	known, wait := s.wrong.begin(try)
	if wait > 0 {
		return identity.Principal{}, later(tooWrong, wait)
	}
	how := nothing
	defer func() { s.wrong.end(try, known, how) }()
	who, err := s.authenticate(r.Context(), key, from.addr)
	switch {
	case errors.Is(err, identity.ErrUnauthenticated):
		how = unknown
		return refuse()
	case err == nil && who.Kind == "":
		err = errors.New("authenticated as nobody")
		fallthrough
	case err != nil:
		return identity.Principal{}, s.internal(r, "authentication failed", slog.Any("error", err))
	}
	how = right
	if proves {
		s.recall.put(key, who)
	}
	who.Door, who.Addr = policy.DoorMCP, from.addr
	if route(r) == restRoute {
		who.Door = policy.DoorREST
	} else if who.Kind == identity.Admin { // it is for people and their programs, not for models
		return refuse()
	}
	return who, nil
}

// dropCredentials takes from the header what a handler, and the framework that
// copies it into its own requests, may not have.
func dropCredentials(h http.Header) {
	for _, name := range []string{"Authorization", "X-Agent-Key", "Proxy-Authorization", "Cookie"} {
		h.Del(name)
	}
}

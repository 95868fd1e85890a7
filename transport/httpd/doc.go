// Package httpd is the network door: one http.Server that guards whatever is
// mounted behind it.
//
// The one rule: no request reaches a mounted handler, and none learns more
// than its own refusal, unless its target, Host, Origin, credential, size and
// number were all found good, in that order. The checks stand in front of the
// routes, so they hold for every method and for pages that do not exist.
//
//	srv, err := httpd.New(httpd.Config{
//		Authenticate: func(ctx context.Context, key string) (identity.Principal, error) { … },
//		Alive:        func(ctx context.Context, who identity.Principal) error { … },
//		MCP:          handler, // finds its caller with httpd.PrincipalFrom(r.Context())
//		SSE:          older,   // learns with httpd.Stopping(r.Context()) that it is time to end
//		Ready:        func(ctx context.Context) error { … }, // can we work?
//		Log:          log,
//	})
//	if err != nil {
//		return err
//	}
//	fmt.Fprintln(os.Stderr, "serving at", srv.URL())
//	return srv.Serve(ctx) // nil once ctx has ended and the calls under way are answered
//
// # Routes
//
//	/mcp             any method, authenticated; handed to Config.MCP
//	/sse, /messages  any method, authenticated; handed to Config.SSE
//	/healthz         GET and HEAD, no credential: {"status":"ok","version":"…"}, as long as the process answers
//	/readyz          GET and HEAD, no credential: {"status":"ready"}, or 503 when Config.Ready says no or nothing
//
// One check of /readyz runs at a time, for 2 s at most, and its outcome is told
// for a second, so that asking costs nothing.
//
// Everything else is 404. Paths are compared byte for byte: nothing is cleaned
// or redirected, because a redirect repeats text of the caller.
//
// # Host and Origin
//
// A web page reaches a loopback port by its address, or by a name of its own
// that it rebinds to 127.0.0.1. The first shows in Origin or Sec-Fetch-Site,
// the second in Host. So:
//
//   - Host must be localhost, an address in 127.0.0.0/8 or [::1], with the port
//     that was bound (or none, when that port is the scheme's own); or a name in
//     Config.AllowHosts. ASCII case is ignored, nothing else is: no trailing dot,
//     no user part, no other spelling of an address.
//   - Origin, when there is one, must be in Config.AllowOrigins. There is no
//     origin that is allowed by default, loopback and our own included: any
//     program of this machine may serve a page at http://localhost, and a desk's
//     clients are programs, which send no Origin. "null" is never allowed.
//   - Sec-Fetch-Site, when there is one, must be same-origin or none, unless
//     Origin was allowed.
//
// # The unix socket
//
// Config.Socket serves the same routes to users of this machine that the system
// itself vouches for (package socket); the credential is asked for all the same.
// Over it Host is localhost and nothing else, no Origin is ever allowed, and
// /healthz also says which files no client should be able to open.
//
// # Answers
//
// Refusals have the envelope of package httperror, one fixed text for each cause,
// and close the connection. The few that net/http sends before a
// handler exists (malformed request, two Host fields, header fields too large)
// are its own short texts, without any text of the caller. No answer carries a
// CORS field unless Origin was allowed; those that a mounted handler sets are
// taken out.
//
// # Choices
//
//   - HTTP/1.1 only. HTTP/2 has a second place for the host, streams that no
//     connection limit counts, and nothing that MCP needs.
//   - Bodies are read whole, within their limit and time, before the handler
//     runs, so that too large is 413 and too slow 408 whatever the handler does.
//     The price is up to Limits.Body of memory for each request under way.
//   - At the connection limit the connection that has waited longest without an
//     authenticated request is closed. Making new ones wait instead would let
//     whoever opens enough of them shut everybody else out.
//   - Streams are counted apart from requests, so that agents which listen by the
//     hundred can still ask, and are cheap: an idle one costs about 32 KiB, of
//     which net/http takes two thirds, and no work but a comment now and then.
//   - A revoked agent is refused at its next request, and what it has under way
//     ends within Limits.Recheck: one question for each agent then, not for each
//     stream. To ask before each event was rejected: an idle stream has none.
//   - A credential is taken from the header and not passed on: handlers see the
//     principal, and no framework copies the key into its own request values.
//
// # What it does not do
//
// It decides nothing about secrets, holds no sessions (bind them to the
// principal's SessionOwner), believes no X-Forwarded-* field, and does not reload its
// certificate. On loopback without TLS another local user can listen on the
// other address family of the same port; clients should use the printed URL
// and not "localhost".
package httpd

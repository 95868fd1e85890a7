// Package httpd is the network door: one http.Server that guards whatever is
// mounted behind it.
//
// The one rule: no request reaches a mounted handler, and none learns more
// than its own refusal, unless its target, Host, Origin, credential, size and
// number were all found good, in that order. The checks stand in front of the
// routes, so they hold for every method and for pages that do not exist. Whether
// the credential still is may be left to a handler that asks in the transaction of
// what it does ([Config.RESTProves]): then nothing lies between the two.
//
//	srv, err := httpd.New(httpd.Config{
//		Authenticate: func(ctx context.Context, key, addr string) (identity.Principal, error) { … },
//		Alive:        func(ctx context.Context, who identity.Principal) error { … },
//		MCP:          handler, // finds its caller with httpd.PrincipalFrom(r.Context())
//		REST:         api,     // the same, for all below /v1/
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
//	/v1/…            any method, authenticated; handed to Config.REST, but for Config.RESTOpen, which need no credential
//	/healthz         GET and HEAD, no credential: {"status":"ok","version":"…"}, as long as the process answers
//	/readyz          GET and HEAD, no credential: {"status":"ready"}, or 503 when Config.Ready says no or nothing
//
// One check of /readyz runs at a time, for 2 s at most, and its outcome is told
// for a second, so that asking costs nothing.
//
// Everything else is 404. Paths are compared byte for byte, as they were sent:
// nothing is cleaned or redirected, because a redirect repeats text of the caller,
// and because %2F means something below /v1/. The principal there has the door
// rest, elsewhere mcp. A GET below /v1/ is a call like any other; elsewhere it is
// a stream.
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
// # Addresses
//
// The address of a client is that of the connection, or what a proxy in
// Config.TrustedProxies says in X-Forwarded-For. A trusted proxy that says
// something else than an address leaves it unknown, which is in no list of a
// token. Over the unix socket there is none, whatever a field says.
//
// # Pace
//
// Nobody uses up what belongs to others: an agent has so many requests a second,
// an address so many of those that need no credential, and so many wrong
// credentials a minute. There is no rate for all together. With the last used up,
// a credential is refused before it is looked up, unless it was right within ten
// minutes, because there may be many clients behind one address; and a program
// that repeats one wrong key is stopped by that key's own ration, a tenth, and not
// at the cost of its neighbours.
//
// # Answers
//
// Refusals have the envelope of package httperror, one fixed text for each cause,
// and close the connection. Below /v1/ what is wrong with a type or body has the
// code VALIDATION_ERROR, whatever its status, as the clients there expect; a Host
// or Origin that is refused keeps its own code, since SCOPE_DENIED would have a
// program ask for another token. The few that net/http sends before a handler
// exists (malformed request or percent-encoding, two Host fields, header fields
// too large) are its own short texts, without any text of the caller. No answer carries a
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
//   - To refuse everything from an address with too many wrong credentials would let
//     anybody behind a proxy, or on this machine, shut the others out; to delay
//     answers would hold the connections that are counted. The price of the choice:
//     who comes anew while somebody guesses at his address has to try again.
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
// principal's SessionOwner), believes of the fields that proxies set
// X-Forwarded-For alone, and does not reload its certificate. On loopback without TLS another local user can listen on the
// other address family of the same port; clients should use the printed URL
// and not "localhost".
package httpd

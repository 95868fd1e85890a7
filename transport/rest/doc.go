// Package rest is the door for programs: the /v1 API of the Agent Secret Store,
// both of its editions on one set of routes.
//
// The one rule: the door holds no rules. It reads a request, calls one method of
// the desk, which decides and records, and shapes the answer. What it refuses by
// itself is what cannot be read one way only; no refusal repeats what was sent,
// but for a path that was found sound.
//
//	door := rest.New(desk, func(r *http.Request) (identity.Principal, bool) {
//		return httpd.PrincipalFrom(r.Context())
//	}, &rest.Options{Version: version, Log: log})
//	srv, err := httpd.New(httpd.Config{REST: door, RESTOpen: rest.OpenPaths(), …})
//
// The routes are the table [operations]; /v1/openapi.json describes them, made
// from that table and the types in it when the tests run. "Edition A" and
// "edition B" and the numbers R1 to R17 are those of CONTRACT.md: A is the older
// service (path, tier, tags, one scope), B the newer one (namespace and key,
// access_tier, metadata, scopes), whose published packages are @agentsecretstore/sdk,
// /mcp and /cli. A request may use the words of either, an answer has both.
//
// # Paths
//
// Routing looks at the escaped path (R1): %2F is a slash inside a name, and the
// three known clients each write a secret's path in another way. Each segment is
// decoded once; empty and dot segments, control characters and text that would
// decode again are refused with 400, never cleaned or redirected.
//
// GET of a path is a secret or a list (R2). What decides is in the comment of
// getSecret; it rests on the vault's promise that a secret and a namespace never
// share a path. So do the words at the end of a path: rotate and restore are words
// after a POST, versions after a GET by those who may know a secret's history, and
// there only where a secret stands above it.
//
// # Bodies
//
// Members that are not known are ignored (R13). What two readers could read
// differently is refused: a member that stands twice, at any depth; text that is
// not UTF-8; a wrong type; something after the object; more than 64 levels. A
// value goes from the body into a secret.Value, never by way of a string, and the
// body is wiped; on the way out it is written into the answer's bytes, which are
// wiped once they are sent. net/http keeps copies of its own in its buffers: the
// wiping shortens a life and promises nothing.
//
// # Choices
//
//   - The router is this package's own. http.ServeMux knows no word after a
//     wildcard of several segments, cleans paths by a redirect that repeats them,
//     and cannot say which segment a slash was encoded in.
//   - No framework such as huma. It would bring its schemas and its decoder: the
//     first are what invopop/jsonschema gives already (OpenAPI 3.1 is JSON Schema
//     2020-12); the second reads a body into any and then once more into the type,
//     so that values lie about as strings, matches members in any case, takes the
//     last of two, and puts the value it found into the details of its errors
//     (validateBody and ErrorDetail in huma v2.39). Without both, what is left is
//     the routing, which would have to be ours.
//   - JSON is read by go-json-experiment/json, which is encoding/json/v2 of Go
//     1.27 for a Go before: encoding/json would do all four of these things too.
//     When go.mod says 1.27 the import becomes the standard library's.
//   - A list by path is everything below it, sent as it is read: edition B's
//     clients cannot ask for a second page. When the vault fails half-way the
//     connection is cut, so that a part is not taken for the whole.
//   - PUT takes edition B's defaults, which its clients always send, for "as it
//     is": a plain rewrite lowers no tier (CONTRACT §19.27). To lower one, PATCH.
//   - 202 for "an approval is needed" goes to edition A's direct reads alone: to
//     the others any 2xx is a value (R8).
//   - The arguments of GET and DELETE stand in the query. A body with anything in it
//     is refused there: permanent in the body of a DELETE would be left undone.
//
// Where CONTRACT has a suggestion and this door does otherwise:
//
//   - §5.10: .env text is read as package dotenv says, and not as the published
//     command line's own parser does. What that would take for another value
//     without quotes, a # after a blank, is refused with its line; what it exports
//     is read back to the byte or refused for an expansion. Empty values and
//     references to secrets are skipped, and counted as such.
//   - §10: nothing happens when a secret or a token expires, so that there is no
//     secret.expired and no token.expired: whoever comes too late is on record as
//     refused. There is no token.used, because each reading and change has the token
//     as its actor, nor secret.rolled_back, because no version becomes the newest
//     again. To destroy a secret is secret.purged, not secret.deleted. What timed
//     out is approval.expired, and approval.voted is an agreement that others must
//     follow.
//   - §19.10: the older versions of a critical secret are not the owner's alone:
//     they take the approval that the newest takes.
//   - §19.18: accessed_at is null until a value was read, also in clients: it is
//     not made up of created_at.
//   - §19.28: what an agent says of an existing secret beside its value, tags or a
//     description that are not there already, is 403 OWNER_ONLY. Replacing them is
//     for admins; they are what rules and people judge a secret by.
//   - §19.35: an approval is asked for changes, rotations and deletions of a guarded
//     secret as for readings of it: whoever may write may exchange a value for his
//     own.
//
// # What it does not do
//
// Authentication, addresses, sizes, times, numbers of requests and the header
// fields that every answer has are the network door's (package httpd), as is 415
// for a body that is not JSON. It keeps no state.
package rest

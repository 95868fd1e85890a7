// Package redeem is the road on which a value leaves as part of an HTTP
// request: it turns what a model wrote into one canonical request, says where
// the handles in it stand, puts the values in their place and sends it.
//
// The one rule: what was checked is, byte for byte, what is sent, and it is
// sent to an address that was checked, in one request, to one host.
//
//	prepared, err := redeem.Prepare(redeem.Call{Method: "GET", URL: "https://api.openai.com/v1/models",
//		Headers: []redeem.Field{{Name: "Authorization", Value: "Bearer ash_…"}}})
//	// policy decides on prepared.Target(), then for each of prepared.Handles():
//	place, err := prepared.Fit(handle, "", destinations) // refuses a handle that stands elsewhere
//	answer, err := client.Do(ctx, who.ID(), prepared, values, places)
//
// Choices. The URL grammar is written here, on top of url.Parse, and refuses
// what is ambiguous instead of repairing it: a repaired URL is one that some
// server reads differently. A body with handles in it is read once and written
// anew in the shortest spelling of its format, so that a second reader cannot
// find another place in it. Encodings of an answer are asked for and undone here,
// because what is still compressed cannot be scrubbed; br and zstd, which the
// standard library does not have, by andybalholm/brotli and klauspost/compress,
// the decoders most of the Go world uses.
//
// Over HTTP/2 a connection is kept for half a minute, for the same principal and
// origin only, because a handshake costs several times what everything else
// does; the host is resolved anew each minute, and the addresses are checked
// again for each call's own destinations. Over HTTP/1.1 each call has its own
// connection: there, a server could put the answer to the next request behind
// this one's, and net/http writes such bytes to the log.
//
// http.RoundTripper is used without http.Client, whose redirects carry API-key
// headers to other hosts and whose errors print query strings. The host is
// resolved once and the addresses are pinned; the check runs again on the
// address the socket is about to connect to. Wrong choices would show in the
// tests with a recording server and in the table of refused addresses.
//
// [Client.Post] sends what the desk itself has to say (transport/webhook) through the
// same guard, pool and table.
//
// What it does not do: it follows no redirect, keeps no cookie, reads no proxy
// setting of the environment, forwards no informational response and no trailer
// and scrubs nothing: an answer goes to package redact before anybody sees it.
// A handle that somebody hid by an encoding (base64 in a body, say) is not found;
// it is sent as it is and is worth nothing there. A multipart body written out as
// text is text: handles stand in Call.Parts.
package redeem

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
//	answer, err := client.Do(ctx, prepared, values, places)
//
// Choices. The URL grammar is written here, on top of url.Parse, and refuses
// what is ambiguous instead of repairing it: a repaired URL is one that some
// server reads differently. A body with handles in it is read once and written
// anew in the shortest spelling of its format, so that a second reader cannot
// find another place in it. Encodings of an answer are asked for and undone here,
// because what is still compressed cannot be scrubbed; br and zstd, which the
// standard library does not have, by andybalholm/brotli and klauspost/compress,
// the decoders most of the Go world uses. A transport is made for every call and dies with
// it, so no connection is shared between principals, secrets or destinations
// and no keep-alive outlives its address check; the price is one handshake a
// call. http.RoundTripper is used without http.Client, whose redirects carry
// API-key headers to other hosts and whose errors print query strings. The host
// is resolved once and the addresses are pinned; the check runs again on the
// address the socket is about to connect to. Wrong choices would show in the
// tests with a recording server and in the table of refused addresses.
//
// What it does not do: it follows no redirect, keeps no cookie, reads no proxy
// setting of the environment, forwards no informational response and no trailer
// and scrubs nothing: an answer goes to package redact
// before anybody sees it. A handle that somebody hid by an encoding (base64 in
// a body, say) is not found; it is sent as it is and is worth nothing there. A
// multipart body written out as text is text: handles stand in Call.Parts.
package redeem

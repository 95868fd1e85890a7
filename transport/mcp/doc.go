// Package mcp puts the tools on the Model Context Protocol: over standard input
// and output, over Streamable HTTP and, for clients of 2024-11-05, over SSE, in
// every revision that mcp-go speaks (2024-11-05 to the stateless 2026-07-28).
//
// The one rule: mcp-go sees a message only after it has passed package envelope,
// and nobody sees what mcp-go or a panic says: protocol errors carry fixed texts,
// tool failures carry what package tools made of them, and the rest is "internal
// error" with a reference into the log.
//
//	s := mcp.NewServer(tools.All(broker), &mcp.Options{Version: version, Log: log})
//	err := s.ServeStdio(ctx, identity.LocalStdio(), os.Stdin, os.Stdout)
//
//	h := s.HTTPHandler(authenticate)
//	mux.Handle("/mcp", h) // behind the checks of Host and Origin in transport/httpd
//	older := s.SSEHandler(authenticate, stopping)
//	mux.Handle(mcp.SSEPath, older)
//	mux.Handle(mcp.MessagesPath, older)
//
// Failures of tools are results with isError. Their code, message and next step
// stand as JSON in the text, and structuredContent is absent: the official
// TypeScript client checks it against the output schema even on errors and
// throws, the Python client skips errors. Unknown tools and messages that break
// the protocol are JSON-RPC errors.
//
// # Streamable HTTP
//
// A POST is answered by one JSON message, or, from the moment that something is
// said to the client before the answer, by an event stream that ends with the
// answer. Whoever says something writes it: it is on the wire before the answer
// is, nothing waits in a queue, and nothing is dropped. A client that does not
// read holds its own call up until the time for one write is over
// (httpd.Limits.WriteTime); then its connection is cut and its call cancelled. A
// client that goes away cancels its call.
//
// Sessions belong to the revisions before 2026-07-28. GET opens the stream of
// one, for what is said outside of its calls; a second GET takes over from the
// first. At most 64 messages or 1 MiB wait for a client that has had a stream;
// beyond that whoever says more hears that it is not read.
// An idle stream carries a comment every 20 s.
//
// The server's own requests go out on the stream of the call they belong to,
// only if the client declared the capability, at most 64 at once, and take their
// answer only from a POST of the same session of the same principal. Revision
// 2026-07-28 has none. The other doors have notifications and requests too, on
// their one stream.
//
// Streams are not resumed: events have no id, and Last-Event-ID means nothing.
// To resume would be to keep answers in memory for whoever comes back, and to let
// calls run on for nobody; a call that was lost is made again, and the record
// tells what the first one did.
//
// # Choices
//
// An own loop over [server.MCPServer.HandleMessage], on stdio and over HTTP.
// mcp-go's for stdio has no limit on a line, five workers, one session for the
// whole process, cancels calls at end of input and sends panic texts. Its
// StreamableHTTPServer takes any session id of the right form, lets anybody's
// notifications/cancelled reach anybody's call, puts notifications into a channel
// that drops what does not fit, and copies each message three times.
//
// An own SSE door over HandleMessage too. mcp-go's answers any web page
// (Access-Control-Allow-Origin: *), takes a message from whoever knows a session
// id, reads bodies of any size, sends panic texts, lets calls run on after their
// client has gone, and cannot be drained. Here a stream is what a stdio
// connection is, with events instead of lines, bound to its principal; messages
// beyond what a stream may have waiting are refused (429), never kept.
//
// # Traps
//
// What mcp-go does by itself and must not do here; a test checks that those named
// exist.
//
//	 1  any web page can drive a server: httpd.TestEvilHost httpd.TestEvilOrigin httpd.TestMediaType mcp.TestSSEAnswers
//	 2  a session id is taken for an identity: mcp.TestHTTPForeign mcp.TestHTTPAsk mcp.TestHTTPMatrix mcp.TestSSEAnswers mcp.TestSSEMatrix mcp.TestSSECrossing
//	 3  a message may have any size: httpd.TestBodySize mcp.TestSSEAnswers mcp.TestStdioAnswers lines.TestLines httpd.TestEndlessBodies
//	 4  texts of panics and errors reach the client: mcp.TestFaults mcp.TestSSEFaults mcp.TestSSEPanic httpd.TestPanic
//	 5  what a client is asked by an answer travels unsigned, and to clients that cannot (no tool can ask so): mcp.TestNoInputRequired mcp.TestHTTPAskRefused
//	 6  every event is kept in memory (none is): mcp.TestHTTPNotResumed mcp.TestHTTPLate
//	 7  escapes of JSON hide a value from redaction: redact.TestEscapedForms redact.TestEverySpelling
//	 8  the end of input cuts calls in flight: mcp.TestEndOfInput mcp.TestShutdown
//	 9  progress may come after the answer on stdio: mcp.TestProgress mcp.TestSubscriptions mcp.TestHTTPProgress
//	10  notifications are dropped: mcp.TestProgress mcp.TestHTTPProgress mcp.TestHTTPLate mcp.TestHTTPNeverReads
//	11  a call outlives the SSE client that made it: mcp.TestSSEDisconnect mcp.TestHTTPGone
//	12  abandoned sessions stay in memory: mcp.TestHTTPAbandoned mcp.TestHTTPSessionLimits mcp.TestSSEDisconnect mcp.TestSSEAbandoned
//	13  one stdio session for the whole process: mcp.TestParallelSessions
//
// Not here: authentication, Host and Origin checks, TLS, the time for a write
// (transport/httpd), what the tools do (package tools). Resources, prompts and
// completions are not offered.
package mcp

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
//	defer h.Close()
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
// Choice: an own loop over [server.MCPServer.HandleMessage] for stdio. mcp-go's
// has no limit on a line, five workers, one session for the whole process,
// cancels calls at end of input and sends panic texts. Choice: over HTTP mcp-go's
// handler does the protocol but knows no sessions; they are kept here, bound to
// the principal that opened them. Its own ids would be good for anyone, and its
// notifications/cancelled would reach calls of other clients.
//
// Choice: an own SSE door over HandleMessage too. mcp-go's answers any web page
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
//	 2  a session id is taken for an identity: mcp.TestSSEAnswers mcp.TestSSEMatrix
//	 3  a message may have any size: httpd.TestBodySize mcp.TestSSEAnswers mcp.TestStdioAnswers lines.TestLines
//	 4  texts of panics and errors reach the client: mcp.TestFaults mcp.TestSSEFaults mcp.TestSSEPanic httpd.TestPanic
//	 7  escapes of JSON hide a value from redaction: redact.TestEscapedForms redact.TestEverySpelling
//	 8  the end of input cuts calls in flight: mcp.TestEndOfInput mcp.TestShutdown
//	 9  progress may come after the answer on stdio: mcp.TestSubscriptions
//	11  a call outlives the SSE client that made it: mcp.TestSSEDisconnect
//	12  abandoned sessions stay in memory: mcp.TestHTTPSessionLimits mcp.TestSSEDisconnect
//	13  one stdio session for the whole process: mcp.TestParallelSessions
//
// Not here: authentication, Host and Origin checks, TLS (transport/httpd), what
// the tools do (package tools). Resources, prompts, completions and server
// requests are not offered, so nothing is ever pushed: GET answers 405.
package mcp

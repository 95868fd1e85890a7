// Package mcp puts the tools on the Model Context Protocol: over standard input
// and output and over Streamable HTTP, in every revision that mcp-go speaks
// (2024-11-05 to the stateless 2026-07-28).
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
// Not here: authentication, Host and Origin checks, TLS (transport/httpd), what
// the tools do (package tools). Resources, prompts, completions and server
// requests are not offered, so nothing is ever pushed: GET answers 405.
package mcp

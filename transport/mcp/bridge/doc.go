// Package bridge lets an MCP client that speaks over standard input and output
// reach a desk that runs elsewhere: under another user of this machine, by a
// unix socket, or on another machine, by HTTPS.
//
// The one rule: the agent's key goes to the desk that was named and to nobody
// else, and a tools/call that may have been carried out is never sent again.
//
//	desk, err := bridge.ParseServer("unix:///run/coatcheck/desk.sock")
//	if err != nil {
//		return err
//	}
//	b := bridge.New(bridge.NewRemote(desk, os.Getenv("COATCHECK_AGENT_KEY")), nil)
//	return b.Serve(ctx, os.Stdin, os.Stdout)
//
// # What goes through
//
// Each message that passes package envelope is one POST to /mcp. What comes back,
// as JSON or as a stream of events, goes out as lines: answers, and before them
// progress and requests of the desk. What the client answers to those is posted
// in turn. An answer that nobody asked for is dropped.
//
// Of the revisions with sessions, the client's initialize opens one; its id and
// revision go with every message, a GET stream is kept open if the desk offers
// one, and the session is deleted at the end. In 2026-07-28 a request says its
// revision itself, and its headers are made from its body. A cancelled call is
// told to the desk and its POST ended.
//
// # When the desk is away
//
// A message of which the desk has read nothing, because there was no connection
// or it answered that it is stopping or busy, is sent again until
// Options.Patience is over. A session that the desk has forgotten is opened anew
// with the client's own initialize, once for all calls that wait. When a
// connection ends under a message, it is sent again only if the method looks
// something up and nothing of its answer has gone out. All else is an error to
// the client, whose data say with a code whether anything can have happened, and
// what to do next.
//
// # Choices
//
// Messages are passed on as they are, not decoded and made again: a bridge that
// knows fewer fields than both ends would lose them. mcp-go's client was rejected
// for that, and for repeating requests on its own. No proxy is taken from the
// environment and no redirect is followed: both would carry the key elsewhere.
// HTTP/2 is left out, as it is in the desk.
//
// # What it does not do
//
// It opens no home and decides nothing. It does not take up a stream where it
// broke (Last-Event-ID) except the GET stream, since a desk keeps no events. It
// makes no Mcp-Param headers: no tool of a desk asks for any.
package bridge

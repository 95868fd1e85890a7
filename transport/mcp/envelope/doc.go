// Package envelope checks one JSON-RPC message strictly and finds its parts,
// before anything else reads it.
//
// The one rule: what Check accepts, every JSON parser reads the same way. The
// library behind this door matches member names in any case ("METHOD", "ſ" for
// "s"), lets the last of two equal names win and repairs broken Unicode, so two
// parsers could see two requests in one message. Nothing of the kind passes.
//
//	m, err := envelope.Check(line)
//	if err != nil {
//		return reply(err.ID, err.Code, err.Text) // fixed text, repeats nothing
//	}
//	switch m.Kind {
//	case envelope.Request: … m.ID, m.Method, m.Params
//	}
//
// A message is RFC 8259 JSON in valid UTF-8 without byte order mark, at most
// [MaxDepth] levels deep, at most [MaxMembers] members to an object, no member
// name twice in one object, no NUL character (raw or escaped), no lone
// surrogate, no number beyond float64. The envelope's and its params' own
// member names are spelled exactly.
//
// Choice: one pass over the bytes, without allocation, instead of encoding/json
// tokens, which cost more than the call behind them. It is held to encoding/json
// by a fuzz test.
//
// Not here: reading from a stream, what a method means.
package envelope

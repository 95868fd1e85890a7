// Package condition compiles and evaluates what a policy rule says after
// "when": one expression of the Common Expression Language (CEL,
// https://cel.dev) that is true or false.
//
// The one rule: an expression is checked whole when it is compiled (syntax,
// types, names, time zones, networks, patterns, cost), and what can still go
// wrong when it is evaluated is an error, never a guess.
//
//	c, err := condition.NewCompiler(nil)
//	expr, bad := c.Compile(`now.getHours("Europe/Berlin") >= 8 && tags["team"] == "pay"`)
//	if bad != nil {
//		return bad // bad.Line, bad.Column, bad.Msg
//	}
//	ok, err := expr.Holds(&condition.Facts{Now: now, Agent: "claude-1", …})
//
// # Language
//
// Variables, all of a request: now (a timestamp), agent, door, path, tier,
// client and ip (strings), tags (a map of strings). Literals, lists, maps, the
// operators ! && || ?: == != < <= > >= + - * / % in and [], and
//
//	size(x) x.size()                 of a text in characters, of a list or map
//	x.startsWith(y) endsWith contains
//	x.matches("^re2$")               RE2, anywhere in x unless anchored
//	now.getHours("Europe/Berlin")    also getMinutes getSeconds getMilliseconds
//	                                 getFullYear getMonth (0 is January) getDate
//	                                 (from 1) getDayOfMonth (from 0) getDayOfYear
//	                                 (from 0) getDayOfWeek (0 is Sunday); a zone's
//	                                 name or "+02:00", UTC without one
//	timestamp("2026-01-31T00:00:00Z") duration("36h") int("5")
//	cidr("10.0.0.0/8").containsIP(ip)
//	has(tags.team)                   as "team" in tags
//
// An address that is not known (ip is "") is in no network. A tag that is not
// there is an error: ask for it with in or has first.
//
// # Bounds
//
// An expression has [MaxLength] characters and [MaxDepth] levels. There are no
// loops: no macros but has, so an expression takes time linear in its length and
// its data. Its worst cost is estimated when it is compiled, and counted when it
// is evaluated; more than [MaxCost] is an error either way. Patterns, time zones
// and networks are literals, so that nobody who asks can choose one. A compiler
// takes [MaxExpressions].
//
// # Choices
//
// cel-go rather than a language of our own: people know it, its rules about
// errors in && and || are settled, and other tools can read a policy. Its
// subpackages rather than its cel package: that one also loads descriptors and
// libraries when the program starts, before anything is asked of it (measured: 0.3
// ms more of start, 1.3 MB more of program). Its precedence-climbing parser rather
// than the ANTLR one, whose first use takes 3 ms. A test holds both choices
// against the cel package over a list of expressions; it would show a
// difference.
//
// Time zones come with the program (time/tzdata, 0.4 MB, nothing at start), since
// a policy must mean the same in a container without them and on Windows. They
// are looked up when the expression is compiled; cel-go's own functions read the
// zone's file at each evaluation.
//
// A compiler is made when a policy has a condition, and not before: it takes
// about a millisecond.
//
// # What it does not do
//
// It asks no clock, and knows no rules: what an error means is for package
// policy. client is what a client calls itself and no identity.
package condition

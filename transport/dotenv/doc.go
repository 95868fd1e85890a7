// Package dotenv reads and writes .env text.
//
// The one rule: text means one thing or is refused with its line; nothing is
// guessed, expanded, trimmed inside quotes or left out in silence. No error
// repeats what stands in the text.
//
//	file, err := dotenv.Parse(text)
//	for _, e := range file.Entries {
//		store(e.Name, e.Value)
//	}
//	after := file.Replace(func(e dotenv.Entry) string { return vault.Path("production/app/" + e.Name).Reference() })
//	line, err := dotenv.Append(nil, "KEY", value)
//
// The grammar is this package's own. It agrees with the parser of the published
// command line (CONTRACT §5.10), with shells and with the usual libraries wherever
// those agree. Text is UTF-8, with a byte order mark perhaps; lines end with LF or
// CRLF.
//
//	# comment          a line whose first character is #; so is an empty line
//	[export] NAME=VALUE
//
// NAME is a letter or _ and then letters, digits, _, . and -; blanks may stand
// around it and around =. No name stands twice. VALUE is one of
//
//	text      to the end of the line, without blanks at its ends. No # after a
//	          blank, no \ at its end, no ${, $( or `.
//	'text'    literally, over several lines if need be
//	"text"    the same, with the escapes \n \r \t \\ \" \$ \` and no others, and
//	          without ${, $( and ` that are not escaped
//	          (nothing at all: an empty value)
//
// After a closing quote only blanks and a comment follow. Quotes inside text
// that does not begin with one stand for themselves. No control characters but
// tabs, and line breaks inside quotes. A line inside quotes that looks like
// another entry is refused: a quote was forgotten there.
//
// Choice: what shells and libraries read differently is refused where a wrong
// guess would store a wrong secret: expansion, line continuation, unknown
// escapes, and a # after a blank, where shells begin a comment and the published
// command line goes on with the value. A # without a blank before it belongs to
// the value, as in shells and there; the Node library drops it, and a password
// would lose its end. From the published command line's own parser, which does no
// more than take one quote off each end, the grammar differs in this, and else is
// right about what that command line exports: escapes in double quotes mean
// something; quotes may hold line breaks; a quote at the end alone is part of the
// value; export before a name and a comment after a closing quote are passed over;
// a line that is no entry and a name that stands twice are refused. What is written
// has nothing that a shell would run: a value may be anybody's, and people source
// such files. For the same reason no name is written that a program obeys: whoever
// may create a secret would choose what the reader of the file runs.
//
// Not here: where values go (package broker), files (package cli).
package dotenv

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
// The grammar is that of CONTRACT §5.10 with what .env files have beside it.
// Text is UTF-8, with a byte order mark perhaps; lines end with LF or CRLF.
//
//	# comment          a line whose first character is #; so is an empty line
//	[export] NAME=VALUE [# comment]
//
// NAME is a letter or _ and then letters, digits, _, . and -; blanks may stand
// around it and around =. No name stands twice. VALUE is one of
//
//	text      to the end of the line, without blanks at its ends. It ends before
//	          a # that follows a blank. No \ at its end, no ${, $( or `.
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
// escapes. A # without a blank before it belongs to the value, as in shells;
// the Node library drops it, and a password would lose its end. What is written
// has nothing that a shell would run: a value may be anybody's, and people source
// such files. For the same reason no name is written that a program obeys: whoever
// may create a secret would choose what the reader of the file runs.
//
// Not here: where values go (package broker), files (package cli).
package dotenv

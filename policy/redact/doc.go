// Package redact finds values that a principal has spent in text that comes
// back to it, and masks them.
//
// The one rule: a whole value that is in scope for a principal does not leave
// [Scrubber.Scrub] for that principal, in any form the package knows; and text
// tells nothing about a value that is not in scope, or only partly there.
//
//	s := redact.New(time.Now)
//	s.Keep("agent:claude", "production/openai/api-key", value, handleExpiry)
//	clean, masked := s.Scrub("agent:claude", body)
//	// {"echo":"[secret production/openai/api-key]"}
//
// Caught for certain (the first tier), wherever it stands in the text and
// whatever stands beside it:
//
//	raw               the bytes as they are
//	base64            standard and URL alphabet, padded or not, at any byte, so also inside a user:password
//	                  pair; broken into lines of 16 or more columns, with spaces around them or not
//	base32            RFC 4648 and its hex alphabet, upper or lower case, at any byte
//	hexadecimal       of any case
//	UTF-16            both ends
//	Latin-1           characters as its bytes, and bytes as its characters
//	percent           %XX of any of the bytes, %uXXXX; + for a space
//	quoted-printable  =XX and soft line breaks
//	HTML              names and numbers, any zeros before them, without semicolon where HTML does
//	backslash         \" \n \xXX \NNN \uXXXX \u{X} \UXXXXXXXX \x{X} and so on: JSON, JavaScript, Go, C, Python,
//	                  Rust, Perl, and what shells make of \ and $'...'
//	quotes            '\'' and '"'"' of shells, doubled quotes of SQL, CSV, YAML
//	nested            any three of these inside each other: up to three words (base64, base32, hexadecimal,
//	                  UTF-16), and in each up to three layers of the others
//
// In base64 and base32 up to four bits at either end share a character with what
// stands beside the value; they are masked, not compared.
//
// Caught by best effort (the second tier) are disguises, where the letters of a
// value, or what stands for them, carry [MinBits] bits without their case. Of a
// hundred secrets in the shapes that providers use, by TestDisguises:
//
//	100  reversed; in upper, lower or swapped case; rotated by 13; of full width
//	100  with hyphens, spaces, dots, commas and quotes, line breaks, zero-width
//	     spaces or terminal sequences between the letters; spaced and reversed
//	100  the bytes as hexadecimal pairs or numbers, or as decimal numbers, whatever
//	     stands between; base64 with spaces
//	  0  with tags between the letters; the bytes as octal numbers; base64 of
//	     the reversed value or reversed; xor
//
// Not caught: other transformations (compression, encryption, translation), a
// fourth layer, a form longer than 64 times its value, escapes in a word beside
// bytes that are no UTF-8, escapes behind so many backslashes that they only look
// like escapes, and a value spread over several answers. Redaction is the second
// line: the first is that a value only goes where its destination says.
//
// Choices. Values are compared whole and per principal: masking prefixes, or
// values the principal has not spent, would let a model find a secret by
// echoing guesses. Only the value is a pattern; the text is decoded, since what
// wraps what is the text's choice, and a pattern for each would be many times
// the memory (an automaton over the encodings of a value took 50 bytes for each
// of its bytes and had to be built anew for each new value). What filters the
// text is an index of a few grams of each value, probed at every fourth byte.
// Work is bounded: a text made to decode to more than two hundred times itself is
// withheld.
package redact

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
// What is caught, anywhere in the text and in any letter of it:
//
//	raw          the bytes as they are
//	base64       standard and URL alphabet, padded or not, with other bytes before and behind
//	hexadecimal  all lower or all upper case
//	percent      %XX for any of the bytes, either case; + for a space
//	backslash    JSON, JavaScript and Go strings: \" \/ \n \u00XX \xXX \U000000XX …
//	HTML         &amp; &lt; &gt; &quot; &apos; &#38; &#x26;
//
// An escape may cover any of the bytes of a raw, base64 or hexadecimal form
// (base64 inside JSON, say). Values that overlap are masked together, so that
// no piece of one is left over. In base64 up to four bits at either end share a
// character with what stands beside the value; they are masked, not compared.
//
// What is not caught: escapes within escapes, rarer ones (\u{73}, octal \163, a
// backslash before a letter that needs none, HTML numbers of more than seven
// digits or without their semicolon), compressed text, base32, UTF-16,
// quoted-printable, hexadecimal of mixed case, a value with line breaks or
// other characters put into it, reversed or otherwise transformed, or spread
// over several answers. Redaction is the second line: the first is that a
// value only goes where its destination says.
//
// Choices. Values are compared whole and per principal: masking prefixes, or
// values the principal has not spent, would let a model find a secret by
// echoing guesses. Encodings that depend on the value alone are patterns of
// one Aho-Corasick automaton; escapes, which every encoder chooses for itself,
// are undone in a view of the text and the automaton runs over the view, since
// patterns for every choice would be exponentially many. Time is linear in the
// text, whatever it holds. The automaton keeps 5 bytes a state plus a table of
// branches, about 50 bytes for each byte of a value. It is rebuilt as a whole
// when the set changed and an answer is to be scrubbed; at thousands of values a
// principal that would show as latency after each new one.
package redact

package redeem

import (
	"bytes"
	"mime"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
)

// charset returns the name of the charset that a body is in, "" for UTF-8 and
// for one that nobody names. It reports false for one that is not known here,
// such as UTF-7 or an EBCDIC, and where readers of the headers would differ: text
// in it could say anything. A byte order mark counts more than the headers, as
// with browsers.
func charset(contentTypes []string, body []byte) (name string, known bool) {
	switch {
	case bytes.HasPrefix(body, []byte("\xff\xfe\x00\x00")), bytes.HasPrefix(body, []byte("\x00\x00\xfe\xff")):
		return "", false // UTF-32
	case bytes.HasPrefix(body, []byte("\xff\xfe")):
		return "utf-16le", true
	case bytes.HasPrefix(body, []byte("\xfe\xff")):
		return "utf-16be", true
	}
	for i, contentType := range contentTypes {
		declared, known := declaredCharset(contentType)
		if !known || i > 0 && declared != name {
			return "", false
		}
		name = declared
	}
	return name, true
}

func declaredCharset(contentType string) (name string, known bool) {
	_, parameters, err := mime.ParseMediaType(contentType)
	if err != nil { // others may read what it means to say
		return "", !strings.Contains(strings.ToLower(contentType), "charset")
	}
	if parameters["charset"] == "" {
		return "", true
	}
	found, err := htmlindex.Get(parameters["charset"])
	if err != nil || found == encoding.Replacement {
		return "", false
	}
	if name, err = htmlindex.Name(found); err != nil || name == "utf-8" {
		return "", err == nil
	}
	return name, true
}

// UTF8 returns text in UTF-8 without a byte order mark, from the charset of a [Response]. What is not a
// character in it becomes U+FFFD.
func UTF8(text []byte, charset string) []byte {
	from, err := htmlindex.Get(charset)
	if err != nil {
		return nil
	}
	out, err := from.NewDecoder().Bytes(text)
	if err != nil {
		return nil
	}
	return bytes.TrimPrefix(out, []byte(mark))
}

// Respelled undoes [UTF8], but for what the charset has no character for, which
// becomes "?" or the like.
func Respelled(text []byte, charset string) []byte {
	to, err := htmlindex.Get(charset)
	if err != nil {
		return nil
	}
	out, err := encoding.ReplaceUnsupported(to.NewEncoder()).Bytes(text)
	if err != nil {
		return nil
	}
	return out
}

// Faithful reports whether [Respelled] gives back a body, but for its byte order
// mark, after [UTF8]: nothing in it was no character.
func Faithful(body []byte, charset string) bool {
	again := Respelled(UTF8(body, charset), charset)
	before, exact := bytes.CutSuffix(body, again)
	return exact && (len(before) == 0 || string(before) == "\xff\xfe" || string(before) == "\xfe\xff")
}

// mark is a byte order mark in UTF-8.
const mark = "\ufeff"

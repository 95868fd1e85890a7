package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/vault"
)

// timeForm is RFC 3339 in UTC with exactly six decimals.
const timeForm = "2006-01-02T15:04:05.000000Z"

// ErrEntry means an entry without event or time, with a year outside 1 to 9999
// or a negative number. It is a mistake of the caller; nothing was recorded.
var ErrEntry = errors.New("audit entry is incomplete")

// ErrLeaf means that stored bytes are not a leaf as [Encode] writes it. Verify
// the log.
var ErrLeaf = errors.New("not an audit leaf")

// Encode returns the leaf of e: the bytes that are stored and hashed.
//
// A leaf is one JSON object in canonical form (RFC 8785): UTF-8, no white
// space, members in this order, those that are empty or 0 left out, except that
// "time" and "v" are always there:
//
//	actor addr client code door event handle outcome path ref rule rule_hash target time v version
//
// "ref", "v" and "version" are decimal numbers, "v" being 1, the version of
// this format; "time" is RFC 3339 in UTC with six decimals. Every other member
// is text in the escaped form of [Quote], in which JSON has only " and \ left to
// escape. The error is [ErrEntry].
//
//	{"actor":"agent:local","door":"mcp","event":"handle.issued","handle":"h_2Xa…","outcome":"ok","path":"prod/key","time":"2026-01-02T03:04:05.000006Z","v":1}
func Encode(e Entry) ([]byte, error) {
	if e.Event == "" || e.Time.IsZero() || e.Version < 0 || e.Ref < 0 {
		return nil, ErrEntry
	}
	if year := e.Time.UTC().Year(); year < 1 || year > 9999 {
		return nil, ErrEntry
	}
	return appendLeaf(make([]byte, 0, 384), &e, appendQuoted), nil
}

// appendLeaf writes the leaf with text for the form of each text field.
func appendLeaf(b []byte, e *Entry, text func([]byte, string) []byte) []byte {
	b = append(b, '{')
	for _, f := range [...]struct{ name, text string }{
		{`"actor":"`, e.Actor},
		{`"addr":"`, e.Addr},
		{`"client":"`, e.Client},
		{`"code":"`, e.Code},
		{`"door":"`, e.Door},
		{`"event":"`, e.Event},
		{`"handle":"`, e.Handle},
		{`"outcome":"`, e.Outcome},
		{`"path":"`, string(e.Path)},
	} {
		b = appendMember(b, f.name, f.text, text)
	}
	if e.Ref != 0 {
		b = append(strconv.AppendInt(append(b, `"ref":`...), e.Ref, 10), ',')
	}
	b = appendMember(b, `"rule":"`, e.Rule, text)
	b = appendMember(b, `"rule_hash":"`, e.RuleHash, text)
	b = appendMember(b, `"target":"`, e.Target, text)
	b = append(b, `"time":"`...)
	b = e.Time.UTC().AppendFormat(b, timeForm)
	b = append(b, `","v":1`...)
	if e.Version != 0 {
		b = strconv.AppendInt(append(b, `,"version":`...), int64(e.Version), 10)
	}
	return append(b, '}')
}

func appendMember(b []byte, name, value string, text func([]byte, string) []byte) []byte {
	if value == "" {
		return b
	}
	return append(text(append(b, name...), value), '"', ',')
}

// appendQuoted appends s in the form of [Quote], as JSON text.
func appendQuoted(b []byte, s string) []byte {
	if plain(s) {
		return append(b, s...)
	}
	return appendJSON(b, Quote(s))
}

// appendJSON appends escaped text as JSON text.
func appendJSON(b []byte, s string) []byte {
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return b
}

// plain reports that s is short printable ASCII with nothing to escape.
func plain(s string) bool {
	if len(s) > MaxFieldBytes {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return true
}

// cut ends text that was longer than [MaxFieldBytes]; no escaped text holds it.
const cut = `\…`

// Quote returns s in the form that text has in the log: that of [strconv.Quote]
// without the outer quotes, at most [MaxFieldBytes] of s followed by \… when
// something was cut. It is valid UTF-8 of printable characters in one line, and
// different texts of permitted length have different forms.
func Quote(s string) string {
	if plain(s) {
		return s
	}
	end := ""
	if len(s) > MaxFieldBytes {
		n := MaxFieldBytes
		for n > MaxFieldBytes-utf8.UTFMax && !utf8.RuneStart(s[n]) {
			n--
		}
		s, end = s[:n], cut
	}
	quoted := strconv.Quote(s)
	return quoted[1:len(quoted)-1] + end
}

// Unquote undoes [Quote]; ok is false for text that was cut or is not in that
// form. The result may hold control characters: it is for comparing, not for
// showing.
func Unquote(s string) (text string, ok bool) {
	if plain(s) {
		return s, true
	}
	text, err := strconv.Unquote(`"` + s + `"`)
	return text, err == nil && Quote(text) == s
}

type leafJSON struct {
	Actor    string `json:"actor"`
	Addr     string `json:"addr"`
	Client   string `json:"client"`
	Code     string `json:"code"`
	Door     string `json:"door"`
	Event    string `json:"event"`
	Handle   string `json:"handle"`
	Outcome  string `json:"outcome"`
	Path     string `json:"path"`
	Ref      int64  `json:"ref"`
	Rule     string `json:"rule"`
	RuleHash string `json:"rule_hash"`
	Target   string `json:"target"`
	Time     string `json:"time"`
	V        int    `json:"v"`
	Version  int    `json:"version"`
}

// Decode reads a leaf; its text fields stay escaped. Only the canonical form
// is accepted: a leaf that decodes encodes to the same bytes. The error is
// [ErrLeaf].
func Decode(leaf []byte) (Entry, error) {
	var j leafJSON
	if err := json.Unmarshal(leaf, &j); err != nil {
		return Entry{}, fmt.Errorf("%w: not the JSON object it should be", ErrLeaf)
	}
	at, err := time.Parse(timeForm, j.Time)
	if err != nil || j.Event == "" || j.Ref < 0 || j.Version < 0 {
		return Entry{}, ErrLeaf
	}
	e := Entry{
		Time: at, Event: j.Event, Actor: j.Actor, Door: j.Door, Client: j.Client, Addr: j.Addr,
		Path: vault.Path(j.Path), Version: j.Version, Handle: j.Handle, Target: j.Target, Outcome: j.Outcome,
		Rule: j.Rule, RuleHash: j.RuleHash, Code: j.Code, Ref: j.Ref,
	}
	for _, s := range []string{j.Actor, j.Addr, j.Client, j.Code, j.Door, j.Event, j.Handle, j.Outcome, j.Path, j.Rule, j.RuleHash, j.Target} {
		if !quoted(s) {
			return Entry{}, fmt.Errorf("%w: a field is not escaped", ErrLeaf)
		}
	}
	if !bytes.Equal(appendLeaf(nil, &e, appendJSON), leaf) {
		return Entry{}, fmt.Errorf("%w: not in canonical form", ErrLeaf)
	}
	return e, nil
}

// quoted reports whether s is what [Quote] returns for some text. Escapes are
// whole, so that \… never stands at the end of text that was not cut.
func quoted(s string) bool {
	if _, ok := Unquote(s); ok {
		return true
	}
	s, wasCut := strings.CutSuffix(s, cut)
	text, err := strconv.Unquote(`"` + s + `"`)
	if err != nil || !wasCut || len(text) < MaxFieldBytes-utf8.UTFMax || len(text) > MaxFieldBytes {
		return false
	}
	return Quote(text) == s
}

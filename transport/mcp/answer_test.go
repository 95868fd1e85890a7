package mcp_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/transport/mcp"
)

// TestDirectAnswers: a call that goes straight to its tool gets the answer it
// would get through mcp-go. A member that means nothing makes it go that way.
func TestDirectAnswers(t *testing.T) {
	d := newDesk(mcp.Options{})
	w := d.serve(t.Context(), t, one)
	w.send(initialize("2025-11-25", "x"))
	w.read()
	for _, call := range []string{
		toolCall("1", "echo", `{"a":"<&> \u2028 é 😀 \n\t\"\\"}`), toolCall(`"id"`, "echo", `[]`), toolCall("-3", "refuse", `{}`), toolCall("1", "echo", `null`),
	} {
		w.send(call)
		direct := w.read()
		w.send(strings.Replace(call, `"arguments"`, `"nothing":0,"arguments"`, 1))
		through := w.read()
		var a, b any
		if err := json.Unmarshal([]byte(direct), &a); err != nil {
			t.Fatalf("%v in %s", err, direct)
		}
		if err := json.Unmarshal([]byte(through), &b); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s\n%s", direct, through)
		}
	}
	if got := d.clients(); strings.Join(got, " ") != strings.TrimSuffix(strings.Repeat("x/1 ", 8), " ") {
		t.Errorf("clients: %q", got)
	}
	if _, err := w.end(); err != nil {
		t.Error(err)
	}
}

// FuzzQuoted: what appendQuoted writes, every reader reads as the same text, on
// one line.
func FuzzQuoted(f *testing.F) {
	for _, s := range []string{"", "a", `"\/`, "\x00\x1f\x7f", "\n\r\t\b", "é😀\u2028\u2029", "\xff\xc0\xaf", "<script>&", strings.Repeat("x", 5000) + `"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := mcp.AppendQuoted([]byte("x"), s)[1:]
		var back string
		if err := json.Unmarshal(got, &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Errorf("%q became %s, read as %q (%v)", s, got, back, err)
		}
		if strings.ContainsAny(string(got), "\n\r\u2028\u2029") {
			t.Errorf("%q became more than one line", s)
		}
	})
}

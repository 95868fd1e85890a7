package audit_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/coatcheck-dev/coatcheck/policy/audit"
	"github.com/coatcheck-dev/coatcheck/vault"
)

func TestLeafFormat(t *testing.T) {
	full := audit.Entry{
		Time:  time.Date(2026, 1, 2, 4, 4, 5, 6789, time.FixedZone("", 3600)),
		Event: "handle.used", Actor: "agent:a", Door: "mcp", Client: "c", Addr: "192.0.2.1", Path: "prod/key", Version: 3,
		Handle: "h_0123456789", Target: "GET https://x.example/y", Outcome: audit.Denied, Rule: "r", RuleHash: "0123456789ab", Code: "no", Ref: 7,
	}
	for name, tc := range map[string]struct {
		entry audit.Entry
		leaf  string
	}{
		"least": {audit.Entry{Time: full.Time, Event: "a.b"}, `{"event":"a.b","time":"2026-01-02T03:04:05.000006Z","v":1}`},
		"full": {full, `{"actor":"agent:a","addr":"192.0.2.1","client":"c","code":"no","door":"mcp","event":"handle.used","handle":"h_0123456789",` +
			`"outcome":"denied","path":"prod/key","ref":7,"rule":"r","rule_hash":"0123456789ab","target":"GET https://x.example/y",` +
			`"time":"2026-01-02T03:04:05.000006Z","v":1,"version":3}`},
		"escaped": {
			audit.Entry{Time: full.Time, Event: "a.b", Client: "a\"b\\c\nd\x00\xff\u2028\u202eé日"},
			`{"client":"a\\\"b\\\\c\\nd\\x00\\xff\\u2028\\u202eé日","event":"a.b","time":"2026-01-02T03:04:05.000006Z","v":1}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			leaf, err := audit.Encode(tc.entry)
			if err != nil || string(leaf) != tc.leaf {
				t.Fatalf("got  %s %v\nwant %s", leaf, err, tc.leaf)
			}
			if _, err := audit.Decode(leaf); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOtherSpellingsOfALeafAreRefused(t *testing.T) {
	for name, leaf := range map[string]string{
		"nothing":       ``,
		"not JSON":      `{`,
		"white space":   `{"event":"a.b", "time":"2026-01-02T03:04:05.000006Z","v":1}`,
		"after it":      `{"event":"a.b","time":"2026-01-02T03:04:05.000006Z","v":1}{}`,
		"order":         `{"time":"2026-01-02T03:04:05.000006Z","event":"a.b","v":1}`,
		"twice":         `{"event":"a.b","event":"a.b","time":"2026-01-02T03:04:05.000006Z","v":1}`,
		"unknown":       `{"event":"a.b","time":"2026-01-02T03:04:05.000006Z","v":1,"value":"x"}`,
		"empty":         `{"actor":"","event":"a.b","time":"2026-01-02T03:04:05.000006Z","v":1}`,
		"version of it": `{"event":"a.b","time":"2026-01-02T03:04:05.000006Z","v":2}`,
		"no event":      `{"time":"2026-01-02T03:04:05.000006Z","v":1}`,
		"no time":       `{"event":"a.b","v":1}`,
		"other zone":    `{"event":"a.b","time":"2026-01-02T03:04:05.000006+01:00","v":1}`,
		"raw control":   "{\"client\":\"a\\u0007\",\"event\":\"a.b\",\"time\":\"2026-01-02T03:04:05.000006Z\",\"v\":1}",
		"negative":      `{"event":"a.b","ref":-1,"time":"2026-01-02T03:04:05.000006Z","v":1}`,
		"cut too early": `{"client":"a\\…","event":"a.b","time":"2026-01-02T03:04:05.000006Z","v":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := audit.Decode([]byte(leaf)); !errors.Is(err, audit.ErrLeaf) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestLongTextIsCut(t *testing.T) {
	for name, text := range map[string]string{
		"ASCII":       strings.Repeat("a", audit.MaxFieldBytes+1),
		"wide":        strings.Repeat("日", audit.MaxFieldBytes),
		"not UTF-8":   strings.Repeat("\x80", audit.MaxFieldBytes+5),
		"ends inside": strings.Repeat("a", audit.MaxFieldBytes-1) + "日",
	} {
		t.Run(name, func(t *testing.T) {
			quoted := audit.Quote(text)
			if !strings.HasSuffix(quoted, `\…`) {
				t.Errorf("no mark at the end: %q", quoted[len(quoted)-10:])
			}
			if _, ok := audit.Unquote(quoted); ok {
				t.Error("cut text passes for whole")
			}
			leaf, err := audit.Encode(audit.Entry{Time: noon, Event: "a.b", Target: text})
			if err != nil {
				t.Fatal(err)
			}
			if e, err := audit.Decode(leaf); err != nil || e.Target != quoted {
				t.Errorf("%v", err)
			}
		})
	}
}

// FuzzEntry: whatever stands in the fields, the leaf is one line of printable
// JSON and gives back exactly what went in.
func FuzzEntry(f *testing.F) {
	f.Add("agent:a", "claude\n{\"event\":\"x\"}", "prod/key", "GET https://x/\x00\xff", int64(0), 0)
	f.Add("\\", "\"", "\\…", "\u2028\u202e\ufeff\ufffd", int64(1), 2)
	f.Add("", "", "", strings.Repeat("é", 600), int64(1<<62), 1<<30)
	f.Fuzz(func(t *testing.T, actor, client, path, target string, ref int64, version int) {
		in := audit.Entry{Time: noon, Event: "a.b", Actor: actor, Client: client, Path: vault.Path(path), Target: target, Ref: ref, Version: version}
		leaf, err := audit.Encode(in)
		if err != nil {
			if ref >= 0 && version >= 0 {
				t.Fatal(err)
			}
			return
		}
		if !utf8.Valid(leaf) || !json.Valid(leaf) {
			t.Fatalf("not JSON: %q", leaf)
		}
		for _, r := range string(leaf) {
			if !unicode.IsPrint(r) {
				t.Fatalf("%U in %q", r, leaf)
			}
		}
		out, err := audit.Decode(leaf)
		if err != nil {
			t.Fatalf("%v: %s", err, leaf)
		}
		for _, field := range []struct{ in, out string }{{actor, out.Actor}, {client, out.Client}, {path, string(out.Path)}, {target, out.Target}} {
			if back, ok := audit.Unquote(field.out); field.out != audit.Quote(field.in) || ok != (len(field.in) <= audit.MaxFieldBytes) || ok && back != field.in {
				t.Errorf("%q came back as %q", field.in, field.out)
			}
		}
		if out.Ref != ref || out.Version != version || !out.Time.Equal(noon) {
			t.Errorf("numbers came back as %+v", out)
		}
	})
}

// FuzzDecode: what decodes is canonical, so encoding it again gives the bytes.
func FuzzDecode(f *testing.F) {
	for i := range 3 {
		leaf, err := audit.Encode(entry(i))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(leaf)
	}
	f.Add([]byte(`{"client":"a\\\"b\\\\c\\x00","event":"a.b","time":"2026-01-02T03:04:05.000006Z","v":1}`))
	f.Fuzz(func(t *testing.T, leaf []byte) {
		e, err := audit.Decode(leaf)
		if err != nil {
			return
		}
		path := string(e.Path)
		for _, field := range []*string{&e.Event, &e.Actor, &e.Door, &e.Client, &e.Addr, &path, &e.Handle, &e.Target, &e.Outcome, &e.Rule, &e.RuleHash, &e.Code} {
			text, ok := audit.Unquote(*field)
			if !ok {
				return // cut text is not given back
			}
			*field = text
		}
		e.Path = vault.Path(path)
		if again, err := audit.Encode(e); err != nil || string(again) != string(leaf) {
			t.Errorf("%q became %q (%v)", leaf, again, err)
		}
	})
}

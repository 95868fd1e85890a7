package broker_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
)

// showing stores a secret that goes to base in header X-NAME and whose answers
// are shown that far.
func (f *fixture) showing(t *testing.T, name, base, how string) (value string) {
	t.Helper()
	d, err := vault.ParseDestination(base, vault.Place{In: vault.InHeader, Name: "X-" + name, Template: vault.Hole})
	if err != nil {
		t.Fatal(err)
	}
	if d.HTTP.Answer, err = vault.ParseAnswer(how); err != nil {
		t.Fatal(err)
	}
	return f.put(t, vault.Path("a/"+name), vault.Change{Destinations: &[]vault.Destination{d}})
}

// TestShown: an API that gives the value back in a way that no scrubber knows
// gives nothing away where its answers are not shown, and neither does another
// secret's use of the same request.
func TestShown(t *testing.T) {
	base := answers(t, func(w http.ResponseWriter, r *http.Request) {
		odd := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(strings.ToUpper(s) + "!")) }
		key := r.Header.Get("X-Full") + r.Header.Get("X-Some") + r.Header.Get("X-None")
		w.Header().Set("X-Echo", odd(key))
		w.Header().Set("Location", "/"+odd(key))
		w.WriteHeader(http.StatusFound)
		_ = json.NewEncoder(w).Encode(map[string]any{"id": 7, "echo": odd(key), "raw": r.Header.Get("X-Some")})
	})
	f := newDesk(t, allowAll)
	f.showing(t, "Full", base, "full")
	some := f.showing(t, "Some", base, "fields:/id,/raw")
	f.showing(t, "Other", base, "fields:/id")
	f.showing(t, "Nothing", base, "fields:/none")
	f.showing(t, "None", base, "status")
	for _, c := range []struct {
		names []string
		shown vault.Show
		body  string
	}{
		{[]string{"Full"}, vault.ShowFull, "echo"},
		{[]string{"Some"}, vault.ShowFields, `{"id":7,"raw":"[secret a/Some]"}`},
		{[]string{"Full", "Some"}, vault.ShowFields, `{"id":7,"raw":"[secret a/Some]"}`},
		{[]string{"Other", "Some"}, vault.ShowFields, `{"id":7}`},
		{[]string{"Nothing"}, vault.ShowStatus, ""},
		{[]string{"None"}, vault.ShowStatus, ""},
		{[]string{"Full", "None", "Some"}, vault.ShowStatus, ""},
	} {
		t.Run(strings.Join(c.names, " "), func(t *testing.T) {
			call := redeem.Call{URL: base + "/"}
			for _, name := range c.names {
				call.Headers = append(call.Headers, redeem.Field{Name: "X-" + name, Value: f.issue(t, local, broker.IssueRequest{Path: vault.Path("a/" + name)})})
			}
			got, err := f.HTTP(t.Context(), local, call)
			if err != nil || got.Status != http.StatusFound || got.Shown != c.shown {
				t.Fatalf("%+v %v", got, err)
			}
			if strings.Contains(string(got.Body), some) || (c.shown == vault.ShowStatus) != (got.Withheld != "") {
				t.Fatalf("%s %q", got.Body, got.Withheld)
			}
			if c.shown == vault.ShowFull {
				if !strings.Contains(string(got.Body), c.body) || got.Redirect == "" || len(got.Headers) == 0 {
					t.Fatalf("%+v", got)
				}
				return
			}
			if string(got.Body) != c.body || got.Headers != nil || got.Redirect != "" {
				t.Fatalf("%+v", got)
			}
		})
	}
}

// Rules show less than the secret's destination, and never more.
func TestShownLessByTheRules(t *testing.T) {
	base := answers(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"a":1,"b":2,"c":3}`)) })
	for _, c := range []struct{ secret, rules, shown string }{
		{"full", "full", `{"a":1,"b":2,"c":3}`},
		{"full", "fields:/a", `{"a":1}`},
		{"full", "status", ""},
		{"fields:/a,/b", "fields:/b,/c", `{"b":2}`},
		{"fields:/a", "full", `{"a":1}`},
		{"status", "full", ""},
	} {
		f := newDesk(t, strings.Replace(allowAll, "[list, use, reveal, rotate]", `[list, use]
    to: [{host: 127.0.0.1, answer: "`+c.rules+`"}]`, 1))
		f.showing(t, "Key", base, c.secret)
		got, err := f.HTTP(t.Context(), local, redeem.Call{URL: base, Headers: []redeem.Field{{Name: "X-Key", Value: f.issue(t, local, broker.IssueRequest{Path: "a/Key"})}}})
		if err != nil || string(got.Body) != c.shown || (got.Shown == vault.ShowStatus) != (c.shown == "") {
			t.Errorf("%s and %s: %+v %v", c.secret, c.rules, got, err)
		}
	}
}

// A human who shows less of a secret's answers ends what older handles see.
func TestShownLessByAHuman(t *testing.T) {
	base := answers(t, func(http.ResponseWriter, *http.Request) {})
	f := newDesk(t, allowAll)
	f.showing(t, "Key", base, "full")
	old := f.issue(t, local, broker.IssueRequest{Path: "a/Key"})
	f.showing(t, "Key", base, "status")
	_, err := f.HTTP(t.Context(), local, redeem.Call{URL: base, Headers: []redeem.Field{{Name: "X-Key", Value: old}}})
	if codeOf(err) != string(broker.DestinationDenied) {
		t.Fatal(err)
	}
}

// TestCharsetIsNoWayOut: neither text in another charset nor text that only
// says so carries the value.
func TestCharsetIsNoWayOut(t *testing.T) {
	wide := func(s string) (out []byte) {
		for _, unit := range utf16.Encode([]rune(s)) {
			out = append(out, byte(unit), byte(unit>>8))
		}
		return out
	}
	plain := func(s string) []byte { return []byte(s) }
	for name, c := range map[string]struct {
		charset string
		body    func(string) []byte
		want    string // "": the status alone
	}{
		"true":                  {"utf-16le", wide, "[secret a/b]"},
		"with a mark":           {"utf-8", func(s string) []byte { return append([]byte("\xff\xfe"), wide(s)...) }, "[secret a/b]"},
		"lied":                  {"utf-16le", plain, ""},
		"both":                  {"utf-16le", func(s string) []byte { return append(wide(s+" "), s...) }, ""},
		"Japanese":              {"shift_jis", func(s string) []byte { return []byte("\x8c\xae " + s) }, "\u9375 [secret a/b]"},
		"a first byte mistaken": {"shift_jis", func(s string) []byte { return []byte("\x8c" + s) }, ""},
		"a first byte lost":     {"shift_jis", func(s string) []byte { return []byte("\x85" + s) }, ""},
		"something lost":        {"shift_jis", func(s string) []byte { return []byte("\x85t" + s[:3]) }, "\ufffdval"},
	} {
		t.Run(name, func(t *testing.T) {
			base := answers(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/plain; charset="+c.charset)
				_, _ = w.Write(c.body(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
			})
			f := newDesk(t, allowAll)
			value := f.put(t, "a/b", vault.Change{}, base)
			got := f.use(t, "a/b", base)
			if string(got.Body) != c.want || (got.Shown == vault.ShowStatus) != (c.want == "") || got.Masked != strings.Count(c.want, "[secret") {
				t.Fatalf("%+v: %q", got, got.Body)
			}
			if bytes.Contains(got.Body, []byte(value[1:])) || bytes.Contains(wide(string(got.Body)), []byte(value)) {
				t.Fatalf("%q", got.Body)
			}
		})
	}
}

// What is masked in fields that are not shown is not counted, in any charset.
func TestMaskedCountsWhatIsShown(t *testing.T) {
	for _, kind := range []string{"application/json", "application/json; charset=iso-8859-1"} {
		base := answers(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			key := r.Header.Get("X-Key")
			_ = json.NewEncoder(w).Encode(map[string]any{"id": key, "hidden": []string{key, key, key}})
		})
		f := newDesk(t, allowAll)
		f.showing(t, "Key", base, "fields:/id")
		got, err := f.HTTP(t.Context(), local, redeem.Call{URL: base, Headers: []redeem.Field{{Name: "X-Key", Value: f.issue(t, local, broker.IssueRequest{Path: "a/Key"})}}})
		if err != nil || string(got.Body) != `{"id":"[secret a/Key]"}` || got.Masked != 1 {
			t.Errorf("%s: %s, %d masked, %v", kind, got.Body, got.Masked, err)
		}
	}
}

// TestCompressedAnswersAreMasked: encodings are undone before anybody looks.
func TestCompressedAnswersAreMasked(t *testing.T) {
	base := answers(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close() //nolint:errcheck // into a connection of the test
		_, _ = z.Write([]byte(r.Header.Get("Authorization")))
	})
	f := newDesk(t, allowAll)
	f.put(t, "a/b", vault.Change{}, base)
	if got := f.use(t, "a/b", base); string(got.Body) != "Bearer [secret a/b]" || got.Masked != 1 {
		t.Fatalf("%q", got.Body)
	}
}

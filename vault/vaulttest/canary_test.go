package vaulttest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault/vaulttest"
)

func TestCanaryIsFoundInEveryForm(t *testing.T) {
	quoted := func(s string) string {
		b, err := json.Marshal(map[string]string{"k": s})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	forms := map[string]func(s string) string{
		"raw":            func(s string) string { return "x" + s + "y" },
		"hex":            func(s string) string { return hex.EncodeToString([]byte("x" + s)) },
		"upper-case hex": func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
		"query":          func(s string) string { return "https://x/?" + url.Values{"q": {s}}.Encode() },
		"path":           func(s string) string { return "https://x/" + url.PathEscape(s) },
		"JSON":           quoted,
		"HTML":           func(s string) string { return "<p>" + html.EscapeString(s) + "</p>" },
		"%v of bytes":    func(s string) string { return fmt.Sprint([]byte("x" + s + "y")) }, //nolint:staticcheck // the form is the point
		"%#v of bytes":   func(s string) string { return fmt.Sprintf("%#v", []byte("x"+s+"y")) },
		"%q":             func(s string) string { return fmt.Sprintf("%q", "x"+s) },
	}
	for before := range 6 {
		for after := range 3 {
			around := func(s string) []byte {
				return []byte(strings.Repeat("b", before) + s + strings.Repeat("a", after))
			}
			name := fmt.Sprintf("base64 with %d before and %d after", before, after)
			forms[name] = func(s string) string { return base64.StdEncoding.EncodeToString(around(s)) }
			forms[name+", URL"] = func(s string) string { return base64.RawURLEncoding.EncodeToString(around(s)) }
		}
	}
	random := vaulttest.NewCanary(t)
	binary := vaulttest.CanaryOf([]byte{0, 0xff, 0xfe, 1, 2, 3, '<', '&', 0x80, 9})
	for name, encode := range forms {
		t.Run(name, func(t *testing.T) {
			if found := random.Find([]byte(encode(random.Text()))); len(found) == 0 {
				t.Error("not found")
			}
			// Without its halves, so that the form itself is what is found.
			if found := vaulttest.CanaryOf([]byte(random.Text())).Find([]byte(encode(random.Text()))); len(found) == 0 {
				t.Error("not found by its form")
			}
			textOnly := name == "JSON" || name == "HTML" || name == "%q"
			if found := binary.Find([]byte(encode(binary.Text()))); len(found) == 0 && !textOnly {
				t.Error("binary not found")
			}
		})
	}
	if found := random.Find([]byte(quoted("something else"))); found != nil {
		t.Errorf("found where it is not: %v", found)
	}
	if vaulttest.NewCanary(t).Text() == random.Text() {
		t.Error("two canaries are the same")
	}
}

// recorder stands in for a test that is to fail.
type recorder struct {
	testing.TB
	errors []string
}

func (*recorder) Helper()             {}
func (r *recorder) Error(args ...any) { r.errors = append(r.errors, fmt.Sprint(args...)) }
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func TestScanFolder(t *testing.T) {
	c := vaulttest.NewCanary(t)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("clean", "nothing")
	r := &recorder{TB: t}
	if n := vaulttest.ScanFolder(r, dir, c); n != 1 || r.errors != nil {
		t.Fatalf("%d files, %v", n, r.errors)
	}
	write("below/x.db-wal", string(bytes.Repeat([]byte{0}, 5000))+base64.StdEncoding.EncodeToString([]byte("k="+c.Text())))
	if n := vaulttest.ScanFolder(r, dir, c); n != 2 || len(r.errors) != 1 || !strings.Contains(r.errors[0], "x.db-wal") || c.Find([]byte(r.errors[0])) != nil {
		t.Fatalf("%d files, %v", n, r.errors)
	}
	r.errors = nil
	if vaulttest.ScanFolder(r, filepath.Join(dir, "none"), c); len(r.errors) != 1 {
		t.Fatalf("a folder that is not there: %v", r.errors)
	}
}

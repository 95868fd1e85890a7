package vaulttest

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// Canary is a value that must not show up anywhere, with every form it might
// show up in.
type Canary struct {
	value []byte
	forms []form
}

type form struct {
	name string
	text []byte
}

// NewCanary returns a random value of printable ASCII, fit for a header: two
// random halves of 16 letters and digits around the characters that URLs, JSON
// and HTML escape. The halves are looked for by themselves too, so an escape
// that this package does not know is found as well.
func NewCanary(tb testing.TB) Canary {
	tb.Helper()
	head, tail := rand.Text()[:16], rand.Text()[:16]
	c := CanaryOf([]byte(head + `+/&<>"'%=\ ` + tail))
	c.forms = append(c.forms, form{"its first half", []byte(head)}, form{"its second half", []byte(tail)})
	return c
}

// CanaryOf makes a canary of a value, which should have at least 8 bytes.
func CanaryOf(value []byte) Canary {
	c := Canary{value: bytes.Clone(value)}
	s := string(value)
	c.add("raw", s)
	c.add("hex", hex.EncodeToString(value))
	c.add("upper-case hex", strings.ToUpper(hex.EncodeToString(value)))
	for shift := range 3 {
		c.addBase64(shift)
	}
	c.add("query-escaped", url.QueryEscape(s))
	c.add("path-escaped", url.PathEscape(s))
	c.add("query-escaped, lower-case", lowerEscapes(url.QueryEscape(s)))
	c.add("path-escaped, lower-case", lowerEscapes(url.PathEscape(s)))
	c.add("JSON-escaped", jsonText(s, true))
	c.add("JSON-escaped, HTML left", jsonText(s, false))
	c.add("JSON-escaped, slashes too", strings.ReplaceAll(jsonText(s, false), "/", `\/`))
	c.add("HTML-escaped", html.EscapeString(s))
	c.add("HTML-escaped, decimal", entities(s, "&#%d;"))
	c.add("HTML-escaped, hex", entities(s, "&#x%x;"))
	c.add("Go-quoted", strings.Trim(fmt.Sprintf("%+q", s), `"`))
	c.add("decimal bytes", byteList(value, "%d", " "))
	c.add("decimal bytes with commas", byteList(value, "%d", ","))
	c.add("decimal bytes with commas and spaces", byteList(value, "%d", ", "))
	c.add("Go hex bytes", byteList(value, "%#x", ", "))
	return c
}

func (c *Canary) add(name, text string) {
	for _, f := range c.forms {
		if string(f.text) == text {
			return
		}
	}
	c.forms = append(c.forms, form{name, []byte(text)})
}

// addBase64 adds what the value looks like inside a longer text that is
// encoded, when it starts at a byte that is shift modulo 3. The letters at both
// ends also depend on the neighbours and are left out.
func (c *Canary) addBase64(shift int) {
	padded := append(make([]byte, shift), c.value...)
	first := (shift*8 + 5) / 6
	last := len(padded) * 8 / 6
	for name, encoding := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
		c.add(fmt.Sprintf("%s at offset %d", name, shift), encoding.EncodeToString(padded)[first:last])
	}
}

func lowerEscapes(s string) string {
	out := []byte(s)
	for i := 0; i+2 < len(out); i++ {
		if out[i] == '%' {
			copy(out[i:i+3], bytes.ToLower(out[i:i+3]))
		}
	}
	return string(out)
}

func jsonText(s string, escapeHTML bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	if err := e.Encode(s); err != nil {
		return s
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(b.String()), `"`), `"`)
}

func entities(s, format string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune(`&<>"'`, r) {
			fmt.Fprintf(&b, format, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func byteList(value []byte, format, separator string) string {
	parts := make([]string, len(value))
	for i, b := range value {
		parts[i] = fmt.Sprintf(format, b)
	}
	return strings.Join(parts, separator)
}

// Value returns the canary as a secret.
func (c Canary) Value() secret.Value { return secret.New(c.value) }

// Text returns the canary itself.
func (c Canary) Text() string { return string(c.value) }

// Find returns the names of the forms in which the canary stands in data.
func (c Canary) Find(data []byte) []string {
	var found []string
	for _, f := range c.forms {
		if bytes.Contains(data, f.text) {
			found = append(found, f.name)
		}
	}
	return found
}

// Absent fails the test when the canary stands in data in any form. The
// message says where and in which form, not what.
func (c Canary) Absent(tb testing.TB, where string, data []byte) {
	tb.Helper()
	if found := c.Find(data); found != nil {
		tb.Errorf("%s shows a secret value: %s", where, strings.Join(found, ", "))
	}
}

// ScanFolder looks for the canaries in the content and the names of every file
// below a folder: databases, logs, temporary files. It returns the number of
// files, so that a test can tell that it looked at something.
func ScanFolder(tb testing.TB, folder string, canaries ...Canary) (files int) {
	tb.Helper()
	root, err := os.OpenRoot(folder)
	if err != nil {
		tb.Error(err)
		return 0
	}
	defer func() { _ = root.Close() }()
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		for _, c := range canaries {
			c.Absent(tb, "the name of a file in "+folder, []byte(entry.Name()))
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		data, err := fs.ReadFile(root.FS(), path)
		if err != nil {
			return err
		}
		files++
		for _, c := range canaries {
			c.Absent(tb, filepath.Join(folder, path), data)
		}
		return nil
	})
	if err != nil {
		tb.Error(err)
	}
	return files
}

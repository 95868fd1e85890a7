package vaulttest

import (
	"bytes"
	"crypto/rand"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// Canary is a value that must not show up anywhere, with every form it might
// show up in.
type Canary struct {
	value []byte
	names []string // of the forms
	forms [][]byte
	find  *finder
}

// NewCanary returns a random value of printable ASCII, fit for a header: two
// random halves of 16 letters and digits around the characters that URLs, JSON
// and HTML escape. The halves are looked for by themselves too, so an escape
// that this package does not know is found as well.
func NewCanary(tb testing.TB) Canary {
	tb.Helper()
	head, tail := rand.Text()[:16], rand.Text()[:16]
	c := CanaryOf([]byte(head + `+/&<>"'%=\ ` + tail))
	c.add("its first half", head)
	c.add("its second half", tail)
	c.find = newFinder(c.forms)
	return c
}

// CanaryOf makes a canary of a value, which should have at least 8 bytes.
func CanaryOf(value []byte) Canary {
	c := Canary{value: bytes.Clone(value)}
	for _, e := range slices.Concat(Encodings(), Disguises()) {
		if text, ok := e.Write(value); ok {
			c.add(e.Name, string(text))
		}
		for shift := range 5 {
			if text := core(e, value, shift); len(text) >= 8 {
				c.add(e.Name, text)
			}
		}
	}
	c.add("bytes as numbers, no commas", byteList(value, "%d", " "))
	c.add("bytes as numbers, no spaces", byteList(value, "%d", ","))
	c.find = newFinder(c.forms)
	return c
}

// core returns what a value looks like inside a longer text that is encoded,
// when so many bytes stand before it: the letters that its neighbours have no
// part in.
func core(e Encoding, value []byte, shift int) string {
	around := [2]string{"\x00", "\xff"} // no bit in common
	if e.Text {
		around = [2]string{"a", "~"}
	}
	one, ok := e.Write([]byte(strings.Repeat(around[0], shift) + string(value) + around[0]))
	two, _ := e.Write([]byte(strings.Repeat(around[1], shift) + string(value) + around[1]))
	if !ok || len(one) != len(two) {
		return ""
	}
	best, start := "", 0
	for i := range len(one) + 1 {
		if i < len(one) && one[i] == two[i] {
			continue
		}
		if i-start > len(best) {
			best = string(one[start:i])
		}
		start = i + 1
	}
	return best
}

func (c *Canary) add(name, text string) {
	for _, form := range c.forms {
		if string(form) == text {
			return
		}
	}
	c.names, c.forms = append(c.names, name), append(c.forms, []byte(text))
}

// Value returns the canary as a secret.
func (c Canary) Value() secret.Value { return secret.New(c.value) }

// Text returns the canary itself.
func (c Canary) Text() string { return string(c.value) }

// Find returns the names of the forms in which the canary stands in data.
func (c Canary) Find(data []byte) (names []string) {
	for _, i := range c.find.in(data) {
		names = append(names, c.names[i])
	}
	return names
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

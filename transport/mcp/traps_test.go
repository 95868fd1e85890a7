package mcp_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	trapRow   = regexp.MustCompile(`(?m)^//\t *(\d+)  ([^:\n]+): (.+)$`)
	namedTest = regexp.MustCompile(`^([a-z]+)\.(Test\w+)$`)
)

// TestTraps: the table in the package comment has a row for each trap, and every
// test that a row names exists.
func TestTraps(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	folders := map[string]string{"mcp": ".", "lines": "lines", "envelope": "envelope", "httpd": "../httpd", "redact": "../../policy/redact", "cli": "../cli"}
	var rows []int
	for _, row := range trapRow.FindAllStringSubmatch(string(doc), -1) {
		n, err := strconv.Atoi(row[1])
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, n)
		for name := range strings.FieldsSeq(row[3]) {
			parts := namedTest.FindStringSubmatch(name)
			if parts == nil || folders[parts[1]] == "" {
				t.Errorf("trap %d: %s is not PACKAGE.TestNAME", n, name)
				continue
			}
			if !declared(t, folders[parts[1]], parts[2]) {
				t.Errorf("trap %d: there is no %s", n, name)
			}
		}
	}
	var want []int
	for n := 1; n <= 13; n++ {
		want = append(want, n)
	}
	if !slices.Equal(rows, want) {
		t.Errorf("rows %v, want %v", rows, want)
	}
}

// declared reports whether a test of that name stands in folder.
func declared(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(t *testing.T) {") {
			return true
		}
	}
	return false
}

package conformance_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var namedTest = regexp.MustCompile(`\b([a-z]+)\.(Test\w+)`)

// triage holds the table of what revision 2026-07-28 wants of a server to the
// checks that have just succeeded and to the tests that there are.
func triage(t *testing.T, held map[string]bool) {
	t.Helper()
	text, err := os.ReadFile("testdata/2026-07-28.md")
	if err != nil {
		t.Fatal(err)
	}
	folders := map[string]string{
		"mcp": "..", "envelope": "../envelope", "lines": "../lines", "httpd": "../../httpd", "cli": "../../cli", "tools": "../../../tools",
	}
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 3 || cells[0] == "where" || strings.HasPrefix(cells[0], "---") {
			continue
		}
		rows++
		what, by := cells[1], cells[2]
		for _, name := range namedTest.FindAllStringSubmatch(by, -1) {
			if !declared(t, folders[name[1]], name[2]) {
				t.Errorf("%s: there is no %s", what, name[0])
			}
		}
		if reason, excused := strings.CutPrefix(by, "not: "); excused {
			if len(reason) < 20 {
				t.Errorf("%s: why not?", what)
			}
			continue
		}
		for word := range strings.FieldsSeq(by) {
			if id, ofSuite := strings.CutPrefix(word, "suite:"); ofSuite && !held[id] {
				t.Errorf("%s: the suite did not see %s succeed", what, id)
			} else if !ofSuite && !namedTest.MatchString(word) {
				t.Errorf("%s: what is %s?", what, word)
			}
		}
	}
	if rows < 45 {
		t.Errorf("the table has %d rows", rows)
	}
}

// declared reports whether a test of that name stands in folder.
func declared(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil || folder == "" || len(files) == 0 {
		t.Fatalf("no tests in %q: %v", folder, err)
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

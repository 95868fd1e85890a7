package main_test

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/coatcheck-dev/coatcheck"

// layers is the import table: a package may import packages of the module that
// stand on an earlier line, and no others. A package that is not here fails the
// test: give it its place, here and in .golangci.yml.
var layers = [][]string{
	{"vault/secret"},
	{"vault"},
	{"vault/client"},
	{"vault/private"},
	{"vault/sqldb"},
	{"vault/sqldb/faults"},
	{"vault/embedded"},
	{"vault/vaulttest"},
	{"policy/mint", "policy/rowmac", "policy/condition"},
	{"policy/clock"},
	{"policy"},
	{"policy/identity", "policy/handle", "policy/approval", "policy/overlay", "policy/audit", "policy/redact", "policy/catalogue"},
	{"policy/redeem"},
	{"policy/broker"},
	{"tools"},
	{"transport/mcp/envelope", "transport/mcp/lines", "transport/httperror"},
	{"transport/mcp"},
	{"transport/socket"},
	{"transport/mcp/bridge"},
	{"transport/dotenv"},
	{"transport/rest"},
	{"transport/webhook"},
	{"transport/httpd"},
	{"transport/connect/jsonc"},
	{"transport/connect"},
	{"transport/cli"},
	{".", "examples/go"},
}

// testOnly are folders that hold tests and nothing else, but for what has a place
// in the import table.
var testOnly = []string{"transport/cli/faults", "transport/mcp/bench", "transport/mcp/clients", "transport/rest/clients", "examples", "transport/mcp/conformance"}

// reserved are imports that only some packages may have: what opens a vault, and
// libraries that are kept behind one package of ours.
var reserved = map[string][]string{
	module + "/vault/sqldb": {
		"vault/embedded", "vault/vaulttest", "policy/identity", "policy/handle", "policy/approval", "policy/overlay", "policy/audit", "policy/redeem", "policy/broker", "policy/clock", "transport/cli",
	},
	module + "/vault/embedded":     {"vault/vaulttest", "transport/cli"},
	module + "/vault/client":       {"transport/cli", "examples/go"},
	module + "/vault/vaulttest":    {},
	module + "/transport/cli":      {"."},
	"modernc.org/":                 {"vault/sqldb", "vault/sqldb/faults"},
	"cel.dev/":                     {"policy/condition"},
	"github.com/tink-crypto/":      {"vault/embedded"},
	"github.com/zalando/":          {"vault/embedded"},
	"golang.org/x/crypto/":         {"vault/embedded"},
	"github.com/mark3labs/mcp-go":  {"transport/mcp", "transport/cli"},
	"github.com/spf13/":            {"transport/cli"},
	"github.com/lmittmann/tint":    {"transport/cli"},
	"github.com/invopop/":          {"tools"},
	"github.com/standard-webhooks": {"transport/webhook"},
	"github.com/anishathalye/":     {},
	"github.com/rogpeppe/":         {},
	"go.uber.org/goleak":           {},
	"pgregory.net/rapid":           {},
	"database/sql":                 {"vault/sqldb", "vault/embedded", "policy/identity", "policy/handle", "policy/audit", "policy/broker"},
	"unsafe":                       {"vault/private", "vault/sqldb/faults"},
	"C":                            {},

	module + "/vault/sqldb/faults":   {}, // tests break disks
	"github.com/go-json-experiment/": {"transport/rest"},
}

// furniture is what may stand at the top of the repository beside dotfiles.
var furniture = []string{
	"CHANGELOG.md", "LICENSE", "Makefile", "README.md", "SECURITY.md",
	"examples", "go.mod", "go.sum", "main.go", "policy", "tools", "transport", "vault",
}

// TestImports holds the import table over every file that is not a test, for
// every system at once: files are read, not built.
func TestImports(t *testing.T) {
	rank := map[string]int{}
	for i, line := range layers {
		for _, pkg := range line {
			rank[pkg] = i
		}
	}
	for _, file := range goFiles(t) {
		pkg := path.Dir(file)
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		if _, known := rank[pkg]; !known {
			t.Errorf("%s: package %s has no place in the import table", file, pkg)
			continue
		}
		for _, imported := range imports(t, file) {
			if local, ours := strings.CutPrefix(imported, module+"/"); ours {
				if above, known := rank[local]; !known || above >= rank[pkg] {
					t.Errorf("%s: imports %s, which does not stand before %s in the import table", file, local, pkg)
				}
			} else if pkg == "vault/secret" && strings.Contains(imported, ".") {
				t.Errorf("%s: imports %s; vault/secret imports only the standard library", file, imported)
			}
			for prefix, who := range reserved {
				if strings.HasPrefix(imported, prefix) && (imported == prefix || strings.HasSuffix(prefix, "/") || imported[len(prefix)] == '/') && !slices.Contains(who, pkg) {
					t.Errorf("%s: imports %s, which is for %v", file, imported, who)
				}
			}
		}
	}
}

// TestTopLevel keeps code where the table says it is.
func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		built := name == "coatcheck" || name == "coatcheck.exe" || strings.HasSuffix(name, ".test") || strings.HasSuffix(name, ".prof")
		if !strings.HasPrefix(name, ".") && !built && !strings.HasSuffix(name, "_test.go") && !slices.Contains(furniture, name) {
			t.Errorf("%s does not belong at the top of the repository", name)
		}
	}
	for _, name := range furniture {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("missing at the top of the repository: %s", name)
		}
	}
}

// TestFileSizes keeps main.go a start and nothing else, and every file readable.
func TestFileSizes(t *testing.T) {
	for _, file := range goFiles(t) {
		most := 600
		if file == "main.go" {
			most = 30
		}
		if lines := bytes.Count(read(t, file), []byte("\n")); lines > most {
			t.Errorf("%s has %d lines, at most %d", file, lines, most)
		}
	}
}

// TestTestOnly keeps programs that only tests start out of the product.
func TestTestOnly(t *testing.T) {
	for _, file := range goFiles(t) {
		for _, dir := range testOnly {
			placed := slices.ContainsFunc(layers, func(line []string) bool { return slices.Contains(line, path.Dir(file)) })
			if strings.HasPrefix(file, dir+"/") && !strings.HasSuffix(file, "_test.go") && !placed {
				t.Errorf("%s: %s holds tests only", file, dir)
			}
		}
	}
}

// goFiles returns every Go file that go build or go test would consider, with
// slashes, relative to the repository.
func goFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	for _, file := range tree(t) {
		if strings.HasSuffix(file, ".go") && !strings.Contains("/"+file, "/testdata/") {
			files = append(files, file)
		}
	}
	if len(files) < 50 {
		t.Fatalf("found %d Go files: the walk is broken", len(files))
	}
	return files
}

// tree returns every file of the repository, but for what is installed or
// written by tools.
func tree(t *testing.T) []string {
	t.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains([]string{".git", ".cache", "node_modules"}, entry.Name()) {
			return fs.SkipDir
		}
		if entry.Type().IsRegular() && name != "coatcheck" && name != "coatcheck.exe" {
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func imports(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, imported)
	}
	return all
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

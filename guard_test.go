package main_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The words are put together here so that this file does not find itself.
var (
	unfinished = regexp.MustCompile(`\b(` + "TO" + "DO|FIX" + "ME|XX" + "X|HA" + "CK" + `)\b`)
	registries = regexp.MustCompile(`(?i)\b(` + strings.Join([]string{
		`(proxy|sum|index)\.golang\.` + `org`, `goproxy\.` + `\w+`, `registry\.npm\w*\.` + `\w+`, `(registry\.)?yarnpkg\.` + `com`,
		`(deb|security|ftp|snapshot)\.debian\.` + `org`, `pypi\.` + `org`, `crates\.` + `io`,
	}, "|") + `)\b`)
)

// TestNothingUnfinished finds notes to oneself: what is not done is an issue.
func TestNothingUnfinished(t *testing.T) {
	for _, file := range tree(t) {
		switch path.Base(file) {
		case "package-lock.json", "go.sum": // random text
			continue
		}
		for i, line := range bytes.Split(read(t, file), []byte("\n")) {
			if word := unfinished.Find(line); word != nil {
				t.Errorf("%s:%d: %s", file, i+1, word)
			}
		}
	}
}

// TestNoRegistryHosts keeps the hosts of package registries out of every file:
// where packages come from is the business of the machine that builds.
func TestNoRegistryHosts(t *testing.T) {
	for _, file := range tree(t) {
		for i, line := range bytes.Split(read(t, file), []byte("\n")) {
			if host := registries.Find(line); host != nil {
				t.Errorf("%s:%d: %s", file, i+1, host)
			}
		}
	}
}

// TestNothingSkipped finds tests that could pass by not running: a test that
// needs something fails without it and says how to get it.
func TestNothingSkipped(t *testing.T) {
	for _, file := range goFiles(t) {
		for call := range calls(parse(t, file)) {
			if slices.Contains([]string{"Skip", "Skipf", "SkipNow", "Short"}, call.name) && slices.Contains([]string{"t", "b", "f", "tb", "testing"}, call.on) {
				t.Errorf("%s: %s.%s", file, call.on, call.name)
			}
		}
	}
}

// TestFuzzSeeds: a fuzz target has seeds that stand in its own body, since a
// list read from a folder may silently be empty.
func TestFuzzSeeds(t *testing.T) {
	targets := 0
	for _, file := range goFiles(t) {
		if !strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, decl := range parse(t, file).Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Fuzz") || len(fn.Type.Params.List) != 1 {
				continue
			}
			targets++
			seeded := false
			for call := range calls(fn) {
				seeded = seeded || call.name == "Add"
				if slices.Contains([]string{"filepath", "fs", "os"}, call.on) && slices.Contains([]string{"Glob", "ReadDir", "WalkDir"}, call.name) {
					t.Errorf("%s: %s takes its seeds from a folder, which may be empty", file, fn.Name.Name)
				}
			}
			if !seeded {
				t.Errorf("%s: %s has no seeds", file, fn.Name.Name)
			}
		}
	}
	if targets == 0 {
		t.Error("no fuzz target found: the search is broken")
	}
}

type call struct{ on, name string }

// calls yields every call of the form on.name(…) below a node.
func calls(root ast.Node) func(yield func(call) bool) {
	return func(yield func(call) bool) {
		more := true
		ast.Inspect(root, func(n ast.Node) bool {
			if expr, ok := n.(*ast.CallExpr); ok && more {
				if selector, ok := expr.Fun.(*ast.SelectorExpr); ok {
					if on, ok := selector.X.(*ast.Ident); ok {
						more = yield(call{on.Name, selector.Sel.Name})
					}
				}
			}
			return more
		})
	}
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

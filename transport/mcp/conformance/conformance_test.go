// Package conformance_test runs the official conformance suite of the protocol
// against our stack: a program that is built from it for this alone (build tag
// conformance) and has the tools, resources and prompts that the suite looks for.
//
// The suite comes from npm by a lock file; make clients installs it. Without it
// the test fails: a check that does not run is no check.
package conformance_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// suite is the official conformance suite, as make clients installs it.
const suite = "testdata/js/node_modules/@modelcontextprotocol/conformance/dist/index.js"

// notServed are the suite's scenarios for extensions of the protocol that
// coatcheck does not have. Any other scenario must pass.
var notServed = map[string]string{
	"tasks-":           "Calls here end within seconds; what takes longer, an approval, is asked for again by its id.",
	"sep-2640-skills-": "There are no skills to hand out: the tools say how they are used.",
}

// notChecked are the checks that the suite skips by itself.
var notChecked = map[string]string{
	"sep-2575-server-sends-prompts-list-changed-on-subscription": "The list never changes, and the server says so.",
	"sep-2575-server-sends-tools-list-changed-on-subscription":   "The list never changes, and the server says so.",
}

var (
	offered = regexp.MustCompile(`(?m)^  - (\S+) \[([^\]]+)\]$`)
	results = regexp.MustCompile(`^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$`)
)

// TestConformance runs every scenario that the official suite has for a server,
// in every revision of the protocol that it has it for. One that is new fails
// here until it passes or is named above.
//
// In server-sse-polling there is nothing to resume: the suite takes note of it
// and goes on.
func TestConformance(t *testing.T) {
	list, err := exec.CommandContext(t.Context(), node(t), suite, "list", "--server").Output()
	if err != nil {
		t.Fatalf("%v: run make clients", err)
	}
	scenarios := map[string][]string{} // by revision
	unused := map[string]bool{}
	for prefix := range notServed {
		unused[prefix] = true
	}
	for _, row := range offered.FindAllStringSubmatch(string(list), -1) {
		if row[2] != "extension" {
			for revision := range strings.SplitSeq(row[2], ",") {
				scenarios[revision] = append(scenarios[revision], row[1])
			}
			continue
		}
		known := false
		for prefix := range notServed {
			if strings.HasPrefix(row[1], prefix) {
				known, unused[prefix] = true, false
			}
		}
		if !known {
			t.Errorf("there is a new extension: %s", row[1])
		}
	}
	for prefix, still := range unused {
		if still {
			t.Errorf("the suite has nothing that begins with %s any more", prefix)
		}
	}
	if len(scenarios) < 4 || len(scenarios["2026-07-28"]) < 40 || len(scenarios["2025-11-25"]) < 30 {
		t.Fatalf("the list is not as expected:\n%s", list)
	}
	bin := filepath.Join(t.TempDir(), "fixture")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "conformance", "-buildvcs=false", "-o", bin, "./testdata/fixture")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for revision, names := range scenarios {
		t.Run(revision, func(t *testing.T) {
			t.Parallel()
			held := conform(t, bin, revision, names)
			if revision == "2026-07-28" {
				triage(t, held)
			}
		})
	}
}

// conform runs the scenarios of one revision and returns the ids of the checks
// that succeeded.
func conform(t *testing.T, bin, revision string, names []string) (held map[string]bool) {
	t.Helper()
	held = map[string]bool{}
	out := t.TempDir()
	run := exec.CommandContext(t.Context(), node(t), suite, "server", "--url", serve(t, bin), "--suite", "all", "--spec-version", revision, "--output-dir", out)
	said, runErr := run.CombinedOutput()
	folders, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	ran := map[string]bool{}
	for _, folder := range folders {
		name := results.FindStringSubmatch(folder.Name())
		if name == nil {
			t.Errorf("an odd result: %s", folder.Name())
			continue
		}
		ran[name[1]] = true
		text, err := os.ReadFile(filepath.Join(out, folder.Name(), "checks.json"))
		if err != nil {
			t.Error(err)
			continue
		}
		var checks []struct {
			ID, Status, ErrorMessage string
			Details                  json.RawMessage
		}
		if err := json.Unmarshal(text, &checks); err != nil || len(checks) == 0 {
			t.Errorf("%s: %d checks, %v", name[1], len(checks), err)
		}
		for _, c := range checks {
			switch {
			case c.Status == "SUCCESS":
				held[c.ID] = true
			case c.Status == "INFO":
			case c.Status == "SKIPPED" && notChecked[c.ID] != "":
			default:
				t.Errorf("%s: %s: %s %s\n%.2000s", name[1], c.ID, c.Status, c.ErrorMessage, c.Details)
			}
		}
	}
	for _, name := range names {
		if !ran[name] {
			t.Errorf("%s did not run", name)
		}
	}
	if len(ran) != len(names) {
		t.Errorf("%d scenarios ran, %d are offered", len(ran), len(names))
	}
	if runErr != nil {
		t.Errorf("the suite ends with %v:\n%s", runErr, said[max(0, len(said)-4000):])
	}
	return held
}

// serve starts the fixture, which ends with the test, and returns its address.
func serve(t *testing.T, bin string) string {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), bin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the fixture ends with %v\n%s", err, stderr.Bytes())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// node is a Node that is new enough: the one that is installed with the clients,
// else the system's.
func node(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("../clients/testdata/js/node_modules/node-*/bin/node")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(append(found, "node"), func(path string) bool {
		return exec.CommandContext(t.Context(), path, "--version").Run() == nil
	})
	if i < 0 {
		t.Fatal("there is no Node: run make clients")
	}
	return append(found, "node")[i]
}

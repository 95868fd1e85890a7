package clients_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const frameworkFolder = "../../../examples/frameworks"

// roads are the ways to a desk: started by the client, or served.
var roads = []struct{ name, path string }{{"stdio", ""}, {"sse", "/sse"}, {"http", "/mcp"}}

// TestFrameworks runs the example of each framework over each road: the whole
// loop of model and tools, with a model that is played here. The model asks for
// a handle and sends it to the API; the key arrives there and is in nothing that
// the model was sent, nor in what the program prints.
func TestFrameworks(t *testing.T) {
	t.Parallel()
	for _, program := range programs(t) {
		for _, road := range roads {
			t.Run(strings.TrimSuffix(program, ".mjs")+"/"+road.name, func(t *testing.T) {
				t.Parallel()
				desk := newDesk(t)
				model := newModel(t, desk.echo.URL+"/v1/ask")
				args := []string{program, "Ask " + model.url + " with the secret " + secretPath + "."}
				asked := "the API answered"
				if program == "official.mjs" { // no model
					args, asked = []string{program, secretPath, model.url}, "200"
				}
				env := []string{"OPENAI_BASE_URL=" + model.URL, "OPENAI_API_KEY=none", "OPENAI_AGENTS_DISABLE_TRACING=1"}
				if road.path != "" {
					at := desk.serve(t)
					desk.key, args = at.key, append(args, at.url+road.path)
				}
				stdout, stderr := desk.example(t, env, args...)
				if !strings.Contains(string(stdout), asked) {
					t.Errorf("printed %q\n%s", stdout, stderr)
				}
				if got := desk.received(); !slices.Equal(got, []string{"Bearer " + desk.value}) {
					t.Errorf("the upstream received %d requests, want one with the key", len(got))
				}
				seen := model.transcript()
				if program != "official.mjs" && !handleAnywhere.Match(seen) {
					t.Error("the model saw no handle")
				}
				desk.checkUnseen(t, stdout, stderr, seen)
			})
		}
	}
}

// programs are the examples, every one of them.
func programs(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(frameworkFolder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) == ".mjs" {
			names = append(names, entry.Name())
		}
	}
	if want := []string{"ai-sdk.mjs", "langchain.mjs", "official.mjs", "openai-agents.mjs"}; !slices.Equal(names, want) {
		t.Fatalf("the examples are %v, want %v", names, want)
	}
	if _, err := os.Stat(filepath.Join(frameworkFolder, "node_modules", ".package-lock.json")); err != nil {
		t.Fatalf("the frameworks are not installed: run make test, or make clients once (%v)", err)
	}
	return names
}

// example runs a program as its user would: coatcheck is on the PATH and its
// home is the default one.
func (d *desk) example(t *testing.T, env []string, args ...string) (stdout, stderr []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, node(t), args...)
	cmd.Dir = frameworkFolder
	cmd.Env = append(d.env(), append(env, "PATH="+filepath.Dir(d.binary)+string(os.PathListSeparator)+os.Getenv("PATH"))...)
	var errText bytes.Buffer
	cmd.Stderr = &errText
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node %s: %v\n%s\n%s", args[0], err, out, errText.Bytes())
	}
	return out, errText.Bytes()
}

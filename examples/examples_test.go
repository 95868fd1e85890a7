// Package examples_test runs every example: a file that is not listed here, or
// does not work, fails.
package examples_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy"
	"github.com/coatcheck-dev/coatcheck/transport/cli"
)

// clients tells where each client's file keeps its servers.
var clients = map[string]string{
	"claude-desktop.json": "mcpServers", "claude-code.json": "mcpServers", "cursor.json": "mcpServers", "vscode.json": "servers",
}

func TestClients(t *testing.T) {
	for _, file := range files(t, "clients") {
		t.Run(file, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("clients", file))
			if err != nil {
				t.Fatal(err)
			}
			var document map[string]map[string]struct {
				Type, Command string
				Args          []string
				Env           map[string]string
			}
			if err := json.Unmarshal(text, &document); err != nil {
				t.Fatal(err)
			}
			server, ok := document[clients[file]]["coatcheck"]
			if !ok || filepath.Base(server.Command) != "coatcheck" || !filepath.IsAbs(server.Command) || len(server.Env) != 0 {
				t.Fatalf("not a server that this client would start: %+v", document)
			}
			home := newHome(t)
			for i, arg := range server.Args {
				if arg == "--agent" {
					run(t, home, "agent", "add", server.Args[i+1], "--stdio")
				}
			}
			serves(t, home, server.Args...)
		})
	}
}

func TestPolicies(t *testing.T) {
	for _, file := range files(t, "policies") {
		t.Run(file, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("policies", file))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := policy.Parse(file, text); err != nil {
				t.Fatal(err)
			}
			home := newHome(t)
			if err := os.WriteFile(filepath.Join(home, "policy.yaml"), text, 0o600); err != nil {
				t.Fatal(err)
			}
			if first, _, _ := strings.Cut(string(text), "\n"); first != "# yaml-language-server: $schema="+policy.SchemaURL {
				t.Errorf("does not name its schema: %s", first)
			}
			run(t, home, "policy", "check")
			run(t, home, "policy", "test")
			serves(t, home, "mcp")
		})
	}
}

// files returns the names in a folder of examples.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d examples in %s: %v", len(entries), dir, err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func newHome(t *testing.T) string {
	t.Helper()
	home := filepath.Join(t.TempDir(), "home")
	run(t, home, "init")
	return home
}

func env(home string) func(string) string {
	return func(name string) string { return map[string]string{"COATCHECK_HOME": home}[name] }
}

func run(t *testing.T, home string, args ...string) {
	t.Helper()
	var out strings.Builder
	if code := cli.Main(t.Context(), cli.Streams{In: strings.NewReader(""), Out: &out, Err: &out}, args, env(home)); code != 0 {
		t.Fatalf("coatcheck %s ended with %d\n%s", strings.Join(args, " "), code, out.String())
	}
}

// serves starts the server as a client would, asks for its tools and ends it.
func serves(t *testing.T, home string, args ...string) {
	t.Helper()
	servesWith(t, env(home), args...)
}

func servesWith(t *testing.T, getenv func(string) string, args ...string) {
	t.Helper()
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	done := make(chan int, 1)
	var stderr strings.Builder
	go func() {
		defer outWrite.Close() //nolint:errcheck // a pipe in memory
		done <- cli.Main(context.WithoutCancel(t.Context()), cli.Streams{In: inRead, Out: outWrite, Err: &stderr}, args, getenv)
	}()
	answers := bufio.NewScanner(outRead)
	answers.Buffer(nil, 1<<20)
	answer := ""
	for i, params := range []string{
		`"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"example","version":"1"}}`,
		`"tools/list"`,
	} {
		if _, err := fmt.Fprintf(inWrite, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":%s}\n", i, params); err != nil {
			t.Fatal(err)
		}
		if !answers.Scan() {
			t.Fatalf("no answer\n%s", stderr.String())
		}
		answer = answers.Text()
	}
	if !strings.Contains(answer, `"get_secret"`) {
		t.Errorf("tools/list answered %s", answer)
	}
	_ = inWrite.Close()
	if code := <-done; code != 0 {
		t.Errorf("coatcheck %s ended with %d\n%s", strings.Join(args, " "), code, stderr.String())
	}
}

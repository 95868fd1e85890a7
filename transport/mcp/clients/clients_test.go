// Package clients_test drives the built binary with clients that others wrote:
// the official JavaScript client, the inspector's command line and the agent
// frameworks of the examples, over stdio, SSE and Streamable HTTP. What they promise: they take what the server says, the upstream
// receives the key, and the key is nowhere in what they saw.
//
// The clients come from npm by a lock file; make clients installs them. Without
// them the tests fail: a check that does not run is no check.
package clients_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const secretPath = "production/echo/api-key"

var (
	handleForm = regexp.MustCompile(`^ash_[0-9A-Za-z]{28}$`)
	wantTools  = []string{"check_approval", "delete_secret", "explain_access", "get_secret", "http_request", "list_secrets", "request_token", "rotate_secret", "set_secret"}
)

// result is the part of a tool's result that the tests read.
type result struct {
	IsError    bool           `json:"isError"`
	Structured map[string]any `json:"structuredContent"`
}

// TestOfficialClient is the whole way in the official client, over each road.
func TestOfficialClient(t *testing.T) {
	t.Parallel()
	for _, road := range roads {
		t.Run(road.name, func(t *testing.T) {
			t.Parallel()
			desk := newDesk(t)
			server := []string{desk.binary, "mcp"}
			if road.path != "" {
				at := desk.serve(t)
				desk.key, server = at.key, []string{at.url + road.path}
			}
			officialClient(t, desk, server...)
		})
	}
	t.Run("bridge", func(t *testing.T) {
		t.Parallel()
		desk := newDesk(t)
		key, server := desk.bridge(t)
		desk.key = key
		officialClient(t, desk, server...)
	})
}

// officialClient has the client start a program, or connect to a URL.
func officialClient(t *testing.T, desk *desk, server ...string) {
	t.Helper()
	stdout, stderr := desk.node(t, append([]string{"story.mjs", desk.echo.URL + "/v1/ask"}, server...)...)

	var story struct {
		Server    struct{ Name, Version string }
		Tools     []string
		Secret    result
		Answer    result
		Elsewhere result
		Listed    result
		Wire      []json.RawMessage
	}
	decode(t, stdout, &story)

	if story.Server.Name != "coatcheck" || story.Server.Version == "" {
		t.Errorf("server calls itself %+v", story.Server)
	}
	if slices.Sort(story.Tools); !slices.Equal(story.Tools, wantTools) {
		t.Errorf("tools: %v, want %v", story.Tools, wantTools)
	}
	desk.checkHandle(t, story.Secret)
	desk.checkAnswer(t, story.Answer)
	if !story.Elsewhere.IsError {
		t.Errorf("a request to another host went through: %v", story.Elsewhere.Structured)
	}
	if story.Listed.IsError || !strings.Contains(fmt.Sprint(story.Listed.Structured), secretPath) {
		t.Errorf("list_secrets: %v", story.Listed.Structured)
	}
	if len(story.Wire) < 12 {
		t.Errorf("only %d messages were recorded", len(story.Wire))
	}
	if got := desk.received(); !slices.Equal(got, []string{"Bearer " + desk.value}) {
		t.Errorf("the upstream received %d requests, want one with the key", len(got))
	}
	desk.checkUnseen(t, stdout, stderr)
}

// TestInspector is the same with the inspector, one process per call: a handle
// given by one process or session is good in the next. --strict fails on schemas
// that some client would not take.
func TestInspector(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ era, road, path string }{
		{"legacy", "stdio", ""},
		{"modern", "stdio", ""},
		{"legacy", "bridge", ""},
		{"modern", "bridge", ""},
		{"legacy", "sse", "/sse"},
		{"legacy", "streamable-http", "/mcp"},
		{"modern", "streamable-http", "/mcp"},
	} {
		t.Run(c.era+"/"+c.road, func(t *testing.T) {
			t.Parallel()
			desk := newDesk(t)
			server := map[string]any{"command": desk.binary, "args": []string{"mcp"}, "env": map[string]string{"COATCHECK_HOME": desk.home}}
			if c.road == "bridge" {
				key, command := desk.bridge(t)
				server = map[string]any{"command": command[0], "args": command[1:], "env": map[string]string{"COATCHECK_AGENT_KEY": key}}
			}
			if c.path != "" {
				at := desk.serve(t)
				server = map[string]any{"type": c.road, "url": at.url + c.path, "headers": map[string]string{"Authorization": "Bearer " + at.key}}
			}
			desk.configure(t, server)
			inspect := func(args ...string) []byte {
				t.Helper()
				all := []string{
					"node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js", "--cli",
					"--config", desk.config, "--server", "coatcheck", "--protocol-era", c.era,
				}
				stdout, stderr := desk.node(t, append(all, args...)...)
				desk.checkUnseen(t, stdout, stderr)
				return stdout
			}
			call := func(tool string, args map[string]any) (r result) {
				t.Helper()
				text, err := json.Marshal(args)
				if err != nil {
					t.Fatal(err)
				}
				decode(t, inspect("--method", "tools/call", "--tool-name", tool, "--tool-args-json", string(text)), &r)
				return r
			}

			var listed struct {
				Tools []struct{ Name string }
			}
			decode(t, inspect("--method", "tools/list", "--strict"), &listed)
			var names []string
			for _, tool := range listed.Tools {
				names = append(names, tool.Name)
			}
			if slices.Sort(names); !slices.Equal(names, wantTools) {
				t.Errorf("tools: %v, want %v", names, wantTools)
			}

			secret := call("get_secret", map[string]any{"path": secretPath})
			desk.checkHandle(t, secret)
			desk.checkAnswer(t, call("http_request", map[string]any{
				"url":     desk.echo.URL + "/v1/ask",
				"headers": map[string]any{"Authorization": fmt.Sprint("Bearer ", secret.Structured["handle"])},
			}))
			if got := desk.received(); !slices.Equal(got, []string{"Bearer " + desk.value}) {
				t.Errorf("the upstream received %d requests, want one with the key", len(got))
			}
		})
	}
}

// desk is a home with one secret, and the API that the secret is for.
type desk struct {
	binary, dir, home, config, value string
	key                              string // of an agent, for programs that call a server
	echo                             *httptest.Server

	mu   sync.Mutex
	keys []string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	dir := t.TempDir()
	d := &desk{binary: binary(t), dir: dir, home: filepath.Join(dir, ".config", "coatcheck"), config: filepath.Join(dir, "mcp.json")}
	// With characters that every escaping writes differently.
	d.value = "sk-test-" + rand.Text() + `/+="&<>`

	// The API answers with all it was sent, the key too.
	d.echo = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		d.keys = append(d.keys, r.Header.Get("Authorization"))
		d.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Echo", r.Header.Get("Authorization"))
		_ = json.NewEncoder(w).Encode(map[string]any{"path": r.URL.Path, "headers": r.Header})
	}))
	t.Cleanup(d.echo.Close)

	d.run(t, "", "init")
	d.run(t, d.value+"\n", "secret", "set", secretPath, "--to", d.echo.URL+"/v1/*")

	return d
}

// configure writes the inspector's configuration.
func (d *desk) configure(t *testing.T, server map[string]any) {
	t.Helper()
	config, err := json.Marshal(map[string]any{"mcpServers": map[string]any{"coatcheck": server}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.config, config, 0o600); err != nil {
		t.Fatal(err)
	}
}

// env keeps the clients away from the real home and its keychain.
func (d *desk) env() []string {
	return append(os.Environ(), "HOME="+d.dir, "XDG_CONFIG_HOME="+filepath.Join(d.dir, ".config"), "COATCHECK_HOME="+d.home, "MCP_INSPECTOR_SECRET_STORE=memory", "NO_COLOR=1", "COATCHECK_AGENT_KEY="+d.key)
}

func (d *desk) run(t *testing.T, stdin string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), d.binary, args...)
	cmd.Env = d.env()
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("coatcheck %v: %v\n%s", args, err, out)
	}
}

// node runs a script of the client folder.
func (d *desk) node(t *testing.T, args ...string) (stdout, stderr []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, node(t), args...)
	cmd.Dir = clientFolder
	cmd.Env = d.env()
	var errText bytes.Buffer
	cmd.Stderr = &errText
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node %s: %v\n%s\n%s", args[0], err, out, errText.Bytes())
	}
	return out, errText.Bytes()
}

func (d *desk) received() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.keys)
}

func (d *desk) checkHandle(t *testing.T, r result) {
	t.Helper()
	handle, _ := r.Structured["handle"].(string)
	if r.IsError || !handleForm.MatchString(handle) {
		t.Fatalf("get_secret gives no handle: %v", r.Structured)
	}
}

func (d *desk) checkAnswer(t *testing.T, r result) {
	t.Helper()
	body, _ := r.Structured["body"].(string)
	if r.IsError || r.Structured["status"] != float64(http.StatusOK) || !strings.Contains(body, "/v1/ask") {
		t.Fatalf("http_request: %v", r.Structured)
	}
	if masked, _ := r.Structured["masked"].(float64); masked < 2 {
		t.Errorf("masked %v times, want the header and the body at least", r.Structured["masked"])
	}
}

// checkUnseen looks for the value in every form that the product masks.
func (d *desk) checkUnseen(t *testing.T, texts ...[]byte) {
	t.Helper()
	asJSON, err := json.Marshal(d.value)
	if err != nil {
		t.Fatal(err)
	}
	core := d.value[len("sk-test-"):][:20] // the random part survives every escaping
	for _, form := range []string{
		core, d.value, strings.Trim(string(asJSON), `"`), hex.EncodeToString([]byte(d.value)), url.QueryEscape(d.value),
		base64.StdEncoding.EncodeToString([]byte(d.value)), base64.RawURLEncoding.EncodeToString([]byte(d.value)),
	} {
		for _, text := range texts {
			if bytes.Contains(text, []byte(form)) {
				t.Errorf("the value was seen as %q", form)
			}
		}
	}
}

const clientFolder = "testdata/js"

// node returns the Node that runs the clients: the locked one where npm has it
// for this system, else the one on the PATH.
var nodeOnce = sync.OnceValues(func() (string, error) {
	if _, err := os.Stat(filepath.Join(clientFolder, "node_modules", ".package-lock.json")); err != nil {
		return "", fmt.Errorf("the JavaScript clients are not installed: run make test, or make clients once (%w)", err)
	}
	platform := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	locked, err := filepath.Abs(filepath.Join(clientFolder, "node_modules", "node-"+runtime.GOOS+"-"+platform, "bin", "node"))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(locked); err == nil {
		return locked, nil
	}
	return exec.LookPath("node")
})

func node(t *testing.T) string {
	t.Helper()
	path, err := nodeOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var built struct {
	once sync.Once
	path string
	err  error
}

// binary builds coatcheck as it is released, once.
func binary(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		path := filepath.Join(scratch, "coatcheck")
		cmd := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "github.com/coatcheck-dev/coatcheck")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("build: %w\n%s", err, out)
		}
		built.path, built.err = path, err
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// scratch is a folder that lives as long as the tests of the package.
var scratch string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "coatcheck-clients-")
	if err != nil {
		panic(err)
	}
	scratch = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, text)
	}
}

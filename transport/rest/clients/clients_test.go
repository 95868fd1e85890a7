// Package clients_test drives a served desk with the packages that others
// published for the Agent Secret Store: @agentsecretstore/sdk, /mcp and /cli at
// 1.0.0, as they are. What is promised: what they store, read, list, import,
// request, approve, delete and audit works, and what they are refused comes out
// as the errors of their own that it is.
//
// The packages come from npm by a lock file; make clients installs them. Without
// them the tests fail: a check that does not run is no check. The desk has the
// policy of examples/policies/programs.yaml.
package clients_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	policyFile   = "../../../examples/policies/programs.yaml"
	clientFolder = "testdata/js"
)

// desk is a served home with the agent billing and the admin ada.
type desk struct {
	home, dir, url string
	billing, ada   string // keys
	log            *heard
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	dir := t.TempDir()
	d := &desk{dir: dir, home: filepath.Join(dir, "home"), log: &heard{}}
	d.coatcheck(t, "", "init")
	policy, err := os.ReadFile(policyFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.home, "policy.yaml"), policy, 0o600); err != nil {
		t.Fatal(err)
	}
	d.billing = d.coatcheck(t, "", "agent", "add", "billing")
	d.ada = d.coatcheck(t, "", "admin", "add", "ada")
	d.serve(t)
	return d
}

// coatcheck runs a command of the owner and returns its standard output.
func (d *desk) coatcheck(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary(t), args...)
	cmd.Env = d.env()
	cmd.Stdin = strings.NewReader(stdin)
	var out, errText bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errText
	if err := cmd.Run(); err != nil {
		t.Fatalf("coatcheck %v: %v\n%s", args, err, errText.Bytes())
	}
	return strings.TrimSpace(out.String())
}

// env keeps programs away from the real home and its configuration.
func (d *desk) env(more ...string) []string {
	return append(os.Environ(), append([]string{
		"HOME=" + d.dir, "XDG_CONFIG_HOME=" + filepath.Join(d.dir, ".config"), "COATCHECK_HOME=" + d.home, "NO_COLOR=1",
	}, more...)...)
}

var servedAt = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// serve starts the desk's server and ends it with the test.
func (d *desk) serve(t *testing.T) {
	t.Helper()
	server := exec.CommandContext(context.WithoutCancel(t.Context()), binary(t), "serve", "--listen", "127.0.0.1:0")
	server.Env = d.env()
	stderr, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		if err := server.Wait(); err != nil {
			t.Errorf("serve ended with %v\n%s", err, d.log)
		}
	})
	said := bufio.NewReader(io.TeeReader(stderr, d.log))
	for d.url == "" {
		line, err := said.ReadString('\n')
		if err != nil {
			t.Fatalf("serve does not say where: %v\n%s", err, d.log)
		}
		d.url = servedAt.FindString(line)
	}
	go io.Copy(io.Discard, said) //nolint:errcheck // the pipe stays drained
}

// value is a value that was never seen before. The server's log must not tell it.
func (d *desk) value(t *testing.T) string {
	t.Helper()
	value := "v-" + rand.Text()
	t.Cleanup(func() {
		if strings.Contains(d.log.String(), value) {
			t.Error("the server's log tells a value")
		}
	})
	return value
}

// store has the owner store a secret, with more flags for the command.
func (d *desk) store(t *testing.T, path string, flags ...string) (value string) {
	t.Helper()
	value = d.value(t)
	d.coatcheck(t, value+"\n", append([]string{"secret", "set", path}, flags...)...)
	return value
}

// send sends a request by hand and returns the answer's status and members.
func (d *desk) send(t *testing.T, key, method, path, body string) (status int, members map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 0 {
		decode(t, text, &members)
	}
	return answer.StatusCode, members
}

// approve has an admin agree to a request, by hand.
func (d *desk) approve(t *testing.T, id string) {
	t.Helper()
	if status, answer := d.send(t, d.ada, http.MethodPost, "/v1/approvals/"+id+"/approve", ""); status != http.StatusOK || answer["status"] != "approved" {
		t.Fatalf("approve %s: %d %v", id, status, answer)
	}
}

// heard keeps what was written to it.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// nodeOnce finds the Node that runs the clients: the locked one of the MCP clients
// where npm has it for this system, else the one on the PATH.
var nodeOnce = sync.OnceValues(func() (string, error) {
	if _, err := os.Stat(filepath.Join(clientFolder, "node_modules", ".package-lock.json")); err != nil {
		return "", fmt.Errorf("the JavaScript clients are not installed: run make test, or make clients once (%w)", err)
	}
	platform := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	locked, err := filepath.Abs(filepath.Join("../../mcp/clients/testdata/js/node_modules", "node-"+runtime.GOOS+"-"+platform, "bin", "node"))
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

// binaryOnce builds coatcheck as it is released.
var binaryOnce = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "coatcheck")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "github.com/coatcheck-dev/coatcheck")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

func binary(t *testing.T) string {
	t.Helper()
	path, err := binaryOnce()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// scratch is a folder that lives as long as the tests of the package.
var scratch string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "coatcheck-rest-clients-")
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

// patience is how long one client may run, also on a busy machine.
const patience = 5 * time.Minute

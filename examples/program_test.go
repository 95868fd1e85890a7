package examples_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/cli"
)

// TestGoProgram runs the program of go/ against a served desk that has the
// policy for programs: straight for a standard secret, after an admin agreed for
// a sensitive one.
func TestGoProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./go").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	home := newHome(t)
	if err := os.WriteFile(filepath.Join(home, "policy.yaml"), []byte(example(t, "policies/programs.yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	key, admin := said(t, home, "", "agent", "add", "billing"), said(t, home, "", "admin", "add", "ada")
	said(t, home, "postgres://app:1@db/app", "secret", "set", "production/database/url")
	said(t, home, "postgres://app:2@db/app", "secret", "set", "production/database/replica", "--tier", "sensitive")
	url := listens(t, home)

	for _, c := range []struct{ path, want, status string }{
		{"production/database/url", "postgres://app:1@db/app", "status=approved"},
		{"production/database/replica", "postgres://app:2@db/app", "status=pending"},
	} {
		cmd := exec.CommandContext(t.Context(), program, url, c.path)
		cmd.Env = append(os.Environ(), "ASS_AGENT_KEY="+key)
		var out bytes.Buffer
		cmd.Stdout = &out
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			log.WriteString(lines.Text() + "\n")
			if _, id, waits := strings.Cut(lines.Text(), "request="); waits {
				agree(t, url, admin, id)
			}
		}
		if err := cmd.Wait(); err != nil || out.String() != c.want {
			t.Errorf("%s: %v, printed %q\n%s", c.path, err, out.String(), log.String())
		}
		for _, part := range []string{"path=production/database/url version=1 tier=standard", "path=production/database/replica version=1 tier=sensitive", c.status} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("%s: no %q in\n%s", c.path, part, log.String())
			}
		}
		if strings.Contains(log.String(), c.want) {
			t.Errorf("%s: the value is in the log", c.path)
		}
	}
}

// said runs a command and returns its standard output.
func said(t *testing.T, home, stdin string, args ...string) string {
	t.Helper()
	var out, errText strings.Builder
	if code := cli.Main(t.Context(), cli.Streams{In: strings.NewReader(stdin), Out: &out, Err: &errText}, args, env(home)); code != 0 {
		t.Fatalf("coatcheck %s ended with %d\n%s", strings.Join(args, " "), code, errText.String())
	}
	return strings.TrimSpace(out.String())
}

var address = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// listens serves a home until the test ends, and returns where.
func listens(t *testing.T, home string) (url string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	stderr, log := io.Pipe()
	done := make(chan int, 1)
	go func() {
		defer log.Close() //nolint:errcheck // a pipe in memory
		done <- cli.Main(ctx, cli.Streams{In: strings.NewReader(""), Out: io.Discard, Err: log}, []string{"serve", "--listen", "127.0.0.1:0"}, env(home))
	}()
	lines := bufio.NewReader(stderr)
	for url == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("serve does not say where: %v", err)
		}
		url = address.FindString(line)
	}
	go io.Copy(io.Discard, lines) //nolint:errcheck // it ends with the server
	t.Cleanup(func() {
		stop()
		if code := <-done; code != 0 {
			t.Errorf("coatcheck serve ended with %d", code)
		}
	})
	return url
}

// agree approves a request with an admin's key.
func agree(t *testing.T, url, key, id string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/approvals/"+id+"/approve", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // only its status counts
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("approve %s: %s", id, answer.Status)
	}
}

package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/cli"
)

// TestInterrupt: a command that waits for its value ends when it is told to,
// says so, does not pretend to have succeeded, and stores nothing.
func TestInterrupt(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	getenv := func(name string) string { return map[string]string{"COATCHECK_HOME": home}[name] }
	never, write := io.Pipe()
	defer write.Close() //nolint:errcheck // a pipe
	ctx, stop := context.WithCancel(t.Context())
	reading := readFunc(func(p []byte) (int, error) {
		stop()
		return never.Read(p)
	})
	var stdout, stderr bytes.Buffer
	code := cli.Main(ctx, cli.Streams{In: reading, Out: &stdout, Err: &stderr}, []string{"secret", "set", "a/b"}, getenv)
	if code != 1 || stdout.Len() > 0 || !strings.HasSuffix(stderr.String(), "coatcheck: interrupted\n") {
		t.Errorf("code %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
	}
	stderr.Reset()
	code = cli.Main(t.Context(), cli.Streams{In: never, Out: &stdout, Err: &stderr}, []string{"secret", "get", "a/b"}, getenv)
	if code != 4 || stdout.Len() > 0 {
		t.Errorf("code %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// TestSignal: coatcheck mcp ends cleanly on SIGTERM while its client is there.
func TestSignal(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("coatcheck")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "mcp")
	cmd.Env = append(os.Environ(), "COATCHECK_HOME="+filepath.Join(t.TempDir(), "home"), "COATCHECK_KEY_SOURCE=", "COATCHECK_AGENT_KEY=", "ASS_AGENT_KEY=")
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
	if _, err := io.WriteString(in, `{"jsonrpc":"2.0","id":1,"method":"ping"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(out)
	if answer, err := answers.ReadString('\n'); err != nil || !strings.Contains(answer, `"id":1`) {
		t.Fatalf("%q, %v\n%s", answer, err, stderr.String())
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(answers)
	if err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, stderr.String())
	}
}

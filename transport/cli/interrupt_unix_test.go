//go:build unix

package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/cli"
)

// TestInterruptAtAPipe: --file may name a pipe, and a command that waits for its
// other end can be ended.
func TestInterruptAtAPipe(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return map[string]string{"COATCHECK_HOME": filepath.Join(dir, "home")}[name] }
	var stdout, stderr bytes.Buffer
	if code := cli.Main(t.Context(), cli.Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr}, []string{"init"}, getenv); code != 0 {
		t.Fatal(stderr.String())
	}
	ctx, stop := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- cli.Main(ctx, cli.Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr},
			[]string{"secret", "set", "a/b", "--file", pipe}, getenv)
	}()
	var other *os.File // the pipe's other end, which says nothing
	for other == nil {
		select {
		case got := <-code:
			t.Fatalf("code %d before it could read: %s", got, stderr.String())
		case <-time.After(time.Millisecond): // it is opened once somebody reads
			other, _ = os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		}
	}
	stop()
	select {
	case got := <-code:
		if got != 1 || stdout.Len() > 0 || !strings.HasSuffix(stderr.String(), "coatcheck: interrupted\n") {
			t.Errorf("code %d, stdout %q, stderr %q", got, stdout.String(), stderr.String())
		}
	case <-time.After(time.Minute):
		t.Error("it waits for ever")
	}
	_ = other.Close() // which ends the read that was left behind
}

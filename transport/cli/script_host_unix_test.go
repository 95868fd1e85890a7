//go:build unix

package cli_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// Scripts have a thousand commands, and most of the time of one is the start of its
// process. So those of a script run in one process, one after the other, each with
// streams, an environment and a folder of its own. Servers, and what is killed or has
// another storage or other rights, are processes of their own.
var everyProcess = flag.Bool("script.processes", false, "scripts start a process for every command")

// scriptHost is the process that runs the commands of a script.
type scriptHost struct {
	relay  string // the program that is started in place of a command
	socket string // "": it was not started yet
}

// hosting in the environment makes coatcheck such a process. It accepts at
// descriptor 3.
const hosting = "COATCHECK_SCRIPT_HOST"

func newScriptRelay(t *testing.T) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "coatcheck")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "./testdata/relay")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// inHost returns what to start for a command line of a script: the relay to its
// process, or the command itself, when it is another one's, when it is to be
// killed, and when its environment has what a process reads once.
func inHost(ts *testscript.TestScript, program string) string {
	if *everyProcess || program != "coatcheck" || ts.Getenv("KILL") != "" || ts.Getenv("SSL_CERT_FILE") != "" {
		return program
	}
	h := ts.Value(scriptHost{}).(*scriptHost)
	if h.socket == "" {
		h.start(ts)
	}
	return h.relay
}

func (h *scriptHost) start(ts *testscript.TestScript) {
	dir, err := os.MkdirTemp("", "host") // a socket has a short path
	ts.Check(err)
	ts.Defer(func() { _ = os.RemoveAll(dir) })
	h.socket = filepath.Join(dir, "socket")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.socket, Net: "unix"})
	ts.Check(err)
	listener.SetUnlinkOnClose(false)
	file, err := listener.File()
	ts.Check(errors.Join(err, listener.Close()))
	program, err := exec.LookPath("coatcheck")
	ts.Check(err)
	cmd := exec.CommandContext(context.Background(), program)
	cmd.Env = append(os.Environ(), hosting+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.ExtraFiles, cmd.Stderr = []*os.File{file}, os.Stderr
	ts.Check(errors.Join(cmd.Start(), file.Close()))
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	ts.Setenv("SCRIPT_HOST", h.socket)
}

// host runs commands, one after the other, until it is killed.
func host(run func(context.Context) int) error {
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		if err := hostOne(conn.(*net.UnixConn), run); err != nil {
			return err
		}
	}
}

// hostOne runs one command, as testdata/relay describes it.
func hostOne(conn *net.UnixConn, run func(context.Context) int) error {
	defer conn.Close() //nolint:errcheck // the answer was written
	rights := make([]byte, syscall.CmsgSpace(3*4))
	_, n, _, _, err := conn.ReadMsgUnix(make([]byte, 1), rights)
	if err != nil {
		return err
	}
	messages, err := syscall.ParseSocketControlMessage(rights[:n])
	if err != nil {
		return err
	}
	streams, err := syscall.ParseUnixRights(&messages[0])
	if err != nil {
		return err
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	parts := strings.Split(string(bytes.TrimSuffix(text, []byte{0})), "\x00")
	args, err := strconv.Atoi(parts[1])
	if err != nil {
		return err
	}
	os.Clearenv()
	for _, variable := range parts[2+args:] {
		name, value, _ := strings.Cut(variable, "=")
		err = errors.Join(err, os.Setenv(name, value))
	}
	if err = errors.Join(err, os.Chdir(parts[0])); err != nil {
		return err
	}
	os.Args = append(os.Args[:1:1], parts[2:2+args]...)
	for i, stream := range []**os.File{&os.Stdin, &os.Stdout, &os.Stderr} {
		syscall.CloseOnExec(streams[i])
		*stream = os.NewFile(uintptr(streams[i]), (*stream).Name())
	}
	code := run(context.Background())
	for _, stream := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		_ = stream.Close() // the command may have done so
	}
	_, err = conn.Write([]byte{byte(code)})
	return err
}

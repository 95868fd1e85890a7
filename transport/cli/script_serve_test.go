package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptPatience bounds every wait; nothing here takes it unless it is broken.
const scriptPatience = 30 * time.Second

// server is a coatcheck serve that runs beside the script.
type scriptServer struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	said bytes.Buffer  // its standard error; complete when it has ended
}

// scriptServers is where a script keeps its servers, by the name of their variable.
type scriptServers struct{}

func serversOf(ts *testscript.TestScript) map[string]*scriptServer {
	return ts.Value(scriptServers{}).(map[string]*scriptServer)
}

var serverAddress = regexp.MustCompile(`https?://(127\.0\.0\.1:\d+)|unix://(\S+),`)

// serving NAME [ARG…] starts coatcheck serve and waits until it says where it
// listens, which is then in the variable NAME as HOST:PORT, or as the path of its
// socket when it listens on nothing else.
func scriptServe(ts *testscript.TestScript, args []string) {
	program, err := exec.LookPath("coatcheck")
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), scriptPatience)
	s := &scriptServer{cmd: exec.CommandContext(ctx, program, append([]string{"serve"}, args[1:]...)...), done: make(chan struct{})}
	s.cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "TMPDIR="+ts.Getenv("TMPDIR"),
		"COATCHECK_HOME="+ts.Getenv("COATCHECK_HOME"), "COATCHECK_KEY_SOURCE="+ts.Getenv("COATCHECK_KEY_SOURCE"))
	stderr, err := s.cmd.StderrPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	where := make(chan string, 1)
	go s.follow(io.TeeReader(stderr, &s.said), where)
	ts.Defer(func() {
		cancel() // kills it, if it still runs
		<-s.done
	})
	found := <-where
	if found == "" {
		<-s.done
		ts.Fatalf("it ended without saying where it listens:\n%s", s.said.String())
	}
	ts.Setenv(args[0], found)
	serversOf(ts)[args[0]] = s
}

// follow reads what the server says until it ends, and sends the first address
// it names, or "" when it names none.
func (s *scriptServer) follow(stderr io.Reader, where chan<- string) {
	defer close(s.done)
	defer close(where)
	lines := bufio.NewReader(stderr)
	for told := false; ; {
		line, err := lines.ReadString('\n')
		if m := serverAddress.FindStringSubmatch(line); m != nil && !told {
			told = true
			where <- m[1] + m[2]
		}
		if err != nil {
			_ = s.cmd.Wait()
			return
		}
	}
}

// terminate NAME N sends SIGTERM; the server ends with exit code N, and what it
// wrote to standard error is in the file NAME.log.
func scriptStop(ts *testscript.TestScript, args []string) {
	s := serversOf(ts)[args[0]]
	ts.Check(s.cmd.Process.Signal(syscall.SIGTERM))
	<-s.done
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".log"), s.said.Bytes(), 0o600))
	if got := strconv.Itoa(s.cmd.ProcessState.ExitCode()); got != args[1] {
		ts.Fatalf("ended with %s, want %s:\n%s", got, args[1], s.said.String())
	}
	if path := ts.Getenv(args[0]); strings.HasPrefix(path, "/") {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			ts.Fatalf("the socket is still there: %v", err)
		}
		return
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", ts.Getenv(args[0]))
	if err != nil {
		ts.Fatalf("the port is not free: %v", err)
	}
	ts.Check(listener.Close())
}

// status WANT METHOD URL [KEY [BODY]] makes a request, with an agent's key, and
// checks the status; the body is then in the file answer.
func scriptStatus(ts *testscript.TestScript, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), scriptPatience)
	defer cancel()
	body := ""
	if len(args) > 4 {
		body = args[4]
	}
	r, err := http.NewRequestWithContext(ctx, args[1], args[2], strings.NewReader(body))
	ts.Check(err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if len(args) > 3 && args[3] != "" {
		r.Header.Set("Authorization", "Bearer "+args[3])
	}
	answer, err := http.DefaultClient.Do(r)
	ts.Check(err)
	text, err := io.ReadAll(answer.Body)
	ts.Check(err)
	ts.Check(answer.Body.Close())
	ts.Check(os.WriteFile(ts.MkAbs("answer"), text, 0o600))
	if got := strconv.Itoa(answer.StatusCode); got != args[0] {
		ts.Fatalf("status %s, want %s: %s", got, args[0], text)
	}
}

//go:build linux || darwin

package cli_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Users of no account, who are told apart by their numbers alone.
const (
	deskUID  = 34_001
	agentUID = 34_002
	thirdUID = 34_003
)

// neighbours are a desk and its clients as users of one machine: as three users
// where the tests run as root, else all as the one that there is.
type neighbours struct {
	t       *testing.T
	apart   bool
	dir     string
	program string
	socket  string
	key     string
}

func newNeighbours(t *testing.T) *neighbours {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	n := &neighbours{t: t, apart: os.Geteuid() == 0, dir: dir, program: filepath.Join(dir, "bin", "coatcheck"), socket: filepath.Join(dir, "run", "desk.sock")}
	n.must(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755), os.Mkdir(filepath.Dir(n.program), 0o755))
	self, err := os.Executable() // TestMain makes it the command, under that name
	n.must(err)
	text, err := os.ReadFile(self)
	syscall.ForkLock.RLock() // a program forked meanwhile would hold the file open for writing, and nothing could start it
	err = errors.Join(err, os.WriteFile(n.program, text, 0o755))
	syscall.ForkLock.RUnlock()
	n.must(err, os.Link(n.program, n.helper("peek")))
	for name, uid := range map[string]int{"desk": deskUID, "agent": agentUID, "third": thirdUID, "run": deskUID} {
		path, mode := filepath.Join(dir, name), os.FileMode(0o700)
		if name == "run" {
			mode = 0o755
		}
		n.must(os.Mkdir(path, mode), os.Chmod(path, mode))
		if n.apart {
			n.must(os.Chown(path, uid, uid))
		}
	}
	n.run("desk", "", 0, "init")
	n.write("policy.yaml", "version: 1\nrules:\n  - {name: web, agents: [web], paths: ['*'], allow: [list, use]}\n")
	n.write("config.yaml", fmt.Sprintf("listen: none\nsocket: %s\nsocket_users: [%d]\n", n.socket, agentUID))
	n.run("desk", "the value", 0, "secret", "set", "a/b", "--to", "api.example.com")
	n.key = strings.TrimSpace(n.run("desk", "", 0, "agent", "add", "web"))
	return n
}

func (n *neighbours) must(errs ...error) {
	n.t.Helper()
	if err := errors.Join(errs...); err != nil {
		n.t.Fatal(err)
	}
}

func (n *neighbours) helper(name string) string { return filepath.Join(n.dir, "bin", name) }
func (n *neighbours) home() string              { return filepath.Join(n.dir, "desk", "home") }

// write replaces a file of the desk's home.
func (n *neighbours) write(name, text string) {
	n.t.Helper()
	path := filepath.Join(n.home(), name)
	n.must(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, 0o600))
	if n.apart {
		n.must(os.Chown(path, deskUID, deskUID))
	}
}

// as is a program of one of the users: desk, agent or third.
func (n *neighbours) as(who, program string, args ...string) *exec.Cmd {
	n.t.Helper()
	cmd := exec.CommandContext(n.t.Context(), program, args...)
	cmd.Dir = filepath.Join(n.dir, who)
	cmd.Env = []string{"HOME=" + cmd.Dir, "PATH=/usr/bin:/bin", "GORACE=atexit_sleep_ms=0"}
	if who == "desk" {
		cmd.Env = append(cmd.Env, "COATCHECK_HOME="+n.home(), "CANARY=of the desk's environment")
	} else if n.key != "" {
		cmd.Env = append(cmd.Env, "COATCHECK_AGENT_KEY="+n.key)
	}
	if n.apart {
		uid := map[string]uint32{"desk": deskUID, "agent": agentUID, "third": thirdUID}[who]
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		cmd.Dir = "/"
	}
	return cmd
}

// run runs a command to its end, which is to have that exit code, and returns
// what it wrote to standard output.
func (n *neighbours) run(who, stdin string, code int, args ...string) string {
	n.t.Helper()
	cmd := n.as(who, n.program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		n.t.Fatalf("%s: coatcheck %v: %v, want code %d\n%s%s", who, args, err, code, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// serve starts the desk and returns its process once it listens.
func (n *neighbours) serve() (pid int, stop func()) {
	n.t.Helper()
	cmd := n.as("desk", n.program, "serve")
	stderr, err := cmd.StderrPipe()
	n.must(err, cmd.Start())
	listens, done := make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "unix://") {
				listens <- true
			}
		}
		close(listens)
	}()
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-done
		_ = cmd.Wait()
	}
	n.t.Cleanup(stop)
	if !<-listens {
		n.t.Fatal("the desk does not listen")
	}
	return cmd.Process.Pid, stop
}

// diagnosis is what doctor says with --json.
type diagnosis struct {
	Mode string
	Why  []string
}

// doctor asks the desk as one of the users.
func (n *neighbours) doctor(who string, code int) (d diagnosis) {
	n.t.Helper()
	n.must(json.Unmarshal([]byte(n.run(who, "", code, "--json", "doctor", "--server", "unix://"+n.socket)), &d))
	return d
}

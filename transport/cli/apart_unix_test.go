//go:build linux || darwin

package cli_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

const (
	hello  = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"n","version":"1"}}}` + "\n"
	ticket = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"get_secret","arguments":{"path":"a/b"}}}` + "\n"
)

// TestApart is mode M2 from each side. As root it is three users; else it is one,
// for whom the desk is not apart, and doctor has to say so.
func TestApart(t *testing.T) {
	t.Parallel()
	n := newNeighbours(t)
	pid, _ := n.serve()

	t.Run("the agent is served", func(t *testing.T) {
		out := n.run("agent", hello+ticket, 0, "mcp", "--server", "unix://"+n.socket)
		if !strings.Contains(out, `"handle":"ash_`) || strings.Contains(out, "the value") {
			t.Errorf("got %s", out)
		}
		if entries, err := os.ReadDir(filepath.Join(n.dir, "agent")); err != nil || len(entries) > 0 {
			t.Errorf("the bridge made %v, %v", entries, err)
		}
	})
	t.Run("the agent reaches nothing else", func(t *testing.T) {
		closed := []string{n.home(), n.home() + "/vault.db", n.home() + "/key", n.home() + "/policy.yaml"}
		if runtime.GOOS == "linux" {
			closed = append(closed, fmt.Sprintf("/proc/%d/environ", pid), fmt.Sprintf("/proc/%d/mem", pid))
		}
		out, err := n.as("agent", n.helper("peek"), closed...).Output()
		n.must(err)
		want := "" // what could be opened
		if !n.apart {
			want = strings.Join(closed, "\n") + "\n"
		}
		if string(out) != want {
			t.Errorf("opened %q, want %q", out, want)
		}
	})
	t.Run("doctor", func(t *testing.T) {
		d := n.doctor("agent", 0)
		why := strings.Join(d.Why, ". ")
		if n.apart && (d.Mode != "M2" || !strings.Contains(why, "nothing of it but its socket is open to this one")) {
			t.Errorf("%s, %s", d.Mode, why)
		}
		if !n.apart && (d.Mode != "M0" || !strings.Contains(why, "the desk runs as this user") || !strings.Contains(why, "this user can read "+n.home())) {
			t.Errorf("%s, %s", d.Mode, why)
		}
		if d := n.doctor("desk", 0); d.Mode != "M0" || !strings.Contains(strings.Join(d.Why, " "), "the desk runs as this user") {
			t.Errorf("as the desk's own user: %+v", d)
		}
	})
	t.Run("doctor takes nothing on trust", func(t *testing.T) {
		kept := n.key
		n.key = "ass_live_wrong"
		if d := n.doctor("agent", 1); d.Mode != "M0" {
			t.Errorf("with a wrong key: %+v", d)
		}
		n.key = ""
		if d := n.doctor("agent", 0); d.Mode != "M0" || !strings.Contains(strings.Join(d.Why, " "), "not found to be accepted") {
			t.Errorf("without a key: %+v", d)
		}
		n.key = kept
		n.must(os.Chmod(filepath.Join(n.dir, "desk"), 0o755), os.Chmod(n.home(), 0o755), os.Chmod(n.home()+"/key", 0o644))
		if d := n.doctor("agent", 0); d.Mode != "M0" || !strings.Contains(strings.Join(d.Why, " "), "this user can read "+n.home()+"/key") {
			t.Errorf("with the key open to all: %+v", d)
		}
		n.must(os.Chmod(n.home()+"/key", 0o600), os.Chmod(n.home(), 0o700), os.Chmod(filepath.Join(n.dir, "desk"), 0o700))
		n.must(os.Chmod(n.program, 0o777))
		if d := n.doctor("agent", 0); d.Mode != "M0" || !strings.Contains(strings.Join(d.Why, " "), "this user can change the desk's program") {
			t.Errorf("with the program open to all: %+v", d)
		}
		n.must(os.Chmod(n.program, 0o755))
	})
	t.Run("a third user", func(t *testing.T) {
		if !n.apart { // the own user is let in, whatever it is called
			n.run("third", hello, 0, "mcp", "--server", "unix://"+n.socket)
			return
		}
		out := n.run("third", hello, 3, "mcp", "--server", "unix://"+n.socket)
		if !strings.Contains(out, `"code":"USER_REFUSED"`) {
			t.Errorf("got %s", out)
		}
		if d := n.doctor("third", 1); d.Mode != "M0" {
			t.Errorf("doctor: %+v", d)
		}
	})
}

// TestImpostor: another user's program on a socket that belongs to the desk's
// user gets no byte, and so no key. Where the tests cannot be another user, the
// folder is what is wrong.
func TestImpostor(t *testing.T) {
	t.Parallel()
	n := newNeighbours(t)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: n.socket, Net: "unix"})
	n.must(err, os.Chmod(n.socket, 0o666))
	if n.apart {
		n.must(os.Chown(n.socket, deskUID, deskUID))
	} else {
		n.must(os.Chmod(filepath.Dir(n.socket), 0o777))
	}
	heard := make(chan string)
	go func() {
		defer close(heard)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			text, _ := io.ReadAll(c)
			if len(text) > 0 {
				heard <- string(text)
			}
			_ = c.Close()
		}
	}()
	out := n.run("agent", hello, 6, "mcp", "--server", "unix://"+n.socket)
	if !strings.Contains(out, `"code":"SOCKET_NOT_SAFE"`) || !strings.Contains(out, "No key was sent") {
		t.Errorf("got %s", out)
	}
	n.must(ln.Close())
	for text := range heard {
		t.Errorf("the impostor heard %q", text)
	}
}

// TestDeskStartedAnew: one bridge outlives its desk.
func TestDeskStartedAnew(t *testing.T) {
	t.Parallel()
	n := newNeighbours(t)
	_, stop := n.serve()
	cmd := n.as("agent", n.program, "mcp", "--server", "unix://"+n.socket)
	stdin, err := cmd.StdinPipe()
	n.must(err)
	stdout, err := cmd.StdoutPipe()
	n.must(err, cmd.Start())
	answers := bufio.NewScanner(stdout)
	ask := func(text string) string {
		_, err := io.WriteString(stdin, text)
		n.must(err)
		if !answers.Scan() {
			t.Fatal("no answer")
		}
		return answers.Text()
	}
	ask(hello)
	if got := ask(ticket); !strings.Contains(got, `"handle":"ash_`) {
		t.Errorf("before: %s", got)
	}
	stop()
	if got := ask(strings.Replace(ticket, `"id":2`, `"id":3`, 1)); !strings.Contains(got, `"code":"DESK_UNREACHABLE"`) {
		t.Errorf("without a desk: %s", got)
	}
	n.serve()
	if got := ask(strings.Replace(ticket, `"id":2`, `"id":4`, 1)); !strings.Contains(got, `"handle":"ash_`) {
		t.Errorf("after: %s", got)
	}
	n.must(stdin.Close())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		n.must(err)
	case <-time.After(scriptPatience):
		t.Fatal("the bridge does not end")
	}
}

package cli_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// upstream is an API that lets its callers wait.
type upstream struct {
	arrived chan struct{} // one for each request
	release chan struct{} // closed: answers
}

// scriptUpstreams and scriptStreams are where a script keeps them, by name.
type (
	scriptUpstreams struct{}
	scriptStreams   struct{}
)

// holding NAME starts an API that answers only once it is released; its
// HOST:PORT is in the variable NAME.
func scriptHold(ts *testscript.TestScript, args []string) {
	u := &upstream{arrived: make(chan struct{}, 16), release: make(chan struct{})}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.arrived <- struct{}{}
		select {
		case <-u.release:
			_, _ = io.WriteString(w, "released")
		case <-r.Context().Done():
		}
	}))
	ts.Defer(s.Close)
	ts.Setenv(args[0], strings.TrimPrefix(s.URL, "http://"))
	ts.Value(scriptUpstreams{}).(map[string]*upstream)[args[0]] = u
}

// held NAME waits for a request to arrive there.
func scriptHeld(ts *testscript.TestScript, args []string) {
	select {
	case <-ts.Value(scriptUpstreams{}).(map[string]*upstream)[args[0]].arrived:
	case <-time.After(scriptPatience):
		ts.Fatalf("nothing arrived at %s", args[0])
	}
}

// release NAME lets everybody there have the answer.
func scriptRelease(ts *testscript.TestScript, args []string) {
	close(ts.Value(scriptUpstreams{}).(map[string]*upstream)[args[0]].release)
}

// sseStream is a client of /sse.
type sseStream struct {
	server, key, to string
	lines           chan string // data of events; closed at the end
}

// streaming NAME HOST:PORT KEY opens a stream.
func scriptStream(ts *testscript.TestScript, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), scriptPatience)
	ts.Defer(cancel)
	s := &sseStream{server: "http://" + args[1], key: args[2], lines: make(chan string, 16)}
	r, err := http.NewRequestWithContext(ctx, "GET", s.server+"/sse", http.NoBody)
	ts.Check(err)
	r.Header.Set("Authorization", "Bearer "+s.key)
	answer, err := http.DefaultClient.Do(r) //nolint:bodyclose // closed by who reads it
	ts.Check(err)
	if answer.StatusCode != 200 {
		ts.Fatalf("status %d", answer.StatusCode)
	}
	go func() {
		defer close(s.lines)
		defer answer.Body.Close() //nolint:errcheck // it is at its end
		for lines := bufio.NewReader(answer.Body); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				s.lines <- strings.TrimSuffix(data, "\n")
			}
		}
	}()
	s.to = <-s.lines
	ts.Value(scriptStreams{}).(map[string]*sseStream)[args[0]] = s
}

// say NAME MESSAGE posts a message of that stream.
func scriptSay(ts *testscript.TestScript, args []string) {
	s := ts.Value(scriptStreams{}).(map[string]*sseStream)[args[0]]
	scriptStatus(ts, []string{"202", "POST", s.server + s.to, s.key, args[1]})
}

// heard NAME REGEXP [VARIABLE] reads the next event of that stream, which is to
// match; the match is then in the variable. heard NAME alone reads the end.
func scriptHeard(ts *testscript.TestScript, args []string) {
	var line string
	var more bool
	select {
	case line, more = <-ts.Value(scriptStreams{}).(map[string]*sseStream)[args[0]].lines:
	case <-time.After(scriptPatience):
		ts.Fatalf("nothing came")
	}
	if len(args) == 1 {
		if more {
			ts.Fatalf("not the end: %s", line)
		}
		return
	}
	match := regexp.MustCompile(args[1]).FindString(line)
	if match == "" {
		ts.Fatalf("heard %q", line)
	}
	if len(args) > 2 {
		ts.Setenv(args[2], match)
	}
}

// stopping NAME sends SIGTERM to a server and waits until it listens no more.
func scriptStopping(ts *testscript.TestScript, args []string) {
	ts.Check(serversOf(ts)[args[0]].cmd.Process.Signal(syscall.SIGTERM))
	for deadline := time.Now().Add(scriptPatience); ; {
		c, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", ts.Getenv(args[0]))
		if err != nil {
			return
		}
		ts.Check(c.Close())
		if time.Now().After(deadline) {
			ts.Fatalf("it still listens")
		}
	}
}

// working NAME: it has not ended.
func scriptWorking(ts *testscript.TestScript, args []string) {
	select {
	case <-serversOf(ts)[args[0]].done:
		ts.Fatalf("it has ended")
	default:
	}
}

// ended NAME N waits for a server that was told to stop, as terminate does.
func scriptEnded(ts *testscript.TestScript, args []string) {
	s := serversOf(ts)[args[0]]
	<-s.done
	if got := strconv.Itoa(s.cmd.ProcessState.ExitCode()); got != args[1] {
		ts.Fatalf("ended with %s, want %s:\n%s", got, args[1], s.said.String())
	}
}

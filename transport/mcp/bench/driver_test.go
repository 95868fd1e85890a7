package bench_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"
)

// program is what is measured: a command line that serves MCP on stdio, and the
// one call that it is sent over and over.
type program struct {
	name string
	argv []string
	env  []string
	tool string
	args string // JSON object
}

// client drives one running program in raw JSON lines. It is not safe for
// concurrent use. It decodes nothing while the clock runs: answers are kept and
// checked afterwards.
type client struct {
	tb      testing.TB
	program program
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	stderr  bytes.Buffer
	next    int
	answers []byte // lines read inside the clock, not checked yet
}

// start runs the program and returns once initialize is answered. The duration
// is from just before the process is made to the last byte of that answer.
func start(tb testing.TB, p program) (*client, time.Duration) {
	tb.Helper()
	c := &client{tb: tb, program: p}
	c.cmd = exec.CommandContext(context.Background(), p.argv[0], p.argv[1:]...)
	c.cmd.Env = p.env
	c.cmd.Stderr = &c.stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	c.in, c.out = in, bufio.NewReaderSize(out, 1<<20)

	began := time.Now()
	if err := c.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	c.send(`{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`)
	c.read()
	took := time.Since(began)

	c.check(1)
	c.send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	return c, took
}

// stop closes the program's input, which ends it, and waits.
func (c *client) stop() {
	c.tb.Helper()
	_ = c.in.Close()
	ended := make(chan error, 1)
	go func() { ended <- c.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			c.tb.Fatalf("%s: %v\n%s", c.program.name, err, c.stderr.Bytes())
		}
	case <-time.After(10 * time.Second):
		_ = c.cmd.Process.Kill()
		c.tb.Fatalf("%s does not end when its input does", c.program.name)
	}
}

func (c *client) send(line string) {
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.fatal(err)
	}
}

func (c *client) read() {
	line, err := c.out.ReadSlice('\n')
	if err != nil {
		c.fatal(err)
	}
	c.answers = append(c.answers, line...)
}

func (c *client) fatal(err error) {
	_ = c.in.Close()
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	c.tb.Fatalf("%s: %v\n%s", c.program.name, err, c.stderr.Bytes())
}

func (c *client) request() string {
	c.next++
	return `{"jsonrpc":"2.0","id":` + strconv.Itoa(c.next) + `,"method":"tools/call","params":{"name":"` + c.program.tool + `","arguments":` + c.program.args + `}}`
}

// check decodes what was read and fails unless it is exactly want successful
// answers, each to a request of its own.
func (c *client) check(want int) {
	c.tb.Helper()
	seen := map[string]bool{}
	for line := range bytes.Lines(c.answers) {
		var answer struct {
			ID     json.RawMessage `json:"id"`
			Result *struct {
				IsError bool `json:"isError"`
			} `json:"result"`
		}
		if err := json.Unmarshal(line, &answer); err != nil {
			c.fatal(fmt.Errorf("not JSON: %w", err))
		}
		if answer.Result == nil || answer.Result.IsError {
			c.fatal(fmt.Errorf("a call went wrong: %s", line))
		}
		seen[string(answer.ID)] = true
	}
	if len(seen) != want {
		c.fatal(fmt.Errorf("%d answers, want %d", len(seen), want))
	}
	c.answers = c.answers[:0]
}

// one makes calls one after the other and returns the median time of a call.
func (c *client) one(calls int) time.Duration {
	c.tb.Helper()
	return median(c.each(calls))
}

// each makes calls one after the other and returns the time of each.
func (c *client) each(calls int) []time.Duration {
	c.tb.Helper()
	took := make([]time.Duration, calls)
	for i := range took {
		line := c.request()
		began := time.Now()
		c.send(line)
		c.read()
		took[i] = time.Since(began)
	}
	c.check(calls)
	return took
}

// many keeps flight calls in flight until calls are answered and returns the
// calls a second.
func (c *client) many(flight, calls int) float64 {
	c.tb.Helper()
	lines := make([]string, calls)
	for i := range lines {
		lines[i] = c.request()
	}
	began := time.Now()
	for i := range calls {
		if i >= flight {
			c.read()
		}
		c.send(lines[i])
	}
	for range flight {
		c.read()
	}
	took := time.Since(began)
	c.check(calls)
	return float64(calls) / took.Seconds()
}

func (c *client) resident() int64 { return resident(c.tb, c.cmd.Process.Pid) }

// resident returns a process's resident memory in bytes.
func resident(tb testing.TB, process int) int64 {
	tb.Helper()
	pid := strconv.Itoa(process)
	if status, err := os.ReadFile("/proc/" + pid + "/status"); err == nil {
		for line := range bytes.Lines(status) {
			var kib int64
			if n, _ := fmt.Sscanf(string(line), "VmRSS: %d kB", &kib); n == 1 {
				return kib << 10
			}
		}
	}
	out, err := exec.CommandContext(context.Background(), "ps", "-o", "rss=", "-p", pid).Output()
	if err != nil {
		tb.Fatalf("resident memory: %v", err)
	}
	kib, err := strconv.ParseInt(string(bytes.TrimSpace(out)), 10, 64)
	if err != nil {
		tb.Fatalf("resident memory: %v", err)
	}
	return kib << 10
}

func median[T ~int64 | ~float64](of []T) T { return quantile(of, 0.5) }

func quantile[T ~int64 | ~float64](of []T, q float64) T {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[int(q*float64(len(sorted)))]
}

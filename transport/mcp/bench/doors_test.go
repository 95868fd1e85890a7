package bench_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// served is a program that listens, and what its callers need.
type served struct {
	program
	url  string
	keys []string // of its agents; none: it asks for no key
	cmd  *exec.Cmd
}

var address = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// serve starts a program that says on standard error where it listens.
func serve(tb testing.TB, p program, keys []string) *served {
	tb.Helper()
	s := &served{program: p, keys: keys, cmd: exec.CommandContext(context.Background(), p.argv[0], p.argv[1:]...)}
	s.cmd.Env = p.env
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	said := bufio.NewScanner(stderr)
	for said.Scan() {
		if s.url = address.FindString(said.Text()); s.url != "" {
			go func() { _, _ = io.Copy(io.Discard, stderr) }()
			return s
		}
	}
	tb.Fatalf("%s does not say where it listens: %v", p.name, s.cmd.Wait())
	return nil
}

func (s *served) stop(tb testing.TB) {
	tb.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		tb.Errorf("%s ended with %v", s.name, err)
	}
}

// key of the i-th client: the agents take turns.
func (s *served) key(i int) string {
	if len(s.keys) == 0 {
		return ""
	}
	return s.keys[i%len(s.keys)]
}

// agents registers agents of the desk and gives them the rule that the command
// proposes.
func agents(b *testing.B, p program, home string, count int) (keys []string) {
	b.Helper()
	policy := "version: 1\nrules:\n"
	for i := range count {
		add := exec.CommandContext(context.Background(), p.argv[0], "agent", "add", "bench-"+strconv.Itoa(i))
		add.Env = p.env
		var rule bytes.Buffer
		add.Stderr = &rule
		key, err := add.Output()
		at := strings.Index(rule.String(), "  - name:")
		if err != nil || at < 0 {
			b.Fatalf("agent add: %v\n%s", err, rule.Bytes())
		}
		policy += rule.String()[at:]
		keys = append(keys, strings.TrimSpace(string(key)))
	}
	policy += "  - {name: stdio, agents: [\"@stdio\"], paths: [\"*\"], allow: [list, use]}\n"
	if err := os.WriteFile(filepath.Join(home, "policy.yaml"), []byte(policy), 0o600); err != nil {
		b.Fatal(err)
	}
	return keys
}

// caller is one session of one client, with one call in flight at most.
type caller interface {
	call(body []byte) ([]byte, error)
	close()
}

const initialize = `{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}`

// open opens a session on a door: "http" or "sse".
func (s *served) open(tb testing.TB, door string, i int) caller {
	tb.Helper()
	c, err := map[string]func(string, string) (caller, error){"http": openHTTP, "sse": openSSE}[door](s.url, s.key(i))
	if err != nil {
		tb.Fatalf("%s over %s: %v", s.name, door, err)
	}
	return c
}

func post(url, key, session string, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if session != "" {
		r.Header.Set("Mcp-Session-Id", session)
	}
	return r, nil
}

type httpCaller struct {
	url, key, session string
	client            *http.Client
}

func openHTTP(url, key string) (caller, error) {
	c := &httpCaller{url: url + "/mcp", key: key, client: &http.Client{Transport: &http.Transport{}}}
	_, err := c.call([]byte(initialize))
	return c, err
}

func (c *httpCaller) call(body []byte) ([]byte, error) {
	r, err := post(c.url, c.key, c.session, body)
	if err != nil {
		return nil, err
	}
	answer, err := c.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close() //nolint:errcheck // it was read to its end
	if session := answer.Header.Get("Mcp-Session-Id"); session != "" {
		c.session = session
	}
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", answer.StatusCode, text)
	}
	return text, err
}

func (c *httpCaller) close() { c.client.CloseIdleConnections() }

type sseCaller struct {
	key, messages string
	client        *http.Client
	stream        io.Closer
	events        *bufio.Reader
}

func openSSE(url, key string) (caller, error) {
	c := &sseCaller{key: key, client: &http.Client{Transport: &http.Transport{}}}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url+"/sse", http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "text/event-stream")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	answer, err := c.client.Do(r) //nolint:bodyclose // close ends the stream
	if err != nil {
		return nil, err
	}
	c.stream, c.events = answer.Body, bufio.NewReader(answer.Body)
	endpoint, err := c.event()
	if err != nil || answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d: %w", answer.StatusCode, err)
	}
	c.messages = string(endpoint)
	if strings.HasPrefix(c.messages, "/") {
		c.messages = url + c.messages
	}
	_, err = c.call([]byte(initialize))
	return c, err
}

// event returns the data of the next event.
func (c *sseCaller) event() (data []byte, err error) {
	for {
		line, err := c.events.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if part, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			data = append(data, bytes.TrimSpace(part)...)
		}
		if len(line) == 0 && len(data) > 0 {
			return data, nil
		}
	}
}

func (c *sseCaller) call(body []byte) ([]byte, error) {
	r, err := post(c.messages, c.key, "", body)
	if err != nil {
		return nil, err
	}
	answer, err := c.client.Do(r)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err == nil && answer.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("status %d: %s", answer.StatusCode, text)
	}
	if err != nil {
		return nil, err
	}
	return c.event()
}

func (c *sseCaller) close() {
	_ = c.stream.Close()
	c.client.CloseIdleConnections()
}

// calling makes calls, each session its share one after the other, and returns
// how long each took.
func calling(tb testing.TB, sessions []caller, calls int, tool, args string) (each []time.Duration, all time.Duration) {
	tb.Helper()
	each = make([]time.Duration, calls)
	failed := make(chan error, len(sessions))
	var wg sync.WaitGroup
	began := time.Now()
	for n, c := range sessions {
		wg.Go(func() {
			for i := n; i < calls; i += len(sessions) {
				at := time.Now()
				answer, err := c.call([]byte(`{"jsonrpc":"2.0","id":` + strconv.Itoa(i) + `,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + args + `}}`))
				each[i] = time.Since(at)
				if err == nil {
					err = fine(answer, i)
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	all = time.Since(began)
	select {
	case err := <-failed:
		tb.Fatal(err)
	default:
	}
	return each, all
}

// fine reports whether text is a good answer to the call with that id.
func fine(text []byte, id int) error {
	if at := bytes.Index(text, []byte("data: ")); at >= 0 {
		text = bytes.TrimSpace(text[at+len("data: "):])
	}
	var answer struct {
		ID     int `json:"id"`
		Result *struct {
			IsError bool `json:"isError"`
		} `json:"result"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || answer.ID != id || answer.Result == nil || answer.Result.IsError {
		return fmt.Errorf("call %d went wrong (%v): %s", id, err, text)
	}
	return nil
}

// doors measures calls a second over Streamable HTTP and SSE, with one and
// sixteen sessions: of get_secret, which waits for the disk, and of
// explain_access, which does not and so shows what the door itself takes.
func doors(b *testing.B, bare, ours *served) (table []budget) {
	b.Helper()
	for _, door := range []string{"http", "sse"} {
		for _, sessions := range []int{1, 16} {
			for _, ask := range []struct{ tool, args string }{
				{"get_secret", `{"path":"bench/key"}`}, {"explain_access", `{"path":"bench/key","action":"use"}`},
			} {
				var rate [2][]float64
				var open [2][]caller
				for i, s := range [2]*served{bare, ours} {
					for n := range sessions {
						open[i] = append(open[i], s.open(b, door, n))
					}
				}
				for round := range *rounds {
					for i := range open {
						i = (i + round) % 2
						tool, args := ask.tool, ask.args
						if i == 0 { // the bare server has one tool
							tool, args = bare.tool, bare.args
						}
						_, all := calling(b, open[i], *calls, tool, args)
						rate[i] = append(rate[i], float64(*calls)/all.Seconds())
					}
				}
				for _, side := range open {
					for _, c := range side {
						c.close()
					}
				}
				many := [2]float64{median(rate[0]), median(rate[1])}
				table = append(table, budget{
					what: fmt.Sprintf("%s over %s, sessions: %d", ask.tool, door, sessions),
					bare: fmt.Sprintf("%.0f/s", many[0]), ours: fmt.Sprintf("%.0f/s", many[1]),
					ratio: many[1] / many[0], bound: 0.6, atLeast: true,
				})
			}
		}
	}
	return table
}

// idle opens SSE streams that nobody uses and measures what each costs, and
// what they cost one client that works.
func idle(b *testing.B, bare, ours *served) []budget {
	b.Helper()
	const clients = 2000
	var perClient [2]float64
	var alone, beside time.Duration
	for i, s := range [2]*served{bare, ours} {
		working := []caller{s.open(b, "sse", 0)}
		p99 := func() time.Duration {
			var of []time.Duration
			for range *rounds {
				each, _ := calling(b, working, *calls, s.tool, s.args)
				of = append(of, quantile(each, 0.99))
			}
			return median(of)
		}
		alone = p99()
		before := resident(b, s.cmd.Process.Pid)
		streams := make([]net.Conn, clients)
		for n := range streams {
			streams[n] = s.listenOnly(b, n)
		}
		perClient[i] = float64(resident(b, s.cmd.Process.Pid)-before) / clients / 1024
		beside = p99()
		for _, c := range streams {
			_ = c.Close()
		}
		working[0].close()
	}
	return []budget{
		{
			what: fmt.Sprintf("memory of each of %d idle SSE clients (KiB)", clients),
			bare: fmt.Sprintf("%.1f KiB", perClient[0]), ours: fmt.Sprintf("%.1f KiB", perClient[1]),
			ratio: perClient[1], bound: 48, fixed: true,
		},
		{
			what: fmt.Sprintf("get_secret over sse, p99 beside %d idle clients: times alone", clients),
			bare: "-", ours: millis(alone) + " → " + millis(beside),
			ratio: float64(beside) / float64(alone), bound: 3,
		},
	}
}

// listenOnly opens a stream with as little as a client can have.
func (s *served) listenOnly(tb testing.TB, n int) net.Conn {
	tb.Helper()
	host := strings.TrimPrefix(s.url, "http://")
	c, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", host)
	if err != nil {
		tb.Fatal(err)
	}
	request := "GET /sse HTTP/1.1\r\nHost: " + host + "\r\nAccept: text/event-stream\r\n"
	if key := s.key(n); key != "" {
		request += "Authorization: Bearer " + key + "\r\n"
	}
	if _, err := io.WriteString(c, request+"\r\n"); err != nil {
		tb.Fatal(err)
	}
	var first bytes.Buffer
	for buf := make([]byte, 512); !bytes.Contains(first.Bytes(), []byte("event: endpoint")); {
		n, err := c.Read(buf)
		first.Write(buf[:n])
		if err != nil {
			tb.Fatalf("%s: %v\n%s", s.name, err, first.Bytes())
		}
	}
	return c
}

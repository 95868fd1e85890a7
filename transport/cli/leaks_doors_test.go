package cli_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// door is a way to a running coatcheck: it carries one message and returns the
// one that answers it, as it came.
type door func(message []byte) []byte

// program starts coatcheck as a process of its own, on the scene's home, with a
// file of certificates that it trusts. What it writes to standard error is
// seen; every line of it goes to line too, and "" at its end. end stops it.
func (s *scene) program(trust string, line func(string), args ...string) (in io.WriteCloser, out *bufio.Reader, end func()) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "coatcheck", append(args, "--log-level", "debug")...)
	cmd.Env = append(os.Environ(), "COATCHECK_HOME="+s.env["COATCHECK_HOME"], "SSL_CERT_FILE="+trust, "SSL_CERT_DIR=/none", "COATCHECK_AGENT_KEY="+s.env["COATCHECK_AGENT_KEY"], "GORACE=atexit_sleep_ms=0")
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewReader(io.TeeReader(stderr, &s.seen)); ; {
			text, err := lines.ReadString('\n')
			if text != "" {
				line(text)
			}
			if err != nil {
				line("")
				return
			}
		}
	}()
	return in, bufio.NewReaderSize(stdout, 1<<20), func() {
		s.t.Helper()
		_ = in.Close()
		if args[0] == "serve" {
			_ = cmd.Process.Signal(os.Interrupt)
		}
		<-read
		if err := cmd.Wait(); err != nil {
			s.t.Errorf("coatcheck %s: %v", args[0], err)
		}
	}
}

// overStdio is coatcheck mcp, started by a client: the desk itself, or with
// --server the bridge to one.
func (s *scene) overStdio(trust string, args ...string) (door, func()) {
	s.t.Helper()
	in, out, end := s.program(trust, func(string) {}, append([]string{"mcp"}, args...)...)
	return func(message []byte) []byte {
		s.t.Helper()
		if _, err := in.Write(append(message, '\n')); err != nil {
			s.t.Fatal(err)
		}
		line, err := out.ReadBytes('\n')
		if err != nil {
			s.t.Fatal(err)
		}
		return line
	}, end
}

// desk is coatcheck serve; it returns its address.
func (s *scene) desk(trust string) (base string, end func()) {
	s.t.Helper()
	address := make(chan string, 1)
	_, _, end = s.program(trust, func(line string) {
		if m := serving.FindStringSubmatch(line); m != nil {
			address <- m[1]
		} else if line == "" {
			close(address)
		}
	}, "serve", "--listen", "127.0.0.1:0")
	base, ok := <-address
	if !ok {
		end()
		s.t.Fatal("serve did not start")
	}
	return base, end
}

// overHTTP is Streamable HTTP; what is not a message, such as a header, is seen.
func (s *scene) overHTTP(base, key string) door {
	session := ""
	return func(message []byte) []byte {
		s.t.Helper()
		r := s.post(base+"/mcp", key, message)
		if session != "" {
			r.Header.Set("Mcp-Session-Id", session)
			r.Header.Set("MCP-Protocol-Version", "2025-11-25")
		}
		header, body := s.send(r)
		session = max(session, header.Get("Mcp-Session-Id"))
		return body
	}
}

func (s *scene) post(target, key string, message []byte) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, target, bytes.NewReader(message))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	return r
}

func (s *scene) send(r *http.Request) (http.Header, []byte) {
	s.t.Helper()
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = answer.Header.Write(&s.seen)
	return answer.Header, body
}

// overSSE is the older transport: answers are events of a stream.
func (s *scene) overSSE(base, key string) (door, func()) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, base+"/sse", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	stream, err := http.DefaultTransport.RoundTrip(r) //nolint:bodyclose // by the function returned
	if err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewReaderSize(stream.Body, 1<<20)
	data := func() string {
		s.t.Helper()
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				s.t.Fatal(err)
			}
			if text, ok := strings.CutPrefix(line, "data: "); ok {
				return strings.TrimSuffix(text, "\n")
			}
			_, _ = io.WriteString(&s.seen, line) // names and ids of events
		}
	}
	to := data()
	return func(message []byte) []byte {
		s.t.Helper()
		_, _ = s.send(s.post(base+to, key, message))
		return []byte(data())
	}, func() { _ = stream.Body.Close() }
}

// call calls a tool through a door. It returns the whole answer, and in it the
// tool's result.
func (d door) call(t *testing.T, name string, args any) (whole []byte, result map[string]any) {
	t.Helper()
	whole = d(request(t, 1, "tools/call", map[string]any{"name": name, "arguments": args}))
	result, ok := decode(t, whole)["result"].(map[string]any)
	if !ok {
		t.Fatalf("%s: no result", name)
	}
	return whole, result
}

// hello is what a client says first.
func (d door) hello(t *testing.T) {
	t.Helper()
	d(request(t, 1, "initialize", map[string]any{
		"protocolVersion": "2024-11-05", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "t", "version": "1"},
	}))
}

// ticket is a handle for a secret.
func (d door) ticket(t *testing.T, path string) string {
	t.Helper()
	_, result := d.call(t, "get_secret", map[string]any{"path": path})
	structured, _ := result["structuredContent"].(map[string]any)
	handle, ok := structured["handle"].(string)
	if !ok {
		t.Fatalf("no handle of %s: %s", path, fmt.Sprint(result))
	}
	return handle
}

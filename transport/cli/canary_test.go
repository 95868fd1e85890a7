package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/coatcheck-dev/coatcheck/transport/cli"
	"github.com/coatcheck-dev/coatcheck/transport/dotenv"
	"github.com/coatcheck-dev/coatcheck/vault/vaulttest"
)

// sink collects what one stream shows.
type sink struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *sink) Bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.b.Bytes())
}

// scene is a home, the command on it, and everything that anybody could see.
type scene struct {
	t    *testing.T
	env  map[string]string
	seen sink // stdout and stderr of every command, answers of every door
}

func newScene(t *testing.T) *scene {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	return &scene{t: t, env: map[string]string{"COATCHECK_HOME": filepath.Join(dir, "home")}}
}

func (s *scene) getenv(name string) string { return s.env[name] }

// run runs one command with text on its standard input; want is its exit code.
func (s *scene) run(want int, stdin string, args ...string) string {
	s.t.Helper()
	var out sink
	both := io.MultiWriter(&out, &s.seen)
	got := cli.Main(s.t.Context(), cli.Streams{In: strings.NewReader(stdin), Out: both, Err: &s.seen}, append(args, "--log-level", "debug"), s.getenv)
	if got != want {
		s.t.Errorf("coatcheck %s ended with %d, want %d", strings.Join(args, " "), got, want)
	}
	return string(out.Bytes())
}

// talk is one MCP client: it sends a request and returns the answer's text.
type talk func(method string, params any) map[string]any

// stdio starts coatcheck mcp and returns a client, and a function that ends it.
func (s *scene) stdio() (talk, func()) {
	s.t.Helper()
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	done := make(chan int, 1)
	go func() {
		defer outWrite.Close() //nolint:errcheck // a pipe in memory
		done <- cli.Main(context.WithoutCancel(s.t.Context()), cli.Streams{In: inRead, Out: outWrite, Err: &s.seen}, []string{"mcp", "--log-level", "debug"}, s.getenv)
	}()
	lines := bufio.NewScanner(io.TeeReader(outRead, &s.seen))
	lines.Buffer(nil, 8<<20)
	id := 0
	return func(method string, params any) map[string]any {
			s.t.Helper()
			id++
			if _, err := fmt.Fprintf(inWrite, "%s\n", request(s.t, id, method, params)); err != nil {
				s.t.Fatal(err)
			}
			if !lines.Scan() {
				s.t.Fatalf("no answer to %s", method)
			}
			return decode(s.t, lines.Bytes())
		}, func() {
			_ = inWrite.Close()
			if code := <-done; code != 0 {
				s.t.Errorf("mcp ended with %d", code)
			}
		}
}

func request(t *testing.T, id int, method string, params any) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": params})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func decode(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var answer map[string]any
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("the answer is not JSON: %v", err)
	}
	return answer
}

var serving = regexp.MustCompile(`MCP at (http://[^/]+)/mcp`)

// serve starts coatcheck serve and returns its base URL, and a function that ends it.
func (s *scene) serve() (string, func()) {
	s.t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(s.t.Context()))
	read, write := io.Pipe()
	done := make(chan int, 1)
	go func() {
		defer write.Close() //nolint:errcheck // a pipe in memory
		done <- cli.Main(ctx, cli.Streams{In: strings.NewReader(""), Out: &s.seen, Err: write}, []string{"serve", "--listen", "127.0.0.1:0", "--log-level", "debug"}, s.getenv)
	}()
	address := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(io.TeeReader(read, &s.seen))
		for lines.Scan() {
			if m := serving.FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
			}
		}
		close(address)
	}()
	base, ok := <-address
	if !ok {
		s.t.Fatal("serve did not start")
	}
	return base, func() {
		stop()
		if code := <-done; code != 0 {
			s.t.Errorf("serve ended with %d", code)
		}
		for range address { // until the stream has been read
		}
	}
}

// http sends one request to the running desk and returns header and body of the
// answer; every byte of it is seen.
func (s *scene) http(method, target string, headers map[string]string, body []byte) (http.Header, []byte) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, target, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for name, value := range headers {
		if name == "Host" {
			r.Host = value
		}
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := answer.Header.Write(&s.seen); err != nil {
		s.t.Fatal(err)
	}
	_, _ = s.seen.Write(text)
	return answer.Header, text
}

// tool calls a tool and returns its structured result, nil for a refusal.
func tool(t *testing.T, say talk, name string, args any) map[string]any {
	t.Helper()
	answer := say("tools/call", map[string]any{"name": name, "arguments": args})
	result, _ := answer["result"].(map[string]any)
	if result == nil || result["isError"] == true {
		return nil
	}
	structured, _ := result["structuredContent"].(map[string]any)
	return structured
}

// hostile is an API that shows what it gets wherever an answer has room.
func hostile(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := r.Header.Get("Authorization") + "|" + r.URL.Query().Get("key")
		key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		for _, e := range vaulttest.Encodings() {
			for _, before := range []string{"", "id:"} {
				if text, ok := e.Write([]byte(before + key + r.URL.Query().Get("key"))); ok {
					got += "\n" + string(text)
				}
			}
		}
		switch r.URL.Path {
		case "/redirect":
			w.Header().Set("Location", "https://elsewhere.example/?stolen="+url.QueryEscape(key))
			w.WriteHeader(http.StatusTemporaryRedirect)
		case "/error":
			http.Error(w, got, http.StatusInternalServerError)
		case "/hang":
			hijack(w, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"+got)
		case "/broken":
			hijack(w, "HTTP/9.9 "+got+"\r\n\r\n")
		case "/headers":
			w.Header().Set("X-Echo", key)
			w.Header().Set("Set-Cookie", "k="+url.QueryEscape(key))
		case "/large":
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20-10)+got)
		default:
			_, _ = io.WriteString(w, got)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func hijack(w http.ResponseWriter, text string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, text)
	_ = conn.Close()
}

// TestNoValueShowsAnywhere drives every tool, door and error path with random
// values and then searches everything there is to see: answers, standard
// streams, logs, the record, database, write-ahead log and temporary files.
func TestNoValueShowsAnywhere(t *testing.T) {
	s := newScene(t)
	api := hostile(t)
	var canaries []vaulttest.Canary
	canary := func(form string) string {
		v := fmt.Sprintf(form, rand.Text())
		canaries = append(canaries, vaulttest.CanaryOf([]byte(v)))
		return v
	}
	const special = `cn"<%s>&'/+=\é`
	bearer, query, binary := canary("cn-%s/+="), canary(`q"<%s>&'/+=\`), canary("\xff\xfe%s\x80")
	lines, tiered, homeless := canary("-----BEGIN-----\n%s\n-----END-----"), canary(special), canary(special)
	s.run(0, bearer+"\n", "secret", "set", "a/bearer", "--to", api.URL, "--generate", "{base62:32}", "--description", "for the test")
	s.run(0, query, "secret", "set", "a/query", "--to", api.URL, "--in", "query:key")
	s.run(0, binary, "secret", "set", "a/binary", "--to", api.URL, "--exact")
	s.run(0, lines, "secret", "set", "a/lines", "--to", api.URL)
	s.run(0, tiered, "secret", "set", "a/tiered", "--to", api.URL, "--tier", "critical")
	s.run(0, homeless, "secret", "set", "a/homeless")
	s.commandErrors(canary(special))
	s.imports(func() string { return canary(special) })

	own := func() string { return canary(special) } // for values that a model stores
	s.policy(`version: 1
rules:
  - {name: all, agents: ["*"], paths: ["*"], allow: [list, use, rotate, set, delete]}
  - {name: programs, agents: ["remote"], doors: [rest], paths: ["*"], allow: [list, reveal, rotate, set, delete, token]}
`)
	say, end := s.stdio()
	s.setAndDelete(say, own)
	s.everyTool(say, api.URL, bearer, query)
	end()

	key := strings.TrimSpace(s.run(0, "", "agent", "add", "remote"))
	base, stop := s.serve()
	session := ""
	overHTTP := func(method string, params any) map[string]any {
		headers := map[string]string{
			"Authorization": "Bearer " + key, "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		}
		if session != "" {
			headers["Mcp-Session-Id"], headers["MCP-Protocol-Version"] = session, "2025-11-25"
		}
		header, text := s.http("POST", base+"/mcp", headers, request(t, 1, method, params))
		if id := header.Get("Mcp-Session-Id"); id != "" {
			session = id
		}
		if len(text) == 0 || text[0] != '{' {
			return nil
		}
		return decode(t, text)
	}
	s.everyTool(overHTTP, api.URL, bearer, query)
	s.setAndDelete(overHTTP, own)
	s.everyRoute(base, key, own)
	for _, headers := range []map[string]string{
		{"Authorization": "Bearer " + bearer},
		{"Host": "evil.example"},
		{"Authorization": "Bearer " + key, "Origin": "https://evil.example"},
		{"Authorization": "Bearer " + key, "Content-Type": "text/plain"},
		{"Authorization": "Bearer " + key, "Content-Type": "application/json"},
	} {
		s.http("POST", base+"/mcp", headers, []byte(`{"`+url.QueryEscape(bearer)+`":`))
		s.http("GET", base+"/"+url.PathEscape(bearer), headers, nil)
	}
	s.scan(canaries) // while the write-ahead log is there
	stop()
	s.run(0, "", "audit", "tail", "-n", "1000", "--json")
	s.run(0, "", "audit", "verify")
	s.run(0, "", "secret", "list", "--json")
	s.run(0, "", "secret", "history", "a/bearer")
	s.run(0, "", "doctor")

	if len(s.seen.Bytes()) < 20_000 {
		t.Fatalf("only %d bytes were seen; the paths were not taken", len(s.seen.Bytes()))
	}
	s.scan(canaries)
}

// scan searches what was seen and every file there is.
func (s *scene) scan(canaries []vaulttest.Canary) {
	s.t.Helper()
	seen := s.seen.Bytes()
	for _, c := range canaries {
		c.Absent(s.t, "what was seen", seen)
	}
	if files := vaulttest.ScanFolder(s.t, os.Getenv("TMPDIR"), canaries...); files < 4 {
		s.t.Fatalf("only %d files were searched", files)
	}
}

func (s *scene) policy(text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.env["COATCHECK_HOME"], "policy.yaml"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// commandErrors lets commands fail with a value in their hands.
func (s *scene) commandErrors(value string) {
	s.run(2, value, "secret", "set", "a//b")
	s.run(2, value, "secret", "set", "a/new", "--tier", "none")
	s.run(2, value, "secret", "set", "a/new", "--to", "https://user@example.com")
	s.run(5, value, "secret", "set", "a/bearer/below")
	s.run(4, value, "secret", "rotate", "a/none")
	s.run(2, value, "secret", "set", "a/new", "--base64")
	s.run(2, value, "no-such-command")
	s.run(2, strings.Repeat(value, 1<<20/len(value)+2), "secret", "set", "a/new")
	s.run(0, value, "secret", "set", "a/gone", "--to", "api.example.com")
	s.run(0, value+"2", "secret", "rotate", "a/gone", "--grace", "1h")
	s.run(0, "", "secret", "delete", "a/gone")
	s.run(0, "", "secret", "restore", "a/gone")
	s.run(0, "", "secret", "delete", "a/gone", "--permanent")
}

// setAndDelete stores and deletes secrets rightly and wrongly, through one door.
// Each value is one that must not show.
func (s *scene) setAndDelete(say talk, own func() string) {
	t := s.t
	say("initialize", map[string]any{"protocolVersion": "2025-11-25", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "t", "version": "1"}})
	for path, stored := range map[string]bool{"a/own": true, "a/homeless": true, "a/tiered": false, "a/bearer/below": false, "a": false, "a//b": false} {
		if got := tool(t, say, "set_secret", map[string]any{"path": path, "value": own()}); (got["stored"] == true) != stored {
			t.Errorf("set_secret %s: stored %v", path, got["stored"])
		}
	}
	tool(t, say, "set_secret", map[string]any{"path": "a/own", "value": own(), "tier": own()})
	tool(t, say, "set_secret", map[string]any{"path": own(), "value": own()})
	tool(t, say, "set_secret", map[string]any{"path": "a/own", "value": []any{own()}})
	tool(t, say, "set_secret", map[string]any{"path": "a/own", "value": strings.Repeat(own(), 1<<20/20)})
	tool(t, say, "set_secret", map[string]any{"path": "a/own", "value": own() + "\x00"})
	tool(t, say, "set_secret", map[string]any{"path": "a/own", own(): own()})
	tool(t, say, "set_secret", map[string]any{"path": "a/own"})
	tool(t, say, "delete_secret", map[string]any{"path": "a/own", "permanent": own()})
	tool(t, say, "delete_secret", map[string]any{"path": "a/own", "permanent": true})
	if got := tool(t, say, "delete_secret", map[string]any{"path": "a/own"}); got["restorable_until"] == nil {
		t.Error("delete_secret a/own: refused")
	}
	s.run(0, "", "secret", "delete", "a/own", "--permanent")
}

// imports lets .env files in, rightly and wrongly. Those that hold values after
// it are removed as a person would.
func (s *scene) imports(value func() string) {
	t := s.t
	env := func(name string) (path, text string) {
		t.Helper()
		line, err := dotenv.Append(nil, name, []byte(value()))
		if err != nil {
			t.Fatal(err)
		}
		path = filepath.Join(os.Getenv("TMPDIR"), name+".env")
		if err := os.WriteFile(path, line, 0o600); err != nil {
			t.Fatal(err)
		}
		return path, string(line)
	}
	file, text := env("A")
	s.run(0, "", "secret", "import", file, "--into", "env", "--dry-run")
	s.run(0, "", "secret", "import", file, "--into", "env", "--dry-run", "--json")
	s.run(0, "", "secret", "import", file, "--into", "env", "--write-references") // no value stays in it
	s.run(5, text, "secret", "import", "-", "--into", "env")
	s.run(0, text, "secret", "import", "-", "--into", "env", "--replace", "--json")
	_, other := env("B")
	s.run(2, other+other, "secret", "import", "-", "--into", "env")
	s.run(2, other+value(), "secret", "import", "-", "--into", "env")
	s.run(2, "C='"+other, "secret", "import", "-", "--into", "env")
	s.run(5, other, "secret", "import", "-", "--into", "a/bearer")
	s.run(0, "", "secret", "export", "env", "--references")
	s.run(2, "", "secret", "export")
	s.run(0, "", "audit", "prove", "1")
	s.run(0, "", "audit", "export")
	s.run(0, "", "audit", "export", "--tiles", filepath.Join(os.Getenv("TMPDIR"), "record"))
	if err := os.Remove(filepath.Join(os.Getenv("TMPDIR"), "B.env")); err != nil {
		t.Fatal(err)
	}
}

// everyTool calls each tool rightly and wrongly, through one door.
func (s *scene) everyTool(say talk, api, bearer, query string) {
	t := s.t
	say("initialize", map[string]any{"protocolVersion": "2025-11-25", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "t", "version": "1"}})
	say("tools/list", map[string]any{})
	for _, name := range []string{"bearer", "query", "binary", "lines", "tiered", "homeless", "none"} {
		where := map[string]any{"path": "a/" + name}
		ticket := tool(t, say, "get_secret", where)
		if (ticket == nil) != (name == "tiered" || name == "homeless" || name == "none") {
			t.Errorf("get_secret a/%s: granted %v", name, ticket != nil)
		}
		handle, _ := ticket["handle"].(string)
		for _, as := range []string{"redacted", "plaintext", bearer} {
			tool(t, say, "get_secret", map[string]any{"path": "a/" + name, "as": as})
		}
		tool(t, say, "explain_access", map[string]any{"path": "a/" + name, "url": api + "/x"})
		tool(t, say, "rotate_secret", map[string]any{"namespace": "a", "key": map[bool]string{true: "none", false: name}[name == "bearer"]})
		for _, path := range []string{"/", "/redirect", "/error", "/hang", "/broken", "/headers", "/large"} {
			answer := tool(t, say, "http_request", map[string]any{"url": api + path, "headers": map[string]any{"Authorization": "Bearer " + handle}})
			if name == "bearer" && path == "/" && answer["masked"] == float64(0) {
				t.Error("the API's echo holds no value")
			}
			tool(t, say, "http_request", map[string]any{"url": api + path, "query": map[string]any{"key": handle}})
		}
		tool(t, say, "http_request", map[string]any{"url": "http://127.0.0.1:1/", "headers": map[string]any{"Authorization": "Bearer " + handle}})
	}
	tool(t, say, "list_secrets", map[string]any{})
	// A value in a wrong place: no answer and no log repeats it.
	for name, args := range map[string]any{
		"get_secret": map[string]any{"path": bearer, bearer: 1}, "list_secrets": map[string]any{"cursor": query},
		"http_request": map[string]any{"url": "https://" + query + "@x/", "method": bearer}, "rotate_secret": map[string]any{"path": query},
		"explain_access": map[string]any{"path": "a", "action": query}, bearer: map[string]any{},
	} {
		tool(t, say, name, args)
	}
	say(bearer, query)
	tool(t, say, "rotate_secret", map[string]any{"path": "a/bearer"})
}

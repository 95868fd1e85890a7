package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/cli"
)

// badCanary stands in every bad input, and in no answer to one.
const badCanary = "CANARYb4d1nput"

// TestBadInput sends every operation of the OpenAPI document, as a desk serves
// it, everything that may be wrong with a request. Status, code and text are those
// of CONTRACT §12, each status one that the document lists for the operation;
// nothing that was sent comes back, and nothing has changed afterwards. Bodies that
// stop half-way are in TestSlowREST of package httpd, which can shorten the wait.
func TestBadInput(t *testing.T) {
	s := newBadDesk(t)
	before := s.state(t)
	t.Run("operations", func(t *testing.T) {
		for _, o := range s.operations(t) {
			t.Run(o.id, func(t *testing.T) {
				t.Parallel()
				s.credentials(t, o)
				s.scopes(t, o)
				s.bodies(t, o)
				s.members(t, o)
				s.paths(t, o)
				s.queries(t, o)
				s.header(t, o)
			})
		}
	})
	if after := s.state(t); after != before {
		t.Errorf("something has changed, from\n%s\nto\n%s", before, after)
	}
}

// badDesk is a running desk and the credentials to come with.
type badDesk struct {
	run  func(t *testing.T, stdin string, args ...string) string
	addr string
	doc  object

	key   string            // of an agent that may do everything with what it has
	admin string            // of a person, who may restore
	read  string            // a token for app/secret alone
	bad   map[string]string // credentials that are none, by what is wrong with them
}

type object = map[string]any

const badPolicy = `
version: 1
rules:
  - name: programs
    agents: [program, gone]
    doors: [rest]
    paths: ["app/*"]
    allow: [list, reveal, set, rotate, delete, token]
`

func newBadDesk(t *testing.T) *badDesk {
	t.Helper()
	home := filepath.Join(t.TempDir(), "home")
	var mu sync.Mutex
	late := time.Duration(0)
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(late)
	}
	getenv := func(name string) string { return map[string]string{"COATCHECK_HOME": home}[name] }
	s := &badDesk{}
	s.run = func(t *testing.T, stdin string, args ...string) string {
		t.Helper()
		var out, said sink
		if code := cli.MainAt(context.WithoutCancel(t.Context()), cli.Streams{In: strings.NewReader(stdin), Out: &out, Err: &said}, args, getenv, now); code != 0 {
			t.Fatalf("%v ended with %d: %s", args, code, said.Bytes())
		}
		return string(out.Bytes())
	}
	s.run(t, "", "init")
	if err := os.WriteFile(filepath.Join(home, "policy.yaml"), []byte(badPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"app/secret", "app/other", "app/trashed"} {
		s.run(t, "value-of-the-secret", "secret", "set", path)
	}
	s.run(t, "", "secret", "delete", "app/trashed")
	s.admin = strings.TrimSpace(s.run(t, "", "admin", "add", "ada"))
	s.key = strings.TrimSpace(s.run(t, "", "agent", "add", "program"))
	gone := strings.TrimSpace(s.run(t, "", "agent", "add", "gone"))
	s.serve(t, getenv, now)

	// What is good until now has read already: the desk knows it.
	known := func(credential string) {
		t.Helper()
		s.want(t, s.send(t, "GET", "/v1/secrets/app/secret", credential, ""), 200, "")
	}
	ofGone, _ := s.token(t, gone, `{"scope":"secrets:read:app/*"}`)
	known(gone)
	known(ofGone)
	s.run(t, "", "agent", "revoke", "gone")
	expired, _ := s.token(t, s.key, `{"scope":"secrets:read:app/*","ttl_seconds":60}`)
	known(expired)
	mu.Lock()
	late = 61 * time.Second
	mu.Unlock()
	s.read, _ = s.token(t, s.key, `{"scope":"secrets:read:app/secret"}`)
	exhausted, _ := s.token(t, s.key, `{"scope":"secrets:read:app/*","max_uses":1}`)
	known(exhausted)
	foreign, _ := s.token(t, s.key, `{"scope":"secrets:read:app/*","allowed_ips":["192.0.2.1"]}`)
	revoked, id := s.token(t, s.key, `{"scope":"secrets:read:app/*"}`)
	known(revoked)
	s.want(t, s.send(t, "DELETE", "/v1/tokens/"+id, s.key, ""), 204, "")
	s.bad = map[string]string{
		"no key": "", "a wrong key": "ass_live_" + badCanary, "a wrong token": "ast_tok_" + badCanary, "a revoked agent's key": gone,
		"a revoked agent's token": ofGone, "an expired token": expired, "an exhausted token": exhausted, "a token for elsewhere": foreign, "a revoked token": revoked,
	}
	answer := s.send(t, "GET", "/v1/openapi.json", "", "")
	s.want(t, answer, 200, "")
	s.doc = answer.object(t)
	return s
}

// serve runs the desk until the test ends.
func (s *badDesk) serve(t *testing.T, getenv func(string) string, now func() time.Time) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	read, write := io.Pipe()
	done := make(chan int, 1)
	go func() {
		defer write.Close() //nolint:errcheck // a pipe in memory
		done <- cli.MainAt(ctx, cli.Streams{In: strings.NewReader(""), Out: io.Discard, Err: write}, []string{"serve", "--listen", "127.0.0.1:0", "--log-level", "debug"}, getenv, now)
	}()
	address := make(chan string, 1)
	var log sink
	read2 := make(chan struct{})
	go func() {
		defer close(read2)
		lines := bufio.NewScanner(io.TeeReader(read, &log))
		for lines.Scan() {
			if m := serving.FindStringSubmatch(lines.Text()); m != nil {
				address <- strings.TrimPrefix(m[1], "http://")
			}
		}
	}()
	s.addr = <-address
	t.Cleanup(func() {
		stop()
		if code := <-done; code != 0 {
			t.Errorf("serve ended with %d", code)
		}
		<-read2
		if text := log.Bytes(); bytes.Contains(text, []byte(badCanary)) || bytes.Contains(text, []byte("goroutine ")) {
			t.Errorf("the log has what was sent, or a stack:\n%s", text)
		}
	})
}

func (s *badDesk) token(t *testing.T, key, body string) (text, id string) {
	t.Helper()
	answer := s.send(t, "POST", "/v1/tokens", key, body)
	s.want(t, answer, 201, "")
	got := answer.object(t)
	text, _ = got["token"].(string)
	id, _ = got["token_id"].(string)
	return text, id
}

// state is everything that a bad request could have changed.
func (s *badDesk) state(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, args := range [][]string{{"secret", "list", "--deleted"}, {"secret", "history", "app/secret"}, {"agent", "list"}} {
		all.WriteString(s.run(t, "", append(args, "--json")...))
	}
	// When a value was last read is exact in the process that knows it.
	for _, target := range []string{"/v1/secrets?limit=200", "/v1/tokens?limit=200", "/v1/approvals"} {
		all.WriteString(s.send(t, "GET", target, s.key, "").body)
	}
	return all.String()
}

// badAnswer is an answer as it came.
type badAnswer struct {
	status int
	header http.Header
	body   string
}

func (a badAnswer) object(t *testing.T) (out object) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatalf("%d %q: %v", a.status, a.body, err)
	}
	return out
}

// send writes a request byte by byte as it is given: no client would send these.
func (s *badDesk) send(t *testing.T, method, target, key, body string, fields ...string) badAnswer {
	t.Helper()
	head := method + " " + target + " HTTP/1.1\r\nHost: " + s.addr + "\r\nConnection: close\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
	if key != "" {
		head += "Authorization: Bearer " + key + "\r\n"
	}
	if !slices.ContainsFunc(fields, func(f string) bool { return strings.HasPrefix(f, "Content-Type:") }) {
		fields = append(fields, "Content-Type: application/json")
	}
	for _, f := range fields {
		head += f + "\r\n"
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // read to its end
	go func() { _, _ = io.WriteString(conn, head+"\r\n"+body) }()
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(answer.Body)
	// What net/http did not read of a header that is too large it resets.
	if err != nil && answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return badAnswer{answer.StatusCode, answer.Header, string(text)}
}

var problemText = regexp.MustCompile(`^\{"error":\{"code":"[A-Z_]+","message":"([^"\\]|\\")+"(,"[a-z_]+":("[^"\\]*"|\d+))*\},"detail":"([^"\\]|\\")+"\}$`)

// want checks an answer: a status, the code of a problem, and that nothing else
// than the envelope is in one.
func (s *badDesk) want(t *testing.T, got badAnswer, status int, code string) {
	t.Helper()
	if got.status != status || code != "" && !strings.Contains(got.body, `{"error":{"code":"`+code+`",`) {
		t.Errorf("%d %s, want %d %s", got.status, got.body, status, code)
	}
	if code != "" && (!problemText.MatchString(got.body) || got.header.Get("Content-Type") != "application/json") {
		t.Errorf("%s %s", got.header.Get("Content-Type"), got.body)
	}
	for _, field := range got.header {
		if strings.Contains(strings.Join(field, ""), badCanary) {
			t.Errorf("what was sent came back: %v", got.header)
		}
	}
	if strings.Contains(got.body, badCanary) || strings.Contains(got.body, "goroutine") {
		t.Errorf("what was sent came back, or a stack: %s", got.body)
	}
}

// operation is one of the document.
type operation struct {
	id, method, pattern string
	open                bool
	queried             bool   // its arguments stand in the query
	properties          object // of its body, nil: it has none
	required            []any
	parameters          []any
	responses           object
}

func (s *badDesk) operations(t *testing.T) (all []operation) {
	t.Helper()
	paths, _ := s.doc["paths"].(object)
	for _, pattern := range slices.Sorted(maps.Keys(paths)) {
		item, _ := paths[pattern].(object)
		for _, method := range slices.Sorted(maps.Keys(item)) {
			described, is := item[method].(object)
			if !is { // the parameters that all of them have
				continue
			}
			o := operation{method: strings.ToUpper(method), pattern: pattern}
			o.id, _ = described["operationId"].(string)
			security, said := described["security"].([]any)
			o.open = said && len(security) == 0
			o.queried = method == "get" || method == "delete"
			o.parameters, _ = described["parameters"].([]any)
			o.responses, _ = described["responses"].(object)
			if body, has := described["requestBody"].(object); has {
				schema := s.resolve(at(body, "content", "application/json", "schema"))
				o.properties, _ = schema["properties"].(object)
				o.required, _ = schema["required"].([]any)
			}
			all = append(all, o)
		}
	}
	if len(all) < 25 {
		t.Fatalf("the document has %d operations", len(all))
	}
	return all
}

func at(from any, names ...string) any {
	for _, name := range names {
		from = from.(object)[name]
	}
	return from
}

func (s *badDesk) resolve(schema any) object {
	found, _ := schema.(object)
	if ref, is := found["$ref"].(string); is {
		return s.resolve(at(s.doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...))
	}
	return found
}

// target is the operation's, about a secret that is there and an id that is not.
func (o operation) target() string {
	path := "app/secret"
	if o.id == "restoreSecret" {
		path = "app/trashed"
	}
	return "/v1" + strings.NewReplacer("{path}", path, "{id}", "nothing").Replace(o.pattern)
}

// key is of somebody who may do what the operation does.
func (s *badDesk) keyOf(o operation) string {
	if o.id == "restoreSecret" || strings.HasPrefix(o.pattern, "/agents") {
		return s.admin
	}
	return s.key
}

// ask sends an operation something that is refused, and looks its status up.
func (s *badDesk) ask(t *testing.T, o operation, target, key, body string, status int, code string, fields ...string) badAnswer {
	t.Helper()
	got := s.send(t, o.method, target, key, body, fields...)
	s.want(t, got, status, code)
	if _, listed := o.responses[strconv.Itoa(got.status)]; !listed {
		t.Errorf("the document does not list %d", got.status)
	}
	return got
}

// credentials: without a good one every operation is refused in one text, also
// when everything else is wrong.
func (s *badDesk) credentials(t *testing.T, o operation) {
	t.Helper()
	if o.open {
		s.want(t, s.send(t, o.method, o.target(), "ass_live_"+badCanary, ""), 200, "")
		return
	}
	var text string
	for _, what := range slices.Sorted(maps.Keys(s.bad)) {
		got := s.ask(t, o, o.target(), s.bad[what], `{"value":"`+badCanary+`"}`, 401, "UNAUTHORIZED")
		if text == "" {
			text = got.body
		}
		if got.body != text {
			t.Errorf("%s: %s, else %s", what, got.body, text)
		}
	}
	s.want(t, s.send(t, o.method, o.target(), "", "{", "Authorization: Basic "+badCanary), 401, "UNAUTHORIZED")
	s.want(t, s.send(t, o.method, o.target(), s.key, "{", "Authorization: Bearer "+badCanary), 401, "UNAUTHORIZED")
}

// ownView are operations that answer anybody with a credential, about no more
// than what is his own: their status for a token that is for something else.
var ownView = map[string]int{
	"getMe": 200, "getSubscription": 200, "listSecrets": 200, "listApprovals": 200,
	"getToken": 404, "revokeToken": 404, "getApproval": 404, "watchApproval": 404, "cancelApproval": 404,
}

// scopes: beyond its scope a token learns nothing of what is there.
func (s *badDesk) scopes(t *testing.T, o operation) {
	t.Helper()
	if o.open {
		return
	}
	if !strings.Contains(o.pattern, "{path}") {
		status, code := 403, ""
		if known, is := ownView[o.id]; is {
			status = known
		}
		got := s.ask(t, o, o.target(), s.read, s.sound(t, o), status, code)
		if strings.Contains(got.body, "app/other") && o.id != "createSecret" && o.id != "importSecrets" && o.id != "createToken" {
			t.Errorf("tells of what is there: %s", got.body)
		}
		return
	}
	body := s.sound(t, o)
	var answers []string
	for _, path := range []string{"app/other", "app/nothing"} {
		target := "/v1" + strings.Replace(o.pattern, "{path}", path, 1)
		got := s.ask(t, o, target, s.read, body, 403, "")
		answers = append(answers, strings.ReplaceAll(got.body, path, "PATH"))
	}
	if answers[0] != answers[1] {
		t.Errorf("what is there is told from what is not:\n%s\n%s", answers[0], answers[1])
	}
}

// sound is a body that has what is required.
func (s *badDesk) sound(t *testing.T, o operation) string {
	t.Helper()
	if o.queried {
		return ""
	}
	return encoded(t, o.soundMembers())
}

func (o operation) soundMembers() object {
	body := object{}
	for _, name := range o.required {
		body[name.(string)] = "x"
	}
	switch o.id {
	case "createSecret":
		body["path"] = "app/other"
	case "createToken":
		body["scope"] = "secrets:read:app/other"
	case "importSecrets":
		body["namespace"], body["content"] = "app", "other=x"
	}
	if _, has := o.properties["description"]; len(body) == 0 && has && o.method == http.MethodPatch {
		body["description"] = "x"
	}
	return body
}

// members: each one that is required, left out and null.
func (s *badDesk) members(t *testing.T, o operation) {
	t.Helper()
	for _, required := range o.required {
		name, _ := required.(string)
		body := o.soundMembers()
		delete(body, name)
		s.ask(t, o, o.target(), s.keyOf(o), encoded(t, body), 400, "VALIDATION_ERROR")
		body[name] = nil
		s.ask(t, o, o.target(), s.keyOf(o), encoded(t, body), 400, "VALIDATION_ERROR")
	}
}

func encoded(t *testing.T, body object) string {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// bodies: what cannot be read one way only, and what would not be looked at. An
// operation reads its body whether or not it looks for something there.
func (s *badDesk) bodies(t *testing.T, o operation) {
	t.Helper()
	deep := strings.Repeat(`[`, 65) + strings.Repeat(`]`, 65)
	bad := []string{
		`{`, `[]`, `"` + badCanary + `"`, `null x`, `{} {}`, `{"` + badCanary + `":1,"` + badCanary + `":2}`, `{"a":{"` + badCanary + `":1,"` + badCanary + `":2}}`,
		"{\"" + badCanary + "\xff\":1}", `{"` + badCanary + `":` + deep + `}`, `{"a":NaN}`, `{"a":1,}`, "\xef\xbb\xbf{}",
	}
	for _, name := range slices.Sorted(maps.Keys(o.properties)) {
		bad = append(bad, wrong(name, s.resolve(o.properties[name])))
	}
	if o.queried {
		bad = append(bad, `{"`+badCanary+`":1}`, `{"permanent":true}`)
	}
	for _, body := range bad {
		s.ask(t, o, o.target(), s.keyOf(o), body, 400, "VALIDATION_ERROR")
		if t.Failed() {
			t.Fatalf("sent: %.200s", body)
		}
	}
	s.ask(t, o, o.target(), s.keyOf(o), `{"x":"`+badCanary+strings.Repeat("x", 4<<20)+`"}`, 413, "VALIDATION_ERROR")
	s.ask(t, o, o.target(), s.keyOf(o), `{"x":"`+badCanary+`"}`, 415, "VALIDATION_ERROR", "Content-Type: text/plain")
	s.ask(t, o, o.target(), s.keyOf(o), `{"x":"`+badCanary+`"}`, 415, "VALIDATION_ERROR", "Content-Encoding: gzip")
}

// wrong is a body whose member has a type that its schema does not name.
func wrong(name string, schema object) string {
	text := fmt.Sprintf("%v", schema)
	value := `{"` + badCanary + `":1}`
	switch {
	case strings.Contains(text, "type:object"):
		value = `["` + badCanary + `"]`
	case strings.Contains(text, "type:array"):
		value = `"` + badCanary + `"`
	}
	return `{"` + name + `":` + value + `}`
}

// paths: what may not stand in one, and methods that a route does not have.
func (s *badDesk) paths(t *testing.T, o operation) {
	t.Helper()
	if !strings.Contains(o.pattern, "{") {
		return
	}
	for _, path := range []string{
		"app/" + badCanary + "%00", "app/../" + badCanary, "app/%2e%2e/" + badCanary, "app/%252e%252e/" + badCanary, badCanary + "%252F", "app//" + badCanary,
		"./" + badCanary, badCanary + "%0a", badCanary + "%ff", "%2F" + badCanary,
	} {
		target := "/v1" + strings.NewReplacer("{path}", path, "{id}", path).Replace(o.pattern)
		s.ask(t, o, target, s.key, s.sound(t, o), 400, "VALIDATION_ERROR")
		if t.Failed() {
			t.Fatal(target)
		}
	}
	// net/http answers before there is a handler, in a text of its own.
	for _, path := range []string{badCanary + "%", badCanary + "%zz", badCanary + "%0"} {
		got := s.send(t, o.method, "/v1"+strings.NewReplacer("{path}", path, "{id}", path).Replace(o.pattern), s.key, s.sound(t, o))
		s.want(t, got, 400, "")
	}
	for _, method := range []string{http.MethodHead, http.MethodOptions, "PROPFIND"} {
		got := s.send(t, method, o.target(), s.key, "")
		s.want(t, got, 405, "")
		if !strings.Contains(got.header.Get("Allow"), o.method) {
			t.Errorf("%s: Allow %q lacks %s", method, got.header.Get("Allow"), o.method)
		}
	}
}

// queries: every parameter twice, and numbers and truths that are none.
func (s *badDesk) queries(t *testing.T, o operation) {
	t.Helper()
	for _, p := range o.parameters {
		name, _ := at(p, "name").(string)
		twice := name + "=" + url.QueryEscape(badCanary) + "&" + name + "=" + badCanary
		s.ask(t, o, o.target()+"?"+twice, s.key, "", 400, "VALIDATION_ERROR")
		if kind, _ := at(p, "schema", "type").(string); kind == "integer" || kind == "boolean" {
			s.want(t, s.send(t, o.method, o.target()+"?"+name+"="+badCanary, s.key, ""), 400, "VALIDATION_ERROR")
		}
		s.want(t, s.send(t, o.method, o.target()+"?"+name+"=%zz"+badCanary, s.key, ""), 400, "VALIDATION_ERROR")
	}
}

// header: one that is too large is net/http's own refusal; another Host is ours.
func (s *badDesk) header(t *testing.T, o operation) {
	t.Helper()
	s.ask(t, o, o.target(), s.key, "", 431, "", "X-Large: "+badCanary+strings.Repeat("x", 32<<10))
	s.ask(t, o, o.target(), s.key, "", 403, "ORIGIN_REFUSED", "Origin: http://"+badCanary)
}

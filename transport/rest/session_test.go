package rest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSessions replays testdata/*.txt: requests of both editions and the whole
// answer to each, as -update writes it. A file is a list of steps:
//
//	=== what the step shows
//	WHO METHOD TARGET
//	Field: value              (of the header, any number of lines)
//	{"body": …}
//	---
//	STATUS, header fields and body
//
// A step may instead be "pass DURATION", which moves the clock, or "keep NAME
// FIELD", which remembers a field of the answer before, or of its error, as $NAME.
func TestSessions(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	must(t, err)
	if len(files) == 0 {
		t.Fatal("no sessions")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			must(t, err)
			s := &session{desk: newDesk(t, programs), kept: map[string]string{}}
			golden(t, file, []byte(s.replay(t, string(text))))
		})
	}
}

type session struct {
	*desk
	kept map[string]string
	last reply
}

// replay runs every step and returns the file as it should be.
func (s *session) replay(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	head, steps, _ := strings.Cut(text, "\n===")
	out.WriteString(head)
	for step := range strings.SplitSeq(steps, "\n===") {
		title, rest, _ := strings.Cut(step, "\n")
		asked, _, _ := strings.Cut(rest, "\n---\n")
		asked = strings.TrimRight(asked, "\n")
		fmt.Fprintf(&out, "\n===%s\n%s\n", title, asked)
		if got := s.step(t, asked); got != "" {
			out.WriteString("---\n" + got)
		}
	}
	return out.String()
}

func (s *session) step(t *testing.T, asked string) string {
	t.Helper()
	for name, text := range s.kept {
		asked = strings.ReplaceAll(asked, "$"+name, text)
	}
	first, rest, _ := strings.Cut(asked, "\n")
	words := strings.SplitN(first, " ", 3)
	switch words[0] {
	case "pass":
		by, err := time.ParseDuration(words[1])
		must(t, err)
		s.mu.Lock()
		s.clock = s.clock.Add(by)
		s.mu.Unlock()
		return ""
	case "keep":
		fields := s.last.fields(t)
		if refused, ok := fields["error"].(map[string]any); ok {
			fields = refused
		}
		text, ok := fields[words[2]].(string)
		if !ok {
			t.Fatalf("no %s in %s", words[2], s.last.body)
		}
		s.kept[words[1]] = text
		return ""
	}
	var header []string
	for field := range strings.SplitSeq(rest, "\n") {
		name, value, ok := strings.Cut(field, ": ")
		if !ok || strings.HasPrefix(field, "{") {
			break
		}
		header = append(header, name, value)
		_, rest, _ = strings.Cut(rest, "\n")
	}
	s.last = s.send(t, words[0], words[1]+" "+words[2], rest, header...)
	return s.last.shown(t)
}

// random are the parts of an answer that are other ones each time.
var random = regexp.MustCompile(`(ass_live_|ass_admin_|ast_tok_|tok_|apr_|ref_|"next_cursor": "e)[0-9A-Za-z_-]{6,}`)

// shown is an answer as a session file has it.
func (r reply) shown(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	fmt.Fprintf(&out, "%d\n", r.status)
	for _, name := range []string{"Allow", "Retry-After", "Www-Authenticate"} {
		if value := r.header.Get(name); value != "" {
			fmt.Fprintf(&out, "%s: %s\n", name, value)
		}
	}
	switch {
	case strings.HasPrefix(r.body, "{\n  \"components\""):
		out.WriteString("(the document)\n")
	case r.body != "":
		var body any
		if err := json.Unmarshal([]byte(r.body), &body); err != nil {
			t.Fatalf("%d %s: %v", r.status, r.body, err)
		}
		text, err := json.MarshalIndent(body, "", "  ")
		must(t, err)
		out.Write(random.ReplaceAll(text, []byte("${1}…")))
		out.WriteString("\n")
	}
	return out.String()
}

// TestSessionsKnowEveryOperation: a route without a session is forgotten.
func TestSessionsKnowEveryOperation(t *testing.T) {
	var seen []string
	files, err := filepath.Glob("testdata/*.txt")
	must(t, err)
	request := regexp.MustCompile(`(?m)^\$?\w+ (GET|POST|PUT|PATCH|DELETE) (\S+)$`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		for _, found := range request.FindAllStringSubmatch(string(text), -1) {
			seen = append(seen, routed(found[1], found[2]))
		}
	}
	for _, o := range operations() {
		if !slices.Contains(seen, o) {
			t.Errorf("no session asks for %s", o)
		}
	}
}

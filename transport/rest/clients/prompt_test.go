package clients_test

import (
	"context"
	"io"
	"strings"
	"testing"
)

// createsAgent registers an agent with the command line, which asks for
// everything: each answer is typed once its question stands there.
func (d *desk) createsAgent(t *testing.T, name string) (key string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := d.command(ctx, t, "", "agents", "create")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out := &screen{changed: make(chan struct{}, 1)}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ question, answer string }{
		{"Agent name:", name + "\r"},
		{"Description (optional):", "Sends reminders\r"},
		{"Allowed namespaces", "production/database, staging\r"},
		{"Allowed scopes:", "\r"}, // read:secrets is chosen
	} {
		if !out.shows(ctx, step.question) {
			t.Fatalf("no question %q:\n%s", step.question, out)
		}
		if _, err := io.WriteString(in, step.answer); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	_ = in.Close() // the program runs as long as somebody could type
	if err := cmd.Wait(); err != nil {
		t.Fatalf("agents create: %v\n%s", err, out)
	}
	_, key, found := strings.Cut(out.String(), "ASS_AGENT_KEY=")
	key, _, _ = strings.Cut(key, "\n")
	if !found || key == "" {
		t.Fatalf("no key:\n%s", out)
	}
	return strings.TrimSpace(key)
}

// screen is what a program has shown.
type screen struct {
	heard
	changed chan struct{}
}

func (s *screen) Write(p []byte) (int, error) {
	n, err := s.heard.Write(p)
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return n, err
}

// shows waits until a text stands there.
func (s *screen) shows(ctx context.Context, text string) bool {
	for !strings.Contains(s.String(), text) {
		select {
		case <-s.changed:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

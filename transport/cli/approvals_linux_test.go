package cli_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestApproveAtATerminal: a person sees what they approve, is asked, and types
// the key where it is not shown.
func TestApproveAtATerminal(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "home")
	run := func(stdin string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "coatcheck", args...)
		cmd.Env = append(os.Environ(), "COATCHECK_HOME="+home, "COATCHECK_KEY_SOURCE=")
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	run("hunter2", "secret", "set", "a/b", "--to", "api.example.com", "--tier", "sensitive")
	key := run("", "admin", "add", "ada")
	run(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"script","version":"1"}}}
{"jsonrpc":"2.0","method":"notifications/initialized"}
{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"get_secret","arguments":{"path":"a/b"}}}
`, "mcp")
	request := func() (id, status string) {
		t.Helper()
		var list struct{ Approvals []struct{ ID, Status string } }
		if err := json.Unmarshal([]byte(run("", "approvals", "list", "--json")), &list); err != nil || len(list.Approvals) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		return list.Approvals[0].ID, list.Approvals[0].Status
	}
	id, _ := request()
	for _, tc := range []struct {
		name, answer string
		keys         []string
		code         int
		says, status string
	}{
		{"no", "n\n", nil, 1, "It was not approved", "pending"},
		{"the end", "\x04", nil, 1, "It was not approved", "pending"},
		{"another key", "y\n", []string{key[:len(key)-1] + "\n"}, 6, "that is no admin's key", "pending"},
		{"no key", "y\n", []string{"\n"}, 6, "that is no admin's key", "pending"},
		{"yes", "y\n", []string{key + "\n"}, 0, "is approved and can be used once", "approved"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := sitUntil(t, home, "[y/N] ", "approvals", "approve", id)
			if seen := p.said.String(); !strings.Contains(seen, "https://api.example.com") || !strings.Contains(seen, "agent:local") {
				t.Errorf("asked without showing it:\n%s", seen)
			}
			if _, err := p.screen.WriteString(tc.answer); err != nil {
				t.Fatal(err)
			}
			shown := p.answers(tc.keys)
			if _, err := p.said.ReadFrom(p.stderr); err != nil {
				t.Fatal(err)
			}
			_ = p.cmd.Wait()
			if code := p.cmd.ProcessState.ExitCode(); code != tc.code || !strings.Contains(p.said.String(), tc.says) {
				t.Errorf("code %d, want %d and %q:\n%s", code, tc.code, tc.says, p.said.String())
			}
			if !p.echoes() || strings.Contains(shown+p.said.String(), key[:20]) {
				t.Errorf("the key was shown: %q", shown)
			}
			_ = p.tty.Close()
			if _, status := request(); status != tc.status {
				t.Errorf("it is %s, want %s", status, tc.status)
			}
		})
	}
}

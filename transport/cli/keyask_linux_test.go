package cli_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPassphrasePrompt sits at a terminal: the passphrase is typed there, hidden,
// twice when it is set, and nowhere shown.
func TestPassphrasePrompt(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "home")
	const words, next = "correct horse battery staple", "quite another passphrase"
	setting := []string{"init", "--key-source", "passphrase:"}
	list := []string{"secret", "list"}
	for _, tc := range []struct {
		name  string
		args  []string
		lines []string
		code  int
		says  string
	}{
		{"too short", setting, []string{"hunter2\n", "hunter2\n"}, 2, "fewer than 12 characters"},
		{"set", []string{"init"}, []string{words + "\n", words + "\n"}, 0, ""},
		{"used", list, []string{words + "\n"}, 0, ""},
		{"at the third try", list, []string{"not this\n", "nor this\n", words + "\n"}, 0, ""},
		{"wrong", list, []string{"not this\n", "nor this\n", "nor that\n"}, 6, "not the one it was sealed with"},
		{"empty", list, []string{"\n"}, 2, "passphrase is empty"},
		{"interrupted", list, []string{"half of it\x03"}, 1, "interrupted"},
		{"a slip", []string{"rekey", "--to", "passphrase:"}, []string{words + "\n", next + "\n", next + "!\n"}, 2, "was not typed twice the same"},
		{"changed", []string{"rekey", "--to", "passphrase:"}, []string{words + "\n", next + "\n", next + "\n"}, 0, "The vault has a new key"},
		{"the one before", list, []string{words + "\n", words + "\n", words + "\n"}, 6, "not the one it was sealed with"},
		{"the new one", list, []string{next + "\n"}, 0, ""},
		{"an MCP client's program", []string{"mcp"}, nil, 6, "there is no terminal to ask at"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := seat(t, home, tc.args...)
			if err := p.cmd.Start(); err != nil {
				t.Fatal(err)
			}
			shown := p.answers(tc.lines)
			if _, err := p.said.ReadFrom(p.stderr); err != nil {
				t.Fatal(err)
			}
			_ = p.cmd.Wait()
			if code := p.cmd.ProcessState.ExitCode(); code != tc.code || !strings.Contains(p.said.String(), tc.says) {
				t.Errorf("code %d, want %d and %q:\n%s\n%s", code, tc.code, tc.says, p.said.String(), shown)
			}
			if !p.echoes() {
				t.Error("the terminal was left without echo")
			}
			_ = p.tty.Close()
			for _, line := range tc.lines {
				if typed := strings.TrimRight(line, "\n\x03"); typed != "" && strings.Contains(shown+p.said.String(), typed) {
					t.Errorf("%q was shown: %q", typed, shown)
				}
			}
		})
	}
}

// answers types a line at each prompt on the screen, and returns what was shown.
func (p *person) answers(lines []string) string {
	p.t.Helper()
	var shown bytes.Buffer
	buf := make([]byte, 1024)
	for _, line := range lines {
		for !strings.HasSuffix(shown.String(), "(hidden): ") {
			n, err := p.screen.Read(buf)
			if err != nil {
				p.t.Fatalf("no prompt: %v: %s", err, shown.String())
			}
			shown.Write(buf[:n])
		}
		for p.echoes() {
			time.Sleep(time.Millisecond)
		}
		shown.WriteString("\n") // so that the next prompt is waited for
		if _, err := p.screen.WriteString(line); err != nil {
			p.t.Fatal(err)
		}
	}
	return shown.String()
}

package cli_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// person sits at a terminal where coatcheck runs.
type person struct {
	t      *testing.T
	home   string
	screen *os.File // what they type and see
	tty    *os.File
	cmd    *exec.Cmd
	stderr *bufio.Reader
	said   bytes.Buffer
}

// sit starts a command on a terminal of its own and waits for its hidden prompt.
func sit(t *testing.T, home string, args ...string) *person {
	t.Helper()
	p := sitUntil(t, home, "(hidden): ", args...)
	for p.echoes() { // the prompt is written just before
		time.Sleep(time.Millisecond)
	}
	return p
}

// seat makes a terminal for a command that is not started yet.
func seat(t *testing.T, home string, args ...string) *person {
	t.Helper()
	p := &person{t: t, home: home}
	var err error
	if p.screen, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(p.screen.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(p.screen.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		p.tty, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath("coatcheck")
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.CommandContext(t.Context(), path, args...)
	p.cmd.Env = append(os.Environ(), "COATCHECK_HOME="+home, "COATCHECK_KEY_SOURCE=")
	p.cmd.Stdin = p.tty
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stderr = bufio.NewReader(stderr)
	return p
}

// sitUntil starts a command on a terminal of its own and waits until it has
// said something that ends so.
func sitUntil(t *testing.T, home, end string, args ...string) *person {
	t.Helper()
	p := seat(t, home, args...)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for !strings.HasSuffix(p.said.String(), end) {
		b, err := p.stderr.ReadByte()
		if err != nil {
			t.Fatalf("no prompt: %s", p.said.String())
		}
		p.said.WriteByte(b)
	}
	return p
}

// echoes reports whether the terminal shows what is typed.
func (p *person) echoes() bool {
	p.t.Helper()
	state, err := unix.IoctlGetTermios(int(p.tty.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// types types text, waits for the end of the command and returns its exit code
// and what the terminal showed.
func (p *person) types(text string) (code int, shown string) {
	p.t.Helper()
	if _, err := p.screen.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.said.ReadFrom(p.stderr); err != nil {
		p.t.Fatal(err)
	}
	_ = p.cmd.Wait()
	if !p.echoes() {
		p.t.Error("the terminal was left without echo")
	}
	_ = p.tty.Close()
	var seen bytes.Buffer
	_, _ = seen.ReadFrom(p.screen) // ends with EIO: nobody has the terminal
	_ = p.screen.Close()
	return p.cmd.ProcessState.ExitCode(), seen.String()
}

func TestPrompt(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "home")
	get := func() string {
		var out bytes.Buffer
		cmd := exec.CommandContext(t.Context(), "coatcheck", "secret", "get", "a/b")
		cmd.Env, cmd.Stdout = append(os.Environ(), "COATCHECK_HOME="+home, "COATCHECK_KEY_SOURCE="), &out
		_ = cmd.Run()
		return out.String()
	}

	p := sit(t, home, "secret", "set", "a/b")
	code, shown := p.types("correct horse\n")
	if code != 0 || strings.Contains(shown, "horse") || get() != "correct horse" {
		t.Fatalf("code %d, shown %q, stored %q\n%s", code, shown, get(), p.said.String())
	}

	for name, test := range map[string]struct {
		typed, says string
		code        int
	}{
		"nothing":       {"\n", "value is empty", 2},
		"Ctrl-C":        {"battery\x03", "interrupted", 1},
		"a line cut":    {strings.Repeat("x", 5000) + "\n", "may have been cut", 2},
		"a cut by half": {strings.Repeat("x", 4096) + "\n", "may have been cut", 2},
	} {
		t.Run(name, func(t *testing.T) {
			p := sit(t, home, "secret", "set", "a/b")
			p.t = t
			code, shown := p.types(test.typed)
			if code != test.code || !strings.Contains(p.said.String(), test.says) {
				t.Errorf("code %d, want %d and %q:\n%s", code, test.code, test.says, p.said.String())
			}
			if strings.Contains(shown, "battery") || strings.Contains(shown, "xx") {
				t.Errorf("shown: %q", shown)
			}
			if got := get(); got != "correct horse" {
				t.Errorf("stored %q", got)
			}
		})
	}
}

// TestImportAsksBeforeItRewrites: on a terminal references take the place of
// values when the person says yes, and not otherwise.
func TestImportAsksBeforeItRewrites(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		typed, holds string
		code         int
	}{
		"yes":      {"y\n", "A=coatcheck://ns/A\n", 0},
		"the word": {"Yes \n", "A=coatcheck://ns/A\n", 0},
		"no":       {"n\n", "A=hunter2\n", 0},
		"nothing":  {"\n", "A=hunter2\n", 0},
		"the end":  {"\x04", "A=hunter2\n", 0},
		"Ctrl-C":   {"y\x03", "A=hunter2\n", 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, ".env")
			if err := os.WriteFile(file, []byte("A=hunter2\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			p := sitUntil(t, filepath.Join(dir, "home"), "[y/N] ", "secret", "import", file, "--into", "ns")
			code, _ := p.types(test.typed)
			text, err := os.ReadFile(file)
			if err != nil || code != test.code || string(text) != test.holds {
				t.Errorf("code %d, the file holds %q (%v)\n%s", code, text, err, p.said.String())
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != 2 {
				t.Errorf("%v beside the file, %v", entries, err)
			}
		})
	}
}

// TestSetAsksBeforeAKeyMayGo: on a terminal a key goes to its provider when the
// person says yes, and not otherwise. What is a choice is not asked.
func TestSetAsksBeforeAKeyMayGo(t *testing.T) {
	const body = "0123abcd0123abcd0123abcd0123abcd"
	for name, test := range map[string]struct {
		typed, says, holds string
		args               []string
	}{
		"yes":        {"sk-proj-" + body + "\ny\n", "[y/N] ", `"to": "https://api.openai.com"`, nil},
		"no":         {"sk-proj-" + body + "\nn\n", "--keep-value --to api.openai.com", `"destinations": []`, nil},
		"nothing":    {"sk-proj-" + body + "\n\n", "--keep-value --to api.openai.com", `"destinations": []`, nil},
		"the end":    {"sk-proj-" + body + "\n\x04", "--keep-value --to api.openai.com", `"destinations": []`, nil},
		"a choice":   {"AIza" + body + "012\n", "one of these", `"destinations": []`, nil},
		"answered":   {"sk-proj-" + body + "\n", "may go to", `"to": "https://example.com"`, []string{"--to", "example.com"}},
		"a sentence": {"correct horse\n", "may go nowhere yet", `"destinations": []`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			home := filepath.Join(t.TempDir(), "home")
			p := sit(t, home, append([]string{"secret", "set", "a/b"}, test.args...)...)
			code, shown := p.types(test.typed)
			asked := strings.Contains(p.said.String(), "[y/N]")
			if code != 0 || !strings.Contains(p.said.String(), test.says) || strings.Contains(shown+p.said.String(), body) {
				t.Errorf("code %d, shown %q\n%s", code, shown, p.said.String())
			}
			if want := strings.HasPrefix(test.typed, "sk-") && test.args == nil; asked != want {
				t.Errorf("asked: %v\n%s", asked, p.said.String())
			}
			var out bytes.Buffer
			cmd := exec.CommandContext(t.Context(), "coatcheck", "--json", "secret", "describe", "a/b")
			cmd.Env, cmd.Stdout = append(os.Environ(), "COATCHECK_HOME="+home, "COATCHECK_KEY_SOURCE="), &out
			if err := cmd.Run(); err != nil || !strings.Contains(out.String(), test.holds) {
				t.Errorf("%v, holds %s", err, out.String())
			}
			if strings.Contains(out.String(), `"type": "api_key"`) != (name == "yes") {
				t.Errorf("type: %s", out.String())
			}
		})
	}
}

// TestExportShowsNothingOnATerminal unless it is told to.
func TestExportShowsNothingOnATerminal(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "home")
	p := sit(t, home, "secret", "set", "ns/A")
	if code, _ := p.types("hunter2\n"); code != 0 {
		t.Fatal(p.said.String())
	}
	for _, test := range []struct {
		args  []string
		code  int
		shows bool
	}{
		{[]string{"ns"}, 2, false},
		{[]string{"ns", "--json"}, 2, false},
		{[]string{"ns", "--references"}, 0, false},
		{[]string{"ns", "--show"}, 0, true},
	} {
		p := seat(t, home, append([]string{"secret", "export"}, test.args...)...)
		p.cmd.Stdout = p.tty
		if err := p.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		code, shown := p.types("")
		if code != test.code || strings.Contains(shown, "hunter2") != test.shows {
			t.Errorf("%v: code %d, shown %q", test.args, code, shown)
		}
	}
}

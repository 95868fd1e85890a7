package cli_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/tools"
	"github.com/coatcheck-dev/coatcheck/transport/cli"
)

var update = flag.Bool("update", false, "rewrite goldens and the generated parts of the README")

const readmePath = "../../README.md"

// reader is a person who follows the README on a machine of their own: an empty
// home folder, and nothing but what the README installs.
type reader struct {
	t    *testing.T
	home string
	dir  string
	env  []string
}

func newReader(t *testing.T) *reader {
	t.Helper()
	home, repo := t.TempDir(), absolute(t, "../..")
	bin := filepath.Join(home, "bin")
	r := &reader{t: t, home: home, dir: home}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN", "GOROOT"} {
		out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		value := strings.TrimSpace(string(out))
		if name == "GOFLAGS" { // else Go compiles each package anew for the folder of the clone
			value += " -trimpath"
		}
		r.env = append(r.env, name+"="+value)
	}
	r.env = append(r.env, "HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, ".config"), "GOBIN="+bin, "PATH="+bin+":"+os.Getenv("PATH"),
		"OPENAI_API_KEY=sk-proj-"+rand.Text(), "CLIENT_SECRET="+rand.Text(), "TMPDIR="+home, "CGO_ENABLED=0",
		// The address in the README means this working copy here.
		"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=url."+repo+".insteadOf", "GIT_CONFIG_VALUE_0=https://github.com/coatcheck-dev/coatcheck",
		"GIT_CONFIG_KEY_1=safe.directory", "GIT_CONFIG_VALUE_1=*")
	return r
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func (r *reader) command(line string) *exec.Cmd {
	cmd := exec.CommandContext(r.t.Context(), "bash", "-euo", "pipefail", "-c", line)
	cmd.Dir, cmd.Env = r.dir, r.env
	return cmd
}

func (r *reader) do(line string) string {
	r.t.Helper()
	switch line {
	case "make test": // this very run
		line = "make -n test"
	case "coatcheck serve":
		r.serve()
		return ""
	}
	var stdout, stderr bytes.Buffer
	cmd := r.command(line)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		r.t.Errorf("%s: %v\n%s%s", line, err, stdout.String(), stderr.String())
	}
	if strings.HasSuffix(line, "&& cd coatcheck") {
		r.dir = filepath.Join(r.dir, "coatcheck")
	}
	return stdout.String()
}

// serve starts the server on a free port, waits until it says where it is, and
// ends it as Ctrl-C does.
func (r *reader) serve() {
	r.t.Helper()
	config := filepath.Join(r.home, ".config", "coatcheck", "config.yaml")
	text, err := os.ReadFile(config)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(config, bytes.Replace(text, []byte("127.0.0.1:7420"), []byte("127.0.0.1:0"), 1), 0o600); err != nil {
		r.t.Fatal(err)
	}
	cmd := r.command("exec coatcheck serve")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	seen, lines := "", bufio.NewScanner(stderr)
	for !serving.MatchString(seen) && lines.Scan() {
		seen += lines.Text() + "\n"
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		r.t.Error(err)
	}
	for lines.Scan() {
		seen += lines.Text() + "\n"
	}
	if err := cmd.Wait(); err != nil || !serving.MatchString(seen) {
		r.t.Errorf("coatcheck serve: %v\n%s", err, seen)
	}
}

var (
	shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")
	handleText = regexp.MustCompile(`ash_[0-9A-Za-z]{28}`)
	demoValue  = regexp.MustCompile(`demo-[A-Z2-7]{26}`)
	demoPort   = regexp.MustCompile(`127\.0\.0\.1:\d+ *`)
)

// TestReadme follows the README word for word, and holds its generated parts.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(readmePath)
	if err != nil {
		t.Fatal(err)
	}
	r := newReader(t)
	if err := os.MkdirAll(filepath.Join(r.dir, ".cursor"), 0o700); err != nil {
		t.Fatal(err)
	}
	var demo string
	for _, block := range shellBlock.FindAllSubmatch(text, -1) {
		for line := range strings.Lines(string(block[1])) {
			line = strings.TrimSpace(line)
			if strings.Contains(line, "signing-key.txt") {
				if err := os.WriteFile(filepath.Join(r.dir, "signing-key.txt"), []byte(rand.Text()+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if out := r.do(line); line == "go run . demo" {
				demo = out
			}
		}
	}
	want := string(text)
	for name, part := range map[string]string{"demo": demoPicture(demo), "tools": toolTable(), "exit-codes": exitCodeTable(), "limits": limitTable(t)} {
		want = replacePart(t, want, name, part)
	}
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatal("the generated parts of the README are old; run: go test ./transport/cli -run TestReadme -update")
	}
	if err := os.WriteFile(readmePath, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// demoPicture is the demo's output with what is random made the same each time.
func demoPicture(out string) string {
	out = handleText.ReplaceAllString(out, "ash_4kTz0Qm8bXw2RrVn6LsYf1JcHd3G")
	out = demoValue.ReplaceAllString(out, "demo-K3VJ5Q2XWZ7LM4TBN6RYHDCPGE")
	out = demoPort.ReplaceAllStringFunc(out, func(s string) string {
		if strings.HasSuffix(s, " ") {
			return fmt.Sprintf("%-*s", len(s), "127.0.0.1:40817")
		}
		return "127.0.0.1:40817"
	})
	var lines []string
	for line := range strings.Lines(out) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return "```text\n" + strings.Join(lines, "\n") + "\n```\n"
}

func toolTable() string {
	var b strings.Builder
	b.WriteString("| tool | what it does |\n|---|---|\n")
	for _, tool := range tools.All(nil) {
		first, _, _ := strings.Cut(tool.Description, ". ")
		first, _, _ = strings.Cut(first, "\n")
		fmt.Fprintf(&b, "| `%s` | %s. |\n", tool.Name, strings.TrimSuffix(first, "."))
	}
	return b.String()
}

func exitCodeTable() string {
	var b strings.Builder
	b.WriteString("| exit code | meaning |\n|---|---|\n")
	for _, row := range cli.ExitCodes() {
		fmt.Fprintf(&b, "| %d | %s |\n", row.Code, row.Meaning)
	}
	return b.String()
}

// replacePart puts part between the README's markers <!-- name… --> and <!-- /name -->.
func replacePart(t *testing.T, text, name, part string) string {
	t.Helper()
	marks := regexp.MustCompile(`(?s)(<!-- ` + name + `:.*? -->\n).*?(<!-- /` + name + ` -->)`)
	if !marks.MatchString(text) {
		t.Fatalf("the README has no markers for %s", name)
	}
	return marks.ReplaceAllStringFunc(text, func(old string) string {
		m := marks.FindStringSubmatch(old)
		return m[1] + part + m[2]
	})
}

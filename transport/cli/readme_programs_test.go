package cli_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

var (
	programs  = regexp.MustCompile("(?s)\n## Programs\n(.*?)\n## ")
	yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")
	bashBlock = regexp.MustCompile("(?s)```bash\n(.*?)```")
)

// TestReadmePrograms reads a secret as the README tells programs to: its rule, its
// two requests, and how to wait for people.
func TestReadmePrograms(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(readmePath)
	if err != nil {
		t.Fatal(err)
	}
	section := programs.FindSubmatch(text)
	if section == nil {
		t.Fatal("there is no section")
	}
	rules, requests := yamlBlock.FindSubmatch(section[1]), bashBlock.FindAllSubmatch(section[1], -1)
	if rules == nil || len(requests) != 2 {
		t.Fatal("there is no rule, or another number of requests")
	}
	r := newReader(t)
	r.do("coatcheck init")
	key := strings.TrimSpace(r.do("coatcheck agent add deploy"))
	r.do("printf %s hunter2-of-a-test | coatcheck secret set production/deploy/db-password")
	policyFile := r.home + "/.config/coatcheck/policy.yaml"
	if err := os.WriteFile(policyFile, append([]byte("version: 1\n"), rules[1]...), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "coatcheck", "serve", "--listen", "127.0.0.1:0")
	cmd.Env = r.env
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	url := ""
	for lines := bufio.NewScanner(stderr); url == "" && lines.Scan(); {
		url = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(lines.Text())
	}
	ask := func(line, name, value string) map[string]any {
		t.Helper()
		r.env = append(r.env, name+"="+value)
		var got map[string]any
		if out := r.do(strings.ReplaceAll(line, "http://127.0.0.1:7420", url)); json.Unmarshal([]byte(out), &got) != nil {
			t.Fatalf("%s\n%s", line, out)
		}
		return got
	}
	lines := strings.Split(strings.TrimSpace(string(requests[0][1])), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d requests", len(lines))
	}
	token, _ := ask(lines[0], "KEY", key)["token"].(string)
	if got := ask(lines[1], "TOKEN", token); got["value"] != "hunter2-of-a-test" || got["version"] != 1.0 {
		t.Errorf("%v", got)
	}
	if again := ask(lines[1], "TOKEN", token); again["error"] == nil {
		t.Errorf("a token for one use is good for two: %v", again)
	}

	// What people must agree to is asked for, waited for and asked for again.
	r.do("printf %s guarded-hunter2 | coatcheck secret set production/deploy/root --tier sensitive")
	ada := strings.TrimSpace(r.do("coatcheck admin add ada"))
	guarded := strings.NewReplacer("TOKEN", "KEY", "db-password", "root").Replace(lines[1])
	id, _ := ask(guarded, "KEY", key)["approval_id"].(string)
	poll := string(requests[1][1])
	if got := ask(poll, "APPROVAL_ID", id); got["status"] != "pending" {
		t.Errorf("before: %v", got)
	}
	ask(`curl -X POST -H "Authorization: Bearer $ADA" http://127.0.0.1:7420/v1/approvals/$APPROVAL_ID/approve`, "ADA", ada)
	if got := ask(poll, "APPROVAL_ID", id); got["status"] != "approved" {
		t.Errorf("after: %v", got)
	}
	if got := ask(guarded, "KEY", key); got["value"] != "guarded-hunter2" {
		t.Errorf("once agreed: %v", got)
	}
}

package cli_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestManyStartAtOnce opens one home that does not exist yet from several
// processes, as the clients of a machine do when its user logs in.
func TestManyStartAtOnce(t *testing.T) {
	t.Parallel()
	coatcheck, err := exec.LookPath("coatcheck") // put there by testscript.Main
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "home")
	env := append(os.Environ(), "COATCHECK_HOME="+dir, "COATCHECK_KEY_SOURCE=", "COATCHECK_AGENT_KEY=", "ASS_AGENT_KEY=")
	command := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), coatcheck, args...)
		cmd.Env = env
		return cmd
	}
	var commands sync.WaitGroup
	start := make(chan struct{})
	for i := range 6 {
		commands.Go(func() {
			cmd := command("secret", "set", fmt.Sprintf("a/b%d", i))
			if i%3 == 0 {
				cmd = command("mcp")
			}
			cmd.Stdin = strings.NewReader("v1")
			if i%3 == 0 {
				cmd.Stdin = strings.NewReader("")
			}
			<-start
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s", cmd.Args[1:], err, out)
			}
		})
	}
	close(start)
	commands.Wait()
	for _, i := range []int{1, 2, 4, 5} {
		if out, err := command("secret", "get", fmt.Sprintf("a/b%d", i)).Output(); err != nil || string(out) != "v1" {
			t.Errorf("a/b%d: %q, %v", i, out, err)
		}
	}
	if out, err := command("audit", "verify").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if got, want := strings.Join(names, " "), "checkpoint checkpoint.lock config.yaml key policy.yaml vault.db vault.db-gate vault.db-turn"; got != want {
		t.Errorf("the home holds %s; want %s", got, want)
	}
	text, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil || bytes.Count(text, []byte("coatcheck-key-1:")) != 1 {
		t.Errorf("key: %d bytes, %v", len(text), err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "vault.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, table := range []string{"vault_keyring", "audit_keys"} {
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil || n != 1 {
			t.Errorf("%s: %d rows, %v", table, n, err)
		}
	}
}

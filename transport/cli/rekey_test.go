package cli_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/transport/cli"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
	"github.com/coatcheck-dev/coatcheck/vault/sqldb"
)

var (
	rekeyKills   = flag.Int("rekey.kills", 20, "how many rekeys to kill at random moments")
	rekeySecrets = flag.Int("rekey.secrets", 450, "how many secrets those vaults hold")
)

// rekeyHome is a home, and a second place for its key.
type rekeyHome struct {
	dir     string
	secrets int
}

func (h rekeyHome) home() string  { return filepath.Join(h.dir, "home") }
func (h rekeyHome) old() string   { return embedded.FileURI(filepath.Join(h.home(), "key")) }
func (h rekeyHome) other() string { return embedded.FileURI(filepath.Join(h.dir, "other")) }

// command runs coatcheck on the home, as a process, and returns its code and what
// it wrote.
func (h rekeyHome) command(t *testing.T, env string, args ...string) (code int, out string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "coatcheck", args...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "HOME="+h.dir, "COATCHECK_HOME="+h.home(), "COATCHECK_KEY_SOURCE=", env)
	text, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}

// here is command in this process, which is there already.
func (h rekeyHome) here(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	var text sink
	env := map[string]string{"HOME": h.dir, "COATCHECK_HOME": h.home()}
	code = cli.Main(t.Context(), cli.Streams{In: strings.NewReader(""), Out: &text, Err: &text}, args, func(name string) string { return env[name] })
	return code, string(text.Bytes())
}

func (h rekeyHome) must(t *testing.T, args ...string) string {
	t.Helper()
	code, out := h.here(t, args...)
	if code != 0 {
		t.Fatalf("%v: code %d: %s", args, code, out)
	}
	return out
}

// newRekeyHome makes a home with that many secrets of two versions each.
func newRekeyHome(t *testing.T, secrets int) rekeyHome {
	t.Helper()
	h := rekeyHome{dir: t.TempDir(), secrets: secrets}
	if err := os.Chmod(h.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	h.must(t, "init")
	h.must(t, "agent", "add", "ci")
	h.use(t, h.old(), func(db *sqldb.DB, v *embedded.Vault) error {
		return db.Update(t.Context(), func(tx *sqldb.Tx) error {
			for i := range secrets {
				for version := range 2 {
					value := secret.New(fmt.Appendf(nil, "value %d of %d", version+1, i))
					if _, err := v.InTx(tx).Put(path(i), vault.Change{Value: value}); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
	return h
}

func path(i int) vault.Path { return vault.Path(fmt.Sprintf("s/%06d", i)) }

// copied is the home once more, elsewhere.
func (h rekeyHome) copied(t *testing.T) rekeyHome {
	t.Helper()
	next := rekeyHome{dir: t.TempDir(), secrets: h.secrets}
	if err := os.CopyFS(next.dir, os.DirFS(h.dir)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{next.dir, next.home()} {
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(next.home())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.Chmod(filepath.Join(next.home(), f.Name()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return next
}

// use opens the vault with a source, in this process.
func (h rekeyHome) use(t *testing.T, uri string, fn func(*sqldb.DB, *embedded.Vault) error) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), filepath.Join(h.home(), "vault.db"), cli.Migrations())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	src, err := embedded.ParseKeySource(uri)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := embedded.OpenKeyring(t.Context(), db, src)
	if err != nil {
		t.Fatal(err)
	}
	if err := fn(db, embedded.New(db, keys, nil)); err != nil {
		t.Fatal(err)
	}
}

// check looks at a home after a kill: exactly one of the two sources opens it,
// every value is there, and the command itself finds the right source.
func (h rekeyHome) check(t *testing.T) (opens string) {
	t.Helper()
	for _, uri := range []string{h.old(), h.other()} {
		src, err := embedded.ParseKeySource(uri)
		if err != nil {
			t.Fatal(err)
		}
		db, err := sqldb.Open(t.Context(), filepath.Join(h.home(), "vault.db"), cli.Migrations())
		if err != nil {
			t.Fatal(err)
		}
		_, err = embedded.OpenKeyring(t.Context(), db, src)
		if err == nil && opens != "" {
			t.Fatal("both sources open it")
		}
		if err == nil {
			opens = uri
		} else if !errors.Is(err, vault.ErrKeyWrong) && !errors.Is(err, vault.ErrKeyMissing) {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if opens == "" {
		t.Fatal("no source opens it")
	}
	h.use(t, opens, func(_ *sqldb.DB, v *embedded.Vault) error {
		for i := range h.secrets {
			for version := range 2 {
				s, err := v.Get(t.Context(), path(i), version+1)
				if err != nil || string(s.Value.Reveal()) != fmt.Sprintf("value %d of %d", version+1, i) {
					return fmt.Errorf("%s, version %d: %w", path(i), version+1, err)
				}
			}
		}
		return nil
	})
	if out := h.must(t, "secret", "get", string(path(1))); out != "value 2 of 1" {
		t.Fatalf("the command reads %q", out)
	}
	return opens
}

// finish runs rekey again and looks at what it has come to.
func (h rekeyHome) finish(t *testing.T, args ...string) {
	t.Helper()
	h.must(t, append([]string{"rekey"}, args...)...)
	if opens := h.check(t); opens != h.other() {
		t.Errorf("%s opens it", opens)
	}
	if _, err := os.Stat(filepath.Join(h.home(), "rekey")); err == nil {
		t.Error("the note of the change is left")
	}
}

// audits asks the commands that judge a home.
func (h rekeyHome) audits(t *testing.T) {
	t.Helper()
	if out := h.must(t, "doctor"); strings.Contains(out, "not finished") || !strings.Contains(out, "by key_source in ") {
		t.Errorf("doctor says\n%s", out)
	}
	h.must(t, "audit", "verify")
	h.must(t, "agent", "list")
}

// TestRekeyKilledAtEveryStep kills the command after its first step, its second
// one and so on, and runs it again.
func TestRekeyKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	whole := newRekeyHome(t, 250)
	saw := map[string]int{}
	for step := 1; ; step++ {
		h := whole.copied(t)
		code, out := h.command(t, fmt.Sprintf("KILL=%d", step), "rekey", "--to", h.other())
		opens := h.check(t)
		if opens == h.old() {
			saw["old"]++
		} else {
			saw["new"]++
		}
		if code == 0 {
			break
		}
		if code != -1 {
			t.Fatalf("step %d: code %d: %s", step, code, out)
		}
		if _, err := os.Stat(filepath.Join(h.home(), "rekey")); err == nil || opens == h.other() {
			if code, out := h.command(t, "KILL=1", "rekey"); code != -1 && code != 0 {
				t.Fatalf("step %d, the second run: code %d: %s", step, code, out)
			}
			h.check(t)
			h.finish(t) // goes on to the source that was named then
		} else {
			h.finish(t, "--to", h.other()) // nothing had been begun
		}
		h.audits(t)
	}
	// Key made, change noted; switched, configured, four batches, done.
	if saw["old"] != 2 || saw["new"] < 7 {
		t.Errorf("the old source opened it %d times, the new one %d times", saw["old"], saw["new"])
	}
}

// TestRekeyKilledAtRandom kills the command at any moment.
func TestRekeyKilledAtRandom(t *testing.T) {
	t.Parallel()
	whole := newRekeyHome(t, *rekeySecrets)
	timed := whole.copied(t)
	start := time.Now()
	if code, out := timed.command(t, "", "rekey", "--to", timed.other()); code != 0 {
		t.Fatalf("code %d: %s", code, out)
	}
	usual := time.Since(start)
	saw := map[int]int{}
	for killed := range *rekeyKills {
		h := whole.copied(t)
		ctx, cancel := context.WithTimeout(t.Context(), rand.N(usual))
		cmd := exec.CommandContext(ctx, "coatcheck", "rekey", "--to", h.other()) // killed at the end of ctx
		cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", "HOME="+h.dir, "COATCHECK_HOME="+h.home(), "COATCHECK_KEY_SOURCE=")
		_ = cmd.Run()
		cancel()
		saw[cmd.ProcessState.ExitCode()]++
		h.check(t)
		h.finish(t, "--to", h.other())
		if killed%10 == 0 {
			h.audits(t)
		}
	}
	t.Logf("exit codes of %d runs of up to %v: %v", *rekeyKills, usual.Round(time.Millisecond), saw)
}

// TestRekeyLeavesNothingSealed looks at every column of every table for what the
// old key has sealed: a store that seals something must be one of those that
// seal it anew.
func TestRekeyLeavesNothingSealed(t *testing.T) {
	t.Parallel()
	h := newRekeyHome(t, 20)
	h.must(t, "audit", "verify")
	var old string
	h.use(t, h.old(), func(db *sqldb.DB, _ *embedded.Vault) error {
		return db.View(t.Context(), func(tx *sqldb.Tx) error {
			var record []byte
			err := tx.QueryRow("SELECT record FROM vault_secrets LIMIT 1").Scan(&record)
			old = fmt.Sprintf("%X", record[:5])
			return err
		})
	})
	before, after := h.sealedBy(t, h.old(), old), 0
	h.must(t, "rekey")
	left := h.sealedBy(t, h.old(), old)
	for table, n := range left {
		after += n
		t.Errorf("%d values in %s are sealed with the key that was dropped", n, table)
	}
	if before["vault_secrets.record"] != 20 || before["vault_versions.head"] != 40 || before["audit_keys.sealed"] != 1 || after != 0 {
		t.Errorf("before %v, after %v", before, left)
	}
}

// sealedBy counts the values that begin with what the key puts before them.
func (h rekeyHome) sealedBy(t *testing.T, uri, prefix string) map[string]int {
	t.Helper()
	count := map[string]int{}
	h.use(t, uri, func(db *sqldb.DB, _ *embedded.Vault) error {
		return db.View(t.Context(), func(tx *sqldb.Tx) error {
			return tx.Query("SELECT m.name, p.name FROM sqlite_schema m, pragma_table_info(m.name) p WHERE m.type = 'table'", nil, func(scan func(...any) error) error {
				var table, column string
				if err := scan(&table, &column); err != nil {
					return err
				}
				var n int
				err := tx.QueryRow(fmt.Sprintf("SELECT count(*) FROM %q WHERE hex(substr(%q, 1, 5)) = ?", table, column), prefix).Scan(&n)
				if n > 0 {
					count[table+"."+column] = n
				}
				return err
			})
		})
	})
	return count
}

// TestRekeyTwiceAtOnce: of two commands one works, the other says so.
func TestRekeyTwiceAtOnce(t *testing.T) {
	t.Parallel()
	h := newRekeyHome(t, 10)
	codes := make(chan int)
	for range 2 {
		go func() {
			code, _ := h.command(t, "", "rekey")
			codes <- code
		}()
	}
	first, second := <-codes, <-codes
	if first+second != 7 && first+second != 0 { // the second may have come after the first
		t.Errorf("codes %d and %d", first, second)
	}
	h.must(t, "rekey")
	if opens := h.check(t); opens != h.old() {
		t.Errorf("%s opens it", opens)
	}
}

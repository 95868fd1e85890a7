//go:build unix

package cli_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRekeyKeepsTheConfiguration: config.yaml may be a link, and others may read
// it; a new key_source changes that line and nothing else.
func TestRekeyKeepsTheConfiguration(t *testing.T) {
	h := newRekeyHome(t, 2)
	config, target := filepath.Join(h.home(), "config.yaml"), filepath.Join(h.dir, "real.yaml")
	if err := os.Rename(config, target); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(target)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, config); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(target, 0o644); err != nil {
		t.Fatal(err)
	}
	h.must(t, "rekey", "--to", h.other())
	if info, err := os.Lstat(config); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
	if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(target)
	want := strings.Replace(string(before), `key_source: ""`, `key_source: "`+h.other()+`"`, 1)
	if err != nil || string(text) != want {
		t.Errorf("it holds\n%s\n%v", text, err)
	}
	h.check(t)

	// One that its owner may not write is told of before anything is done.
	if err := os.Chmod(target, 0o444); err != nil {
		t.Fatal(err)
	}
	if code, out := h.command(t, "", "rekey", "--to", h.old()); code != 7 || !strings.Contains(out, "config.yaml cannot be changed") {
		t.Errorf("code %d: %s", code, out)
	}
	if opens := h.check(t); opens != h.other() {
		t.Errorf("%s opens it", opens)
	}
	if _, err := os.Stat(filepath.Join(h.home(), "rekey")); err == nil {
		t.Error("a change was begun")
	}
}

// TestConfigurationTooLong: what stands behind the part that is read is not taken
// for absent.
func TestConfigurationTooLong(t *testing.T) {
	h := newRekeyHome(t, 2)
	config := filepath.Join(h.home(), "config.yaml")
	text := strings.Repeat("# padding\n", 7000) + `key_source: "` + h.other() + "\"\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := h.command(t, "", "secret", "list"); code != 8 || !strings.Contains(out, "larger than 64 KiB") {
		t.Errorf("code %d: %s", code, out)
	}
}

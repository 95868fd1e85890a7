package embedded_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
)

func TestFileURI(t *testing.T) {
	for _, path := range []string{"/a/b", "/with space/100%/k?y#z", "/ä"} {
		if runtime.GOOS == "windows" {
			path = "C:" + path
		}
		src, err := embedded.ParseKeySource(embedded.FileURI(path))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if got := src.String(); got != embedded.FileURI(path) {
			t.Errorf("%s became %s", path, got)
		}
		_, err = src.Open(t.Context(), nil, nil)
		if !errors.Is(err, vault.ErrKeyMissing) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func source(t *testing.T, path string) embedded.KeySource {
	t.Helper()
	src, err := embedded.ParseKeySource(embedded.FileURI(path))
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestCreateKeyFile(t *testing.T) {
	dir := privateDir(t)
	path := filepath.Join(dir, "key")
	if err := embedded.CreateKeyFile(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^(#[^\n]*\n)+coatcheck-key-1:[0-9a-f]{64}:[0-9a-f]{8}\n$`).Match(text) {
		t.Error("the file is not as documented")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := embedded.CreateKeyFile(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second time: %v", err)
	}
	if again, _ := os.ReadFile(path); string(again) != string(text) {
		t.Error("the key was changed")
	}
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := embedded.CreateKeyFile(filepath.Join(dir, "link")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("through a dangling link: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestKeyFileSeals(t *testing.T) {
	path := filepath.Join(privateDir(t), "key")
	if err := embedded.CreateKeyFile(path); err != nil {
		t.Fatal(err)
	}
	src := source(t, path)
	sealed, err := src.Seal(t.Context(), []byte("plain"), []byte("aad"))
	if err != nil {
		t.Fatal(err)
	}
	if len(sealed) != 12+5+16 {
		t.Errorf("sealed text has %d bytes", len(sealed))
	}
	if plain, err := src.Open(t.Context(), sealed, []byte("aad")); err != nil || string(plain) != "plain" {
		t.Errorf("%q, %v", plain, err)
	}
	if _, err := src.Open(t.Context(), sealed, []byte("other")); !errors.Is(err, vault.ErrKeyWrong) {
		t.Errorf("other associated data: %v", err)
	}
}

func TestBadKeyFiles(t *testing.T) {
	dir := privateDir(t)
	good := filepath.Join(dir, "good")
	if err := embedded.CreateKeyFile(good); err != nil {
		t.Fatal(err)
	}
	sealed, err := source(t, good).Seal(t.Context(), []byte("plain"), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	line := string(text[strings.Index(string(text), "coatcheck-key"):])
	flipped := []byte(line)
	if flipped[20]++; flipped[20] > '9' {
		flipped[20] = '0'
	}
	for _, tc := range []struct {
		name, text string
		mode       os.FileMode
		want       error
	}{
		{"as made", string(text), 0o600, nil},
		{"read-only", string(text), 0o400, nil},
		{"without comments", line, 0o600, nil},
		{"without the last newline", strings.TrimSpace(line), 0o600, nil},
		{"with Windows newlines", "# x\r\n\r\n" + strings.TrimSpace(line) + "\r\n", 0o600, nil},
		{"empty", "", 0o600, vault.ErrKeyWrong},
		{"comments only", "# x\n", 0o600, vault.ErrKeyWrong},
		{"cut", line[:40], 0o600, vault.ErrKeyWrong},
		{"one digit changed", string(flipped), 0o600, vault.ErrKeyWrong},
		{"upper case", strings.ToUpper(line), 0o600, vault.ErrKeyWrong},
		{"two keys", line + line, 0o600, vault.ErrKeyWrong},
		{"something after it", line + "x\n", 0o600, vault.ErrKeyWrong},
		{"no hex", strings.Replace(line, line[20:24], "zzzz", 1), 0o600, vault.ErrKeyWrong},
		{"other version", strings.Replace(line, "key-1", "key-2", 1), 0o600, vault.ErrKeyWrong},
		{"readable by the group", string(text), 0o640, vault.ErrLoosePermissions},
		{"readable by others", string(text), 0o604, vault.ErrLoosePermissions},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(dir, "key")
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tc.mode); err != nil {
				t.Fatal(err)
			}
			_, err := source(t, path).Open(t.Context(), sealed, nil)
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if err == nil {
				return
			}
			if !strings.Contains(err.Error(), path) {
				t.Errorf("the error does not name the file: %v", err)
			}
			if key := line[16:80]; strings.Contains(err.Error(), key) {
				t.Error("the error shows the key")
			}
		})
	}
	if _, err := source(t, dir).Open(t.Context(), sealed, nil); err == nil {
		t.Error("a folder was read as a key")
	}
	if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := source(t, filepath.Join(dir, "big")).Open(t.Context(), sealed, nil); err == nil {
		t.Error("a file of 5,000 bytes was read as a key")
	}
}

package embedded_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
)

func writeFile(tb testing.TB, dir, name, content string) string {
	tb.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// typist answers prompts with lines, in order, and keeps the prompts.
type typist struct {
	lines   []string
	prompts []string
}

func (p *typist) ask(_ context.Context, prompt string) ([]byte, error) {
	p.prompts = append(p.prompts, prompt)
	if len(p.lines) == 0 {
		return nil, errors.New("asked too often")
	}
	line := p.lines[0]
	p.lines = p.lines[1:]
	return []byte(line), nil
}

func typed(tb testing.TB, lines ...string) (embedded.KeySource, *typist) {
	tb.Helper()
	p := &typist{lines: lines}
	src, err := (&embedded.SourceOptions{Ask: p.ask}).Parse("passphrase:")
	if err != nil {
		tb.Fatal(err)
	}
	return embedded.Cheap(src), p
}

func worded(tb testing.TB, words string) embedded.KeySource {
	tb.Helper()
	src, err := embedded.ParseKeySource("passphrase:" + embedded.FileURI(writeFile(tb, privateDir(tb), "words", words)))
	if err != nil {
		tb.Fatal(err)
	}
	return embedded.Cheap(src)
}

const words = "correct horse battery staple"

// TestPassphraseAtFullCost is the only test that hashes as the product does.
func TestPassphraseAtFullCost(t *testing.T) {
	path := writeFile(t, privateDir(t), "words", words)
	parse := func() embedded.KeySource {
		src, err := embedded.ParseKeySource("passphrase:" + embedded.FileURI(path))
		if err != nil {
			t.Fatal(err)
		}
		return src
	}
	sealed, err := parse().Seal(t.Context(), []byte("plain"), []byte("aad"))
	if err != nil {
		t.Fatal(err)
	}
	if len(sealed) != 41+12+5+16 {
		t.Errorf("%d bytes", len(sealed))
	}
	if string(sealed[:16]) != "coatcheck-pass-1" || binary.BigEndian.Uint32(sealed[16:]) != 64<<10 || binary.BigEndian.Uint32(sealed[20:]) != 3 || sealed[24] != 4 {
		t.Errorf("header %x", sealed[:41])
	}
	start := time.Now()
	if plain, err := parse().Open(t.Context(), sealed, []byte("aad")); err != nil || string(plain) != "plain" {
		t.Errorf("%q, %v", plain, err)
	}
	t.Logf("opened in %v", time.Since(start).Round(time.Millisecond))
	if err := os.WriteFile(path, []byte("wrong horse battery staple"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := parse().Open(t.Context(), sealed, []byte("aad")); !errors.Is(err, vault.ErrKeyWrong) {
		t.Errorf("other words: %v", err)
	}
	if _, err := worded(t, words).Seal(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
}

// TestPassphraseHeader: a header that asks for less than ever was, or for more
// than is bearable, is refused before any of it is spent.
func TestPassphraseHeader(t *testing.T) {
	src, err := embedded.ParseKeySource("passphrase:" + embedded.FileURI(writeFile(t, privateDir(t), "words", words)))
	if err != nil {
		t.Fatal(err)
	}
	cheap, err := worded(t, words).Seal(t.Context(), []byte("plain"), nil)
	if err != nil {
		t.Fatal(err)
	}
	header := func(memory, passes uint32, lanes byte) []byte {
		sealed := append([]byte{}, cheap...)
		binary.BigEndian.PutUint32(sealed[16:], memory)
		binary.BigEndian.PutUint32(sealed[20:], passes)
		sealed[24] = lanes
		return sealed
	}
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	for name, sealed := range map[string][]byte{
		"made by a cheaper program": cheap,
		"less memory":               header(64<<10-1, 3, 4),
		"hardly any":                header(8, 3, 4),
		"none":                      header(0, 0, 0),
		"fewer passes":              header(64<<10, 2, 4),
		"no pass":                   header(64<<10, 0, 4),
		"fewer lanes":               header(64<<10, 3, 1),
		"no lane":                   header(64<<10, 3, 0),
		"more lanes":                header(64<<10, 3, 255),
		"4 TiB":                     header(1<<32-1, 3, 4),
		"100 GB":                    header(100<<20, 3, 4),
		"just too much":             header(1<<20+1, 3, 4),
		"for ever":                  header(64<<10, 1<<32-1, 4),
		"cut in its header":         cheap[:40],
	} {
		if _, err := src.Open(t.Context(), sealed, nil); !errors.Is(err, vault.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 8<<20 {
		t.Errorf("%d bytes were spent", spent)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestPassphraseRules(t *testing.T) {
	for _, tc := range []struct{ name, words, rule string }{
		{"empty", "", "is empty"},
		{"a line break", "\n", "is empty"},
		{"short", "eleven char", "fewer than 12 characters"},
		{"twelve", "twelve chars", ""},
		{"letters that are several bytes", "äöüäöüäöüäö", "fewer than 12 characters"},
		{"combined accents count once", strings.Repeat("a\u0308", 11), "fewer than 12 characters"},
		{"long", strings.Repeat("x", 1024), ""},
		{"too long", strings.Repeat("x", 1025), "longer than 1024 bytes"},
		{"far too long", strings.Repeat("x", 5000), "longer than"},
		{"two lines", words + "\n" + words + "\n", "more than one line"},
		{"a carriage return", "correct\rhorse battery", "more than one line"},
		{"a NUL", "correct\x00horse battery", "control character"},
		{"a byte order mark", "\ufeffcorrect horse battery", "begins with a byte order mark"},
		{"not UTF-8", "correct\xffhorse battery", "is not UTF-8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := worded(t, tc.words).Seal(t.Context(), []byte("plain"), nil)
			if tc.rule == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.rule) {
				t.Errorf("got %v, want %q", err, tc.rule)
			}
			if err != nil && len(tc.words) > 8 && (strings.Contains(err.Error(), tc.words) || strings.Contains(err.Error(), "horse")) {
				t.Errorf("the error repeats it: %v", err)
			}
		})
	}
}

// TestPassphraseIsTheSame: line ends, and how a letter was composed, make no
// difference; anything else does.
func TestPassphraseIsTheSame(t *testing.T) {
	const composed, apart = "K\u00e4se und Br\u00f6tchen", "Ka\u0308se und Bro\u0308tchen"
	sealed, err := worded(t, composed+"\n").Seal(t.Context(), []byte("plain"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]error{
		composed: nil, composed + "\n": nil, composed + "\r\n": nil, apart: nil, apart + "\r\n": nil,
		composed + " ": vault.ErrKeyWrong, " " + composed: vault.ErrKeyWrong, strings.ToLower(composed): vault.ErrKeyWrong, "Kase und Brotchen": vault.ErrKeyWrong,
	} {
		if _, err := worded(t, text).Open(t.Context(), sealed, nil); !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPassphraseTyped(t *testing.T) {
	src, p := typed(t, words, words)
	sealed, err := src.Seal(t.Context(), []byte("plain"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(p.prompts, "|") != "New passphrase of the vault|The same again" {
		t.Errorf("asked %q", p.prompts)
	}
	again, err := src.Seal(t.Context(), []byte("plain 2"), nil) // asks nobody
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{sealed, again} {
		if _, err := src.Open(t.Context(), text, nil); err != nil {
			t.Error(err)
		}
	}
	src, _ = typed(t, words, words+"!")
	if _, err := src.Seal(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), "twice the same") {
		t.Errorf("typed differently: %v", err)
	}
	src, p = typed(t, "wrong words here", "and wrong again", words)
	if _, err := src.Open(t.Context(), sealed, nil); err != nil || len(p.prompts) != 3 || !strings.Contains(p.prompts[2], "not the one") {
		t.Errorf("the third time: %v after %q", err, p.prompts)
	}
	if _, err := src.Open(t.Context(), again, nil); err != nil { // asks nobody
		t.Error(err)
	}
	src, p = typed(t, "a", "b", "c", words)
	if _, err := src.Open(t.Context(), sealed, nil); !errors.Is(err, vault.ErrKeyWrong) || len(p.prompts) != 3 {
		t.Errorf("three times wrong: %v after %q", err, p.prompts)
	}
	// Sealed with other words since: a process that runs on asks nobody.
	src, p = typed(t, words)
	if _, err := src.Open(t.Context(), sealed, nil); err != nil {
		t.Fatal(err)
	}
	other, err := worded(t, "quite another passphrase").Seal(t.Context(), []byte("plain"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := src.Open(t.Context(), other, nil); !errors.Is(err, vault.ErrKeyWrong) || len(p.prompts) != 1 {
		t.Errorf("%v after %q", err, p.prompts)
	}
	nobody, err := embedded.ParseKeySource("passphrase:")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nobody.Seal(t.Context(), nil, nil); !errors.Is(err, vault.ErrKeyMissing) {
		t.Errorf("nobody to ask: %v", err)
	}
}

func TestPassphraseFile(t *testing.T) {
	dir := privateDir(t)
	src, err := embedded.ParseKeySource("passphrase:" + embedded.FileURI(filepath.Join(dir, "words")))
	if err != nil {
		t.Fatal(err)
	}
	src = embedded.Cheap(src)
	if _, err := src.Seal(t.Context(), nil, nil); !errors.Is(err, vault.ErrKeyMissing) || !strings.Contains(err.Error(), dir) {
		t.Errorf("no file: %v", err)
	}
	writeFile(t, dir, "words", words)
	if err := os.Chmod(filepath.Join(dir, "words"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := src.Seal(t.Context(), nil, nil); !errors.Is(err, vault.ErrLoosePermissions) {
		t.Errorf("a file for all: %v", err)
	}
}

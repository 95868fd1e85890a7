package embedded_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
)

func TestParseKeySource(t *testing.T) {
	for uri, want := range map[string]string{
		"file:/home/me/key":                  "",
		"file:///home/me/key":                "file:///home/me/key",
		"file:/with%20space/k%25y":           "",
		"passphrase:":                        "passphrase:",
		"passphrase:file:/run/secrets/vault": "passphrase:file:///run/secrets/vault",
		"passphrase:fd:3":                    "passphrase:fd:3",
		"passphrase:fd:40":                   "passphrase:fd:40",
		"keyring:":                           "keyring:",
		"keyring:vault":                      "keyring:",
		"keyring:work-2.b_c":                 "keyring:work-2.b_c",
		"transit:https://bao.example.com/transit/keys/coat":                 "transit:https://bao.example.com/transit/keys/coat",
		"transit:https://bao.example.com:8200/team/a/keys/coat-1":           "transit:https://bao.example.com:8200/team/a/keys/coat-1",
		"transit:http://127.0.0.1:8200/transit/keys/c":                      "transit:http://127.0.0.1:8200/transit/keys/c",
		"transit:http://[::1]:8200/transit/keys/c":                          "transit:http://[::1]:8200/transit/keys/c",
		"transit:http://localhost/transit/keys/c":                           "transit:http://localhost/transit/keys/c",
		"transit:https://b/t/keys/c?namespace=a/b&token-file=/t&ca-file=/c": "transit:https://b/t/keys/c?ca-file=%2Fc&namespace=a%2Fb&token-file=%2Ft",
	} {
		src, err := embedded.ParseKeySource(uri)
		if err != nil {
			t.Errorf("%s: %v", uri, err)
			continue
		}
		if want != "" && src.String() != want {
			t.Errorf("%s became %s", uri, src)
		}
		again, err := embedded.ParseKeySource(src.String())
		if err != nil || again.String() != src.String() {
			t.Errorf("%s became %s, which is read as %v, %v", uri, src, again, err)
		}
	}
	for _, uri := range []string{
		"", "key", "/home/me/key", "file:", "file:key", "file:./key", "file://host/key", "file://user@/key", "file:/k?x=1", "file:/k#x",
		"http:/key", "FILE", "FILE:/key", "file:/%zz", "file:/a%00b", "file:/a%1b%5bmb", "file:/a%0ab", "passphrase:file:/a%00b",
		"transit:https://b/transit/keys/c?token-file=/a%1bb", "transit:https://b/transit/keys/c?ca-file=/a%0ab", "\x00", ":", "kms:x",
		"passphrase", "passphrase:correct horse battery", "passphrase:file:", "passphrase:file:rel", "passphrase:file://host/x", "passphrase:fd:",
		"passphrase:fd:0", "passphrase:fd:2", "passphrase:fd:-3", "passphrase:fd:03", "passphrase:fd:3x", "passphrase:fd:99999999999999999999",
		"keyring", "keyring:a/b", "keyring:.x", "keyring:a b", "keyring:" + strings.Repeat("x", 65),
		"transit:", "transit:https://", "transit:https:///transit/keys/c", "transit:bao.example.com/transit/keys/c", "transit:ftp://b/transit/keys/c",
		"transit:http://bao.example.com/transit/keys/c", "transit:http://10.0.0.1/transit/keys/c", "transit:http://127.0.0.1.example.com/t/keys/c",
		"transit:https://b/transit/keys/", "transit:https://b/keys/c", "transit:https://b/transit/c", "transit:https://b/transit/keys/c/d",
		"transit:https://b/transit/../sys/keys/c", "transit:https://b/transit/keys/..", "transit:https://b/transit%2fkeys/keys/c", "transit:https://b//keys/c",
		"transit:https://token@b/transit/keys/c", "transit:https://u:token@b/transit/keys/c", "transit:https://b/transit/keys/c#x",
		"transit:https://b/transit/keys/c?token=s.abcdef", "transit:https://b/transit/keys/c?token-file=rel", "transit:https://b/transit/keys/c?ca-file=",
		"transit:https://b/transit/keys/c?ca-file=/a&ca-file=/b", "transit:https://b/transit/keys/c?namespace=../x", "transit:https://b/transit/keys/c?%zz",
	} {
		_, err := embedded.ParseKeySource(uri)
		var invalid *vault.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != "key source" || len(uri) > 16 && strings.Contains(err.Error(), uri) {
			t.Errorf("%q: %v", uri, err)
		}
		if err != nil && (strings.Contains(err.Error(), "horse") || strings.Contains(err.Error(), "s.abcdef")) {
			t.Errorf("%q: the error repeats it: %v", uri, err)
		}
	}
}

func FuzzParseKeySource(f *testing.F) {
	for _, seed := range []string{"file:/a/b%20c", "passphrase:fd:3", "passphrase:file:/x", "keyring:a", "transit:https://h:1/t/keys/k?namespace=n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		src, err := embedded.ParseKeySource(uri)
		if err != nil {
			return
		}
		again, err := embedded.ParseKeySource(src.String())
		if err != nil || again.String() != src.String() {
			t.Errorf("%q became %q, which is read as %v, %v", uri, src, again, err)
		}
	})
}

// TestSwappedSources: what one kind of source sealed is refused by every other,
// which says what to look for.
func TestSwappedSources(t *testing.T) {
	dir := privateDir(t)
	opts := &embedded.SourceOptions{Keyring: newRing(), Getenv: tokenOf("root")}
	engine := newEngine(t)
	sources := map[string]embedded.KeySource{}
	for name, uri := range map[string]string{
		"a key file":         embedded.FileURI(filepath.Join(dir, "key")),
		"a key in a keyring": "keyring:",
		"a passphrase":       "passphrase:" + embedded.FileURI(writeFile(t, dir, "words", "correct horse battery staple\n")),
		"a transit key":      engine.uri(),
	} {
		src, err := opts.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		if name == "a passphrase" {
			src = embedded.Cheap(src)
		}
		if _, err := embedded.MakeKey(t.Context(), src); err != nil {
			t.Fatal(err)
		}
		sources[name] = src
	}
	for name, src := range sources {
		sealed, err := src.Seal(t.Context(), []byte("plain"), []byte("aad"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for other, with := range sources {
			plain, err := with.Open(t.Context(), sealed, []byte("aad"))
			switch {
			case other == name:
				if err != nil || string(plain) != "plain" {
					t.Errorf("%s: %q, %v", name, plain, err)
				}
				if _, err := with.Open(t.Context(), sealed, []byte("another")); !errors.Is(err, vault.ErrKeyWrong) {
					t.Errorf("%s, other associated data: %v", name, err)
				}
			case !errors.Is(err, vault.ErrKeyWrong):
				t.Errorf("%s opens what %s sealed: %v", other, name, err)
			case name != "a key file" && (!strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), with.String())):
				t.Errorf("the error does not name both: %v", err)
			}
		}
		for i := range sealed { // a passphrase's header asks for more, or for less
			bad := append([]byte{}, sealed...)
			bad[i] ^= 1
			if _, err := src.Open(t.Context(), bad, []byte("aad")); !errors.Is(err, vault.ErrKeyWrong) && !errors.Is(err, vault.ErrCorrupt) {
				t.Errorf("%s, byte %d flipped: %v", name, i, err)
			}
		}
		for n := range sealed {
			if _, err := src.Open(t.Context(), sealed[:n], []byte("aad")); !errors.Is(err, vault.ErrKeyWrong) && !errors.Is(err, vault.ErrCorrupt) {
				t.Errorf("%s, cut to %d: %v", name, n, err)
			}
		}
	}
}

package embedded_test

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// transitProgram is testdata/transit, the engine of HashiCorp Vault itself, built
// by 'make sources'. Without it, the tests have the one below.
var transitProgram = flag.String("transit", "", "program that serves the transit engine of HashiCorp Vault")

// engine is a transit engine at an address, with the token "root".
type engine struct {
	tb  testing.TB
	url string

	mu   sync.Mutex
	keys map[string]fakeKey // of newEngine
}

func (e *engine) uri() string { return "transit:" + e.url + "/transit/keys/coat" }

// ask is a request as an operator makes it.
func (e *engine) ask(method, path, body string) {
	e.tb.Helper()
	r, err := http.NewRequestWithContext(e.tb.Context(), method, e.url+"/v1/transit/"+path, strings.NewReader(body))
	if err != nil {
		e.tb.Fatal(err)
	}
	r.Header.Set("X-Vault-Token", "root")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		e.tb.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode >= 300 {
		e.tb.Fatalf("%s %s: %s", method, path, answer.Status)
	}
}

// realEngine starts the program.
func realEngine(t *testing.T) *engine {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), *transitProgram)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return &engine{tb: t, url: "http://" + strings.TrimSpace(address)}
}

// newEngine is an engine that behaves as the real one does where these tests
// look: the same tests run over both.
func newEngine(t *testing.T) *engine {
	t.Helper()
	e := &engine{tb: t, keys: map[string]fakeKey{}}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	e.url = server.URL
	e.ask(http.MethodPost, "keys/coat", "")
	return e
}

type fakeKey struct {
	key     []byte
	Type    string `json:"type"`
	Derived bool   `json:"derived"`
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	fail := func(status int, text string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{text}})
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/transit/")
	verb, name, _ := strings.Cut(path, "/")
	var in struct {
		fakeKey
		Plaintext  string `json:"plaintext"`
		Ciphertext string `json:"ciphertext"`
		Context    string `json:"context"`
		Associated string `json:"associated_data"`
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	key, known := e.keys[name]
	switch {
	case r.Header.Get("X-Vault-Token") != "root":
		fail(http.StatusForbidden, "permission denied")
	case !ok:
		fail(http.StatusNotFound, "no handler for route")
	case verb == "keys" && r.Method == http.MethodDelete:
		delete(e.keys, name)
	case verb == "keys" && strings.HasSuffix(name, "/config"):
	case verb == "keys":
		in.key = make([]byte, 32)
		_, _ = rand.Read(in.key)
		e.keys[name] = in.fakeKey
	case !known:
		fail(http.StatusBadRequest, "encryption key not found")
	case strings.HasPrefix(key.Type, "rsa"):
		fail(http.StatusBadRequest, "'[0].associated_data' provided for non-AEAD cipher suite")
	case key.Derived && in.Context == "":
		fail(http.StatusBadRequest, "missing 'context' for key derivation")
	default:
		if key.Derived {
			sum := sha256.Sum256(append(bytes.Clone(key.key), in.Context...))
			key.key = sum[:]
		}
		out, err := key.run(verb, in.Plaintext, in.Ciphertext, in.Associated)
		if err != nil {
			fail(http.StatusBadRequest, "invalid ciphertext: unable to decrypt")
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": out})
	}
}

func (k fakeKey) run(verb, plaintext, ciphertext, associated string) (map[string]string, error) {
	block, err := aes.NewCipher(k.key)
	if err != nil {
		return nil, err
	}
	a, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	ad, err := base64.StdEncoding.DecodeString(associated)
	if err != nil {
		return nil, err
	}
	if verb == "encrypt" {
		plain, err := base64.StdEncoding.DecodeString(plaintext)
		return map[string]string{"ciphertext": "vault:v1:" + base64.StdEncoding.EncodeToString(a.Seal(nil, nil, plain, ad))}, err
	}
	box, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(ciphertext, "vault:v1:"))
	if err != nil {
		return nil, err
	}
	plain, err := a.Open(nil, nil, box, ad)
	return map[string]string{"plaintext": base64.StdEncoding.EncodeToString(plain)}, err
}

// tokenOf is an environment with that token and nothing else.
func tokenOf(token string) func(string) string {
	return func(name string) string {
		if name == "BAO_TOKEN" {
			return token
		}
		return ""
	}
}

package embedded_test

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/embedded"
)

func atEngine(tb testing.TB, uri, token string) embedded.KeySource {
	tb.Helper()
	src, err := (&embedded.SourceOptions{Getenv: tokenOf(token)}).Parse(uri)
	if err != nil {
		tb.Fatal(err)
	}
	return src
}

// TestTransit runs over the engine of these tests, and over the real one where
// it was built.
func TestTransit(t *testing.T) {
	engines := map[string]func(*testing.T) *engine{"ours": newEngine}
	if *transitProgram != "" {
		engines["real"] = func(t *testing.T) *engine {
			t.Helper()
			e := realEngine(t)
			e.ask(http.MethodPost, "keys/coat", "{}")
			return e
		}
	}
	for name, open := range engines {
		t.Run(name, func(t *testing.T) { testTransit(t, open(t)) })
	}
}

func testTransit(t *testing.T, e *engine) {
	t.Helper()
	src := atEngine(t, e.uri(), "root")
	e.ask(http.MethodPost, "keys/other", "{}")
	e.ask(http.MethodPost, "keys/derived", `{"derived": true}`)
	e.ask(http.MethodPost, "keys/chacha", `{"type": "chacha20-poly1305"}`)
	e.ask(http.MethodPost, "keys/rsa", `{"type": "rsa-4096"}`)
	named := func(name string) embedded.KeySource {
		return atEngine(t, strings.Replace(e.uri(), "/coat", "/"+name, 1), "root")
	}
	for _, s := range []embedded.KeySource{src, named("derived"), named("chacha")} {
		sealed, err := s.Seal(t.Context(), []byte("plain"), []byte("aad"))
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if !strings.HasPrefix(string(sealed), "coatcheck-wrap-1vault:v1:") || strings.Contains(string(sealed), "plain") {
			t.Errorf("%s: sealed is %q", s, sealed)
		}
		if plain, err := s.Open(t.Context(), sealed, []byte("aad")); err != nil || string(plain) != "plain" {
			t.Errorf("%s: %q, %v", s, plain, err)
		}
		if _, err := s.Open(t.Context(), sealed, []byte("of another vault")); !errors.Is(err, vault.ErrKeyWrong) {
			t.Errorf("%s, another vault: %v", s, err)
		}
		if _, err := named("other").Open(t.Context(), sealed, []byte("aad")); !errors.Is(err, vault.ErrKeyWrong) {
			t.Errorf("%s, another key: %v", s, err)
		}
		bad := append([]byte{}, sealed...)
		if bad[len(bad)-4]++; bad[len(bad)-4] > 'z' {
			bad[len(bad)-4] = 'A'
		}
		if _, err := s.Open(t.Context(), bad, []byte("aad")); !errors.Is(err, vault.ErrKeyWrong) && !errors.Is(err, vault.ErrCorrupt) {
			t.Errorf("%s, changed: %v", s, err)
		}
	}
	sealed, err := src.Seal(t.Context(), []byte("plain"), []byte("aad"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		src  embedded.KeySource
		open error
		seal error
		says string
	}{
		"a wrong token":     {atEngine(t, e.uri(), "hvs.wrong"), vault.ErrKeyUnavailable, vault.ErrKeyUnavailable, "token"},
		"no token":          {atEngine(t, e.uri(), ""), vault.ErrKeyUnavailable, vault.ErrKeyUnavailable, "BAO_TOKEN"},
		"a broken token":    {atEngine(t, e.uri(), "a\nb"), vault.ErrKeyUnavailable, vault.ErrKeyUnavailable, "one line"},
		"another mount":     {atEngine(t, strings.Replace(e.uri(), "/transit/", "/elsewhere/", 1), "root"), vault.ErrKeyMissing, vault.ErrKeyMissing, "mount"},
		"no such key":       {named("missing"), vault.ErrKeyMissing, vault.ErrKeyMissing, "bring back the key"},
		"not a sealing key": {named("rsa"), vault.ErrKeyWrong, vault.ErrKeyUnavailable, ""},
	} {
		_, err := tc.src.Open(t.Context(), sealed, []byte("aad"))
		_, sealErr := tc.src.Seal(t.Context(), []byte("plain"), []byte("aad"))
		if !errors.Is(err, tc.open) || !errors.Is(sealErr, tc.seal) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: open: %v; seal: %v", name, err, sealErr)
		}
		for _, err := range []error{err, sealErr} {
			if strings.Contains(err.Error(), "hvs.wrong") || strings.Contains(err.Error(), "denied") {
				t.Errorf("%s: the error repeats the token or the server: %v", name, err)
			}
		}
	}
	e.ask(http.MethodPost, "keys/coat/config", `{"deletion_allowed": true}`)
	e.ask(http.MethodDelete, "keys/coat", "")
	if _, err := src.Open(t.Context(), sealed, []byte("aad")); !errors.Is(err, vault.ErrKeyMissing) {
		t.Errorf("the key was deleted: %v", err)
	}
}

// TestTransitBoundInside: an engine that ignores associated data, as old ones
// do, opens for one vault only all the same.
func TestTransitBoundInside(t *testing.T) {
	e := newEngine(t)
	forgetful := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		text := strings.NewReplacer(`"associated_data"`, `"ignored"`, `"context"`, `"ignored too"`).Replace(string(body))
		r.Body = io.NopCloser(strings.NewReader(text))
		e.ServeHTTP(w, r)
	}))
	defer forgetful.Close()
	src := atEngine(t, "transit:"+forgetful.URL+"/transit/keys/coat", "root")
	sealed, err := src.Seal(t.Context(), []byte("plain"), []byte("aad"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := src.Open(t.Context(), sealed, []byte("aad")); err != nil || string(plain) != "plain" {
		t.Errorf("%q, %v", plain, err)
	}
	if _, err := src.Open(t.Context(), sealed, []byte("of another vault")); !errors.Is(err, vault.ErrKeyWrong) {
		t.Errorf("another vault: %v", err)
	}
}

// TestTransitAnswers: whatever a server answers, the error is ours, and nothing
// of the answer is in it.
func TestTransitAnswers(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed, with token %q", r.Header.Get("X-Vault-Token"))
	}))
	defer other.Close()
	for name, tc := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"sealed":            {503, `{"errors":["hostile"]}`, vault.ErrKeyUnavailable},
		"broken":            {500, "hostile", vault.ErrKeyUnavailable},
		"throttled":         {429, "hostile", vault.ErrKeyUnavailable},
		"another address":   {307, "hostile", vault.ErrKeyUnavailable},
		"not JSON":          {200, "hostile", vault.ErrKeyUnavailable},
		"nothing":           {200, "", vault.ErrKeyUnavailable},
		"another document":  {200, `{"data":{"ciphertext":"hostile\n"}}`, vault.ErrKeyUnavailable},
		"endless":           {200, `{"data":{"ciphertext":"vault:v1:` + strings.Repeat("A", 1<<20), vault.ErrKeyUnavailable},
		"no content":        {204, "", vault.ErrKeyUnavailable},
		"a key that is not": {400, `{"errors":["encryption key not found"]}`, vault.ErrKeyMissing},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", other.URL)
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			}))
			defer server.Close()
			_, err := atEngine(t, "transit:"+server.URL+"/transit/keys/coat", "root").Seal(t.Context(), []byte("plain"), nil)
			if !errors.Is(err, tc.want) || strings.Contains(err.Error(), "hostile") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTransitOutOfReach(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nobody answers
	src := atEngine(t, "transit:http://"+l.Addr().String()+"/transit/keys/coat", "root")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := src.Seal(ctx, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 1)
	defer cancel()
	if _, err := src.Seal(ctx, nil, nil); !errors.Is(err, vault.ErrKeyUnavailable) {
		t.Errorf("no answer: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := src.Seal(t.Context(), nil, nil); !errors.Is(err, vault.ErrKeyUnavailable) {
		t.Errorf("nobody there: %v", err)
	}
}

// TestTransitSurroundings: certificate and token come from where the URI says;
// what the environment says of addresses and proxies counts for nothing.
func TestTransitSurroundings(t *testing.T) {
	wrong := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the token %q went elsewhere", r.Header.Get("X-Vault-Token"))
	}))
	defer wrong.Close()
	for _, name := range []string{"VAULT_ADDR", "BAO_ADDR", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY"} {
		t.Setenv(name, wrong.URL)
	}
	t.Setenv("VAULT_SKIP_VERIFY", "1")
	e := newEngine(t)
	server := httptest.NewTLSServer(e)
	defer server.Close()
	dir := privateDir(t)
	token := writeFile(t, dir, "token", "root\n")
	ca := writeFile(t, dir, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	uri := "transit:" + server.URL + "/transit/keys/coat"
	for name, tc := range map[string]struct {
		query, env string
		want       error
		says       string
	}{
		"all named":            {"?ca-file=" + ca + "&token-file=" + token, "", nil, ""},
		"file before variable": {"?ca-file=" + ca + "&token-file=" + token, "hvs.wrong", nil, ""},
		"the variable":         {"?ca-file=" + ca, "root", nil, ""},
		"a namespace":          {"?ca-file=" + ca + "&namespace=team/a", "root", nil, ""},
		"an unknown authority": {"", "root", vault.ErrKeyUnavailable, "certificate"},
		"no token file":        {"?ca-file=" + ca + "&token-file=" + dir + "/nowhere", "root", vault.ErrKeyUnavailable, "token-file"},
		"no authority's file":  {"?ca-file=" + dir + "/nowhere", "root", vault.ErrKeyUnavailable, "ca-file"},
		"not a certificate":    {"?ca-file=" + token, "root", vault.ErrKeyUnavailable, "PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			src := atEngine(t, uri+tc.query, tc.env)
			sealed, err := src.Seal(t.Context(), []byte("plain"), nil)
			if !errors.Is(err, tc.want) || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("got %v", err)
			}
			if tc.want == nil {
				if _, err := src.Open(t.Context(), sealed, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if embedded.Proxied(atEngine(t, uri, "root")) { // loopback addresses, as here, never go through one
		t.Error("the environment can put a proxy in between")
	}
	if err := os.Chmod(filepath.Join(dir, "token"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := atEngine(t, uri+"?ca-file="+ca+"&token-file="+token, "").Seal(t.Context(), nil, nil); !errors.Is(err, vault.ErrLoosePermissions) {
		t.Errorf("a token for all: %v", err)
	}
}

package broker_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/broker"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

// answers starts an API that answers as fn says and returns its address.
func answers(t *testing.T, fn http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(fn)
	t.Cleanup(server.Close)
	return server.URL
}

func value(text string) vault.Change { return vault.Change{Value: secret.New([]byte(text))} }

// use spends a fresh handle of the secret on one request to base.
func (f *fixture) use(t *testing.T, p vault.Path, base string) broker.Answer {
	t.Helper()
	answer, err := f.HTTP(t.Context(), local, get(base, f.issue(t, local, broker.IssueRequest{Path: p})))
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestAValueSpreadOverHeadersIsMasked(t *testing.T) {
	const whole = "Part1aaaQQ7xK9, Part2bbbZZ9yM4"
	first, second, _ := strings.Cut(whole, ", ")
	base := answers(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["X-E"] = []string{first, second}
	})
	f := newDesk(t, allowAll)
	f.put(t, "a/b", value(whole), base)
	if shown := fmt.Sprint(f.use(t, "a/b", base).Headers); strings.Contains(shown, first) || !strings.Contains(shown, "[secret a/b]") {
		t.Fatalf("headers %s", shown)
	}
}

func TestAHeadersNameIsNoWayOut(t *testing.T) {
	const earlier = "tok-abcdefGHIJ0123456789-zZ"
	base := answers(t, func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{earlier, hex.EncodeToString([]byte(earlier)), base64.RawURLEncoding.EncodeToString([]byte(earlier))} {
			w.Header().Set("X-"+name, "1")
		}
		w.Header()["%74ok-abcdef"] = []string{"1"}
		w.Header().Set("X-Fine", "1")
	})
	f := newDesk(t, allowAll)
	f.put(t, "a/earlier", value(earlier), base)
	f.put(t, "a/later", vault.Change{}, base)
	for _, p := range []vault.Path{"a/earlier", "a/later"} {
		var names []string
		for _, h := range f.use(t, p, base).Headers {
			names = append(names, h.Name)
		}
		if !slices.Equal(names, []string{"Date", "X-Fine"}) {
			t.Errorf("with %s: headers %q", p, names)
		}
	}
}

func TestAnOriginThatHoldsAPlainValueShowsNoBody(t *testing.T) {
	const plain = "correcthorse" // too plain to be masked
	base := answers(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(plain)) })
	f := newDesk(t, allowAll)
	f.put(t, "a/plain", value(plain), base)
	f.put(t, "a/good", vault.Change{}, base)
	if got := f.use(t, "a/plain", base); got.Withheld == "" || len(got.Body) != 0 {
		t.Fatalf("the answer to a plain value: %+v", got)
	}
	if got := f.use(t, "a/good", base); got.Withheld == "" || len(got.Body) != 0 {
		t.Fatalf("a later answer of that origin: %+v", got)
	}
}

func TestACursorDoesNotTellOfHiddenSecrets(t *testing.T) {
	f := newDesk(t, `
version: 1
rules:
  - {name: shown, agents: ["@stdio"], paths: ["p/*"], allow: [list]}
  - {name: hidden, agents: ["@stdio"], paths: ["p/m*"], deny: [list]}
`)
	f.put(t, "p/a", vault.Change{})
	for _, hidden := range []vault.Path{"p/merger", "p/mole"} {
		f.put(t, hidden, vault.Change{})
		page, err := f.List(t.Context(), local, broker.ListRequest{Prefix: "p/", Limit: 1})
		if err != nil || len(page.Items) != 1 || page.Next != "" {
			t.Fatalf("%d items, next %q, %v", len(page.Items), page.Next, err)
		}
	}
	f.put(t, "p/z", vault.Change{})
	if got, calls := pages(t, f, local, broker.ListRequest{Prefix: "p/", Limit: 1}); len(got) != 2 || calls != 2 {
		t.Fatalf("%v in %d calls", got, calls)
	}
}

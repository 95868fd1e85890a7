package client_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"testing"

	"github.com/coatcheck-dev/coatcheck/vault/client"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

const key = "ass_live_0123456789"

// exchange is one request that a test expects, and its answer.
type exchange struct {
	request string // METHOD /escaped/path?query
	body    string // JSON; "" is none
	bearer  string // default: the key; "-" is none
	status  int    // default 200
	header  map[string]string
	answer  string
}

// scripted is a service that expects its requests in order.
type scripted struct {
	*httptest.Server
	t    *testing.T
	mu   sync.Mutex
	left []exchange
	seen int
}

func script(t *testing.T, exchanges ...exchange) *scripted {
	t.Helper()
	s := &scripted{t: t, left: exchanges}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close()
		for _, missing := range s.left {
			t.Errorf("no request %s", missing.request)
		}
	})
	return s
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen++
	if len(s.left) == 0 {
		s.t.Errorf("request %d, %s %s, is one too many", s.seen, r.Method, r.RequestURI)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	e := s.left[0]
	s.left = s.left[1:]
	if got := r.Method + " " + r.RequestURI; got != e.request {
		s.t.Errorf("request %d is %s, want %s", s.seen, got, e.request)
	}
	if want := e.authorization(); r.Header.Get("Authorization") != want {
		s.t.Errorf("request %d, %s, has another credential than %q", s.seen, e.request, want)
	}
	if !sameJSON(body, e.body) {
		s.t.Errorf("request %d, %s, has the body %s, want %s", s.seen, e.request, body, e.body)
	}
	if (r.Header.Get("Content-Type") == "application/json") != (e.body != "") || r.Header.Get("Accept") != "application/json" {
		s.t.Errorf("request %d, %s, has the headers %v", s.seen, e.request, r.Header)
	}
	w.Header().Set("Content-Type", "application/json")
	for name, text := range e.header {
		w.Header().Set(name, text)
	}
	if e.status != 0 {
		w.WriteHeader(e.status)
	}
	_, _ = io.WriteString(w, e.answer)
}

func (e exchange) authorization() string {
	switch e.bearer {
	case "":
		return "Bearer " + key
	case "-":
		return ""
	}
	return "Bearer " + e.bearer
}

func sameJSON(got []byte, want string) bool {
	if want == "" || len(got) == 0 {
		return want == string(got)
	}
	var a, b any
	return json.Unmarshal(got, &a) == nil && json.Unmarshal([]byte(want), &b) == nil && reflect.DeepEqual(a, b)
}

// of returns a client of the service in edition A that does not wait between attempts.
func (s *scripted) of(change ...func(*client.Options)) *client.Client {
	s.t.Helper()
	o := client.Options{AgentKey: text(key), BaseURL: s.URL, RetryDelay: 1, Edition: client.EditionA}
	for _, f := range change {
		f(&o)
	}
	c, err := client.New(&o)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func editionB(o *client.Options) { o.Edition = client.EditionB }

func text(s string) secret.Value { return secret.New([]byte(s)) }

func wantValue(t *testing.T, got secret.Value, want string) {
	t.Helper()
	if !got.Equal(text(want)) {
		t.Errorf("another value than %q", want)
	}
}

func want[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s is %+v, want %+v", what, got, want)
	}
}

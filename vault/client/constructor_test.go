package client_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck-dev/coatcheck/vault/client"
)

// TestEnvironmentSetup: the key comes from ASS_AGENT_KEY unless it is given.
func TestEnvironmentSetup(t *testing.T) {
	const other = "ass_live_from_the_environment"
	t.Setenv(client.KeyVariable, other+"\n")
	s := script(
		t, exchange{request: "GET /v1/secrets/a%2Fb", bearer: other, answer: `{"value":"v"}`},
		exchange{request: "GET /v1/secrets/a%2Fb", answer: `{"value":"v"}`},
	)
	for _, c := range []*client.Client{s.of(func(o *client.Options) { o.AgentKey = text("") }), s.of()} {
		if _, err := c.GetSecret(t.Context(), "a/b", nil); err != nil {
			t.Error(err)
		}
	}
}

func TestConstructor(t *testing.T) {
	t.Run("no key", func(t *testing.T) {
		t.Setenv(client.KeyVariable, " ")
		for _, opts := range []*client.Options{nil, {}} {
			if _, err := client.New(opts); !errors.Is(err, client.ErrAuth) || !strings.Contains(err.Error(), client.KeyVariable) {
				t.Errorf("got %v", err)
			}
		}
	})
	t.Run("defaults", func(t *testing.T) {
		t.Setenv(client.KeyVariable, key)
		c, err := client.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "base URL", c.BaseURL(), "https://api.agentsecretstore.com/v1")
		want(t, "timeout", client.DefaultTimeout, 10*time.Second)
		want(t, "retries", client.DefaultRetries, 3)
		want(t, "retry delay", client.DefaultRetryDelay, 500*time.Millisecond)
	})
	t.Run("key is not shown", func(t *testing.T) {
		o := client.Options{AgentKey: text(key)}
		c, err := client.New(&o)
		if err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if out := fmt.Sprintf(verb+verb+verb, o, c, *client.ExportHTTP(c)); strings.Contains(out, key) {
				t.Errorf("%s shows the key", verb)
			}
		}
	})
	for name, o := range map[string]client.Options{
		"a key with a line break": {AgentKey: text("ass_live_a\nX-Admin: 1")},
		"a key with a space":      {AgentKey: text("ass live")},
		"a key that is not ASCII": {AgentKey: text("ass_live_ä")},
		"timeout":                 {Timeout: -1},
		"retries":                 {Retries: -2},
		"retry delay":             {RetryDelay: -1},
		"edition":                 {Edition: 7},
	} {
		t.Run(name, func(t *testing.T) {
			if o.AgentKey.IsZero() {
				o.AgentKey = text(key)
			}
			_, err := client.New(&o)
			wantCode(t, err, client.CodeValidation, 0)
			if err != nil && strings.Contains(err.Error(), "ass") {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
}

func TestBaseURL(t *testing.T) {
	for given, want := range map[string]string{
		"":                             client.DefaultBaseURL,
		"https://vault.example":        "https://vault.example/v1",
		"https://vault.example/":       "https://vault.example/v1",
		"https://vault.example/v1":     "https://vault.example/v1",
		"https://vault.example/v1///":  "https://vault.example/v1",
		"HTTPS://vault.example:8443":   "https://vault.example:8443/v1",
		"https://example.com/desk":     "https://example.com/desk/v1",
		"https://example.com/desk/v1/": "https://example.com/desk/v1",
		"https://example.com/xv1":      "https://example.com/xv1/v1",
		"https://example.com/a%2Fb":    "https://example.com/a%2Fb/v1",
		"http://127.0.0.1:7420":        "http://127.0.0.1:7420/v1",
		"http://127.8.9.1/v1":          "http://127.8.9.1/v1",
		"http://localhost:7420":        "http://localhost:7420/v1",
		"http://[::1]:7420":            "http://[::1]:7420/v1",
		"http://[::ffff:127.0.0.1]":    "http://[::ffff:127.0.0.1]/v1",
	} {
		c, err := client.New(&client.Options{AgentKey: text(key), BaseURL: given})
		if err != nil {
			t.Errorf("%q: %v", given, err)
		} else if c.BaseURL() != want {
			t.Errorf("%q is %q, want %q", given, c.BaseURL(), want)
		}
	}
	for _, given := range []string{
		"vault.example", "vault.example:443", "//vault.example", "https://", "https:///v1", "https://:443", "ftp://vault.example", "file:///etc/passwd", "https:vault.example",
		"https://user:pw-canary@vault.example", "https://vault.example?x=1", "https://vault.example/?", "https://vault.example#v1", "https://vault.example/%zz",
		"http://vault.example", "http://10.0.0.1", "http://localhost.vault.example", "http://127.0.0.1.vault.example", "http://0x7f000001", "http://0.0.0.0", "https://vault.example\n",
	} {
		_, err := client.New(&client.Options{AgentKey: text(key), BaseURL: given})
		if wantCode(t, err, client.CodeValidation, 0); err == nil {
			t.Errorf("%q passes", given)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: the error repeats it: %v", given, err)
		}
	}
	c, err := client.New(&client.Options{AgentKey: text(key), BaseURL: "http://vault.example", AllowInsecure: true})
	if err != nil || c.BaseURL() != "http://vault.example/v1" {
		t.Errorf("insecure, and said so: %v, %v", c, err)
	}
	if _, err := client.New(&client.Options{AgentKey: text(key), BaseURL: "ftp://vault.example", AllowInsecure: true}); err == nil {
		t.Error("ftp passes")
	}
}

// TestRedirects: no credential and no value goes where a service points.
func TestRedirects(t *testing.T) {
	elsewhere := script(t) // expects nothing
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := script(
			t, exchange{request: "PUT /v1/secrets/a%2Fb", body: `{"value":"v-canary"}`, status: status, header: map[string]string{"Location": elsewhere.URL + "/v1/secrets/a%2Fb"}},
			exchange{request: "GET /v1/secrets/a%2Fb", status: status, header: map[string]string{"Location": elsewhere.URL}},
		)
		followed := false
		c := s.of(func(o *client.Options) {
			o.HTTPClient = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { followed = true; return nil }}
		})
		_, err := c.SetSecret(t.Context(), "a/b", text("v-canary"), nil)
		wantCode(t, err, client.CodeRedirected, status)
		_, err = c.GetSecret(t.Context(), "a/b", nil)
		if wantCode(t, err, client.CodeRedirected, status); followed {
			t.Error("asked whether to follow")
		}
	}
}

// TestCookies: what a service sets is not sent back, whatever the HTTP client
// would do.
func TestCookies(t *testing.T) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := clientOf(t, func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("Cookie") != "" {
			t.Error("a cookie is sent")
		}
		return response(200, `{"value":"v"}`, "Set-Cookie", "a=b"), nil
	}, func(o *client.Options) { o.HTTPClient.Jar = jar })
	for range 2 {
		if _, err := c.GetSecret(t.Context(), "a", nil); err != nil {
			t.Error(err)
		}
	}
	if jar.Cookies(&url.URL{Scheme: "https", Host: "vault.example"}) != nil {
		t.Error("a cookie is kept")
	}
}

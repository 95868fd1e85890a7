package catalogue_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/catalogue"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

func load(t *testing.T) *catalogue.Catalogue {
	t.Helper()
	c, err := catalogue.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func value(s string) secret.Value { return secret.New([]byte(s)) }

func TestTenProviders(t *testing.T) {
	var names []string
	for _, p := range load(t).All() {
		names = append(names, p.Name)
	}
	want := []string{"openai", "anthropic", "github", "stripe", "slack", "google", "huggingface", "sendgrid", "cloudflare", "twilio"}
	if !slices.Equal(names, want) {
		t.Fatalf("%v", names)
	}
}

// TestExamples holds each provider to its own example: the call goes to one of
// its hosts, the secret stands in its place and nowhere else, and the key
// looks like one of its keys and of nobody else's by prefix.
func TestExamples(t *testing.T) {
	c := load(t)
	for _, p := range c.All() {
		t.Run(p.Name, func(t *testing.T) {
			u, err := url.Parse(p.Example.URL)
			if err != nil || u.Scheme != "https" || u.Path == "" || p.Example.Method == "" {
				t.Fatalf("call %s %s", p.Example.Method, p.Example.URL)
			}
			if found, ok := c.ForHost(u.Hostname()); !ok || found.Name != p.Name {
				t.Errorf("host %s is that of %q", u.Hostname(), found.Name)
			}
			stands := 0
			for _, h := range p.Example.Headers {
				if !strings.Contains(h.Value, "HANDLE") {
					continue
				}
				stands++
				want := p.In.Fill("HANDLE")
				if p.In.In == vault.InBasic {
					want = "Basic " + want
				} else if !strings.EqualFold(h.Name, p.In.Name) {
					t.Errorf("stands in header %s", h.Name)
				}
				if h.Value != want {
					t.Errorf("stands as %q, not %q", h.Value, want)
				}
			}
			if stands != 1 || strings.Contains(p.Example.URL+p.Example.Body, "HANDLE") {
				t.Errorf("the secret stands %d times in headers", stands)
			}
			checkKey(t, c, p)
		})
	}
}

func checkKey(t *testing.T, c *catalogue.Catalogue, p catalogue.Provider) {
	t.Helper()
	key := value(p.Example.Key)
	if !p.Looks(key) {
		t.Error("the example key does not match the pattern")
	}
	if p.Looks(value("x")) || p.Looks(value(p.Example.Key+"\n")) || p.Looks(value(" "+p.Example.Key)) {
		t.Error("the pattern is not anchored")
	}
	found, ok := c.ForValue(key)
	if len(p.Prefixes) == 0 {
		if ok {
			t.Errorf("the key is taken for %s's", found.Name)
		}
		return
	}
	if !ok || found.Name != p.Name {
		t.Errorf("the key is taken for %q's", found.Name)
	}
	if prefix := c.PublicPrefix(key); !slices.Contains(p.Prefixes, prefix) || !strings.HasPrefix(p.Example.Key, prefix) {
		t.Errorf("public prefix %q", prefix)
	}
}

func TestData(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range load(t).All() {
		d, err := vault.ParseDestination("https://"+p.Hosts[0]+"/*", p.In)
		if err != nil || d.HTTP == nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		if _, err := regexp.Compile(p.Pattern); err != nil || p.Title == "" {
			t.Errorf("%s: title, or pattern: %v", p.Name, err)
		}
		if (p.Needs != "") != strings.Contains(p.In.Template, "ACCOUNT") {
			t.Errorf("%s: a place to complete without saying so", p.Name)
		}
		for _, name := range append(append([]string{p.Name}, p.Hosts...), p.Prefixes...) {
			if name == "" || seen[name] {
				t.Errorf("%s: %q is there twice or empty", p.Name, name)
			}
			seen[name] = true
		}
	}
}

func TestForHost(t *testing.T) {
	c := load(t)
	for host, want := range map[string]string{
		"api.openai.com": "openai", "slack.com": "slack", "uploads.github.com": "github", "api.eu.sendgrid.com": "sendgrid",
		"openai.com": "", "api.openai.com.evil.example": "", "evilapi.openai.com": "", "x.slack.com": "", "": "", "127.0.0.1": "",
	} {
		if p, ok := c.ForHost(host); p.Name != want || ok != (want != "") {
			t.Errorf("%s: %q", host, p.Name)
		}
	}
}

// The public prefix never tells a character of the value beyond it.
func TestPublicPrefix(t *testing.T) {
	c := load(t)
	for in, want := range map[string]string{
		"": "", "sk-": "", "sk-proj-": "", "sk-proj-short": "sk-"[:0], "nothing-known-0123456789": "",
		"sk-proj-0123456789abcdef": "sk-proj-", "sk-proj-0123456789abcde": "sk-", "sk-0123456789abcdefXYZ": "sk-",
		"sk-ant-0123456789abcdefghi": "sk-ant-", "sk-ant-api03-0123456789abcdef": "sk-ant-api03-", "github_pat_0123456789abcdef": "github_pat_",
		"SK-PROJ-0123456789abcdef": "", " sk-proj-0123456789abcdef": "",
	} {
		if got := c.PublicPrefix(value(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if _, ok := c.ForValue(value(in)); ok != (want != "") {
			t.Errorf("%q: provider %v", in, ok)
		}
	}
}

func TestAllIsACopy(t *testing.T) {
	c := load(t)
	c.All()[0].Name = "changed"
	if c.All()[0].Name == "changed" {
		t.Fatal("the catalogue changed")
	}
}

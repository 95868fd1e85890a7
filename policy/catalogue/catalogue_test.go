package catalogue_test

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coatcheck-dev/coatcheck/policy/catalogue"
	"github.com/coatcheck-dev/coatcheck/policy/mint"
	"github.com/coatcheck-dev/coatcheck/policy/redeem"
	"github.com/coatcheck-dev/coatcheck/vault"
	"github.com/coatcheck-dev/coatcheck/vault/secret"
)

func value(s string) secret.Value { return secret.New([]byte(s)) }

func names(list []catalogue.Provider) string {
	var out []string
	for _, p := range list {
		out = append(out, p.Name)
	}
	return strings.Join(out, " ")
}

// sharing are the keys that several providers take for theirs: they have one
// prefix and one shape. Nothing else may be taken for two providers' key.
var sharing = map[string]string{
	"gemini": "gemini google-maps", "google-maps": "gemini google-maps", "atlassian": "atlassian bitbucket", "bitbucket": "atlassian bitbucket",
	"paystack": "paystack stripe",
}

func TestFortyProviders(t *testing.T) {
	all := catalogue.New().All()
	if len(all) < 40 {
		t.Errorf("%d providers", len(all))
	}
	if !slices.IsSortedFunc(all, func(a, b catalogue.Provider) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("not in the order of names")
	}
}

// TestExamples holds each provider to its own example: the call goes through
// the desk to the destination that the provider proposes, the handle stands in
// its place and nowhere else, and the key looks like its own.
func TestExamples(t *testing.T) {
	c := catalogue.New()
	for _, p := range c.All() {
		t.Run(p.Name, func(t *testing.T) {
			drive(t, c, p)
			checkKey(t, c, p)
		})
	}
}

// drive makes the example call with a handle, as a model would.
func drive(t *testing.T, c *catalogue.Catalogue, p catalogue.Provider) {
	t.Helper()
	handle, err := mint.New("ash_")
	if err != nil {
		t.Fatal(err)
	}
	filled := func(s string) string { return strings.ReplaceAll(s, "HANDLE", handle) }
	call := redeem.Call{Method: p.Example.Method, URL: filled(p.Example.URL), Body: filled(p.Example.Body)}
	for _, h := range p.Example.Headers {
		call.Headers = append(call.Headers, redeem.Field{Name: h.Name, Value: filled(h.Value)})
	}
	prepared, err := redeem.Prepare(call)
	if err != nil {
		t.Fatal(err)
	}
	if found, ok := c.ForHost(prepared.Target().Host); !ok || found.Name != p.Name {
		t.Errorf("host %s is that of %q", prepared.Target().Host, found.Name)
	}
	if len(prepared.Slots()) != 1 || prepared.Slots()[0].In != p.In.In {
		t.Errorf("the handle stands in %v", prepared.Slots())
	}
	if _, err := prepared.Fit(handle, "", p.Destinations()); err != nil {
		t.Errorf("the call does not fit the provider's destinations: %v", err)
	}
	for _, d := range p.Destinations() {
		if err := d.Check(); err != nil {
			t.Errorf("destination %s: %v", d, err)
		}
		// The same hosts and another place: it is the place that was held, too.
		d.HTTP.In = vault.Place{In: vault.InHeader, Name: "X-Elsewhere", Template: vault.Hole}
		if _, err := prepared.Fit(handle, "", []vault.Destination{d}); err == nil {
			t.Error("the handle fits anywhere")
		}
	}
	for _, other := range c.All() {
		if _, err := prepared.Fit(handle, "", other.Destinations()); err == nil && other.Name != p.Name {
			t.Errorf("the call fits the destinations of %s", other.Name)
		}
	}
	if p.In.In == vault.InBasic { // a program sends it encoded
		credentials := base64.StdEncoding.EncodeToString([]byte(p.In.Fill(handle)))
		i := slices.IndexFunc(call.Headers, func(f redeem.Field) bool { return f.Name == "Authorization" })
		call.Headers[i].Value = "Basic " + credentials
		if again, err := redeem.Prepare(call); err != nil || len(again.Slots()) != 1 {
			t.Errorf("encoded: %v", err)
		}
	}
}

// notKey are values that no pattern may match.
var notKey = []string{
	"", "x", "true", "hunter2", "correct horse battery staple", "https://example.com/some/path?with=query", "postgres://user:pass@db.example.com/app",
	"user@example.com", "2026-01-31T12:00:00Z", "-----BEGIN PRIVATE KEY-----", strings.Repeat("x", 1000), "päßwörter sind länger als gedacht",
}

func checkKey(t *testing.T, c *catalogue.Catalogue, p catalogue.Provider) {
	t.Helper()
	key := value(p.Example.Key)
	if !p.Looks(key) {
		t.Error("the example key does not match the pattern")
	}
	for _, other := range append([]string{p.Example.Key + "\n", " " + p.Example.Key, p.Example.Key + " x", p.Example.Key[:len(p.Example.Key)/3]}, notKey...) {
		if p.Looks(value(other)) {
			t.Errorf("the pattern matches %q", other)
		}
	}
	want, prefix := "", c.PublicPrefix(key)
	if len(p.Prefixes) > 0 {
		if want = sharing[p.Name]; want == "" {
			want = p.Name
		}
		if !slices.Contains(p.Prefixes, prefix) || !strings.HasPrefix(p.Example.Key, prefix) {
			t.Errorf("public prefix %q", prefix)
		}
	} else if prefix != "" {
		t.Errorf("public prefix %q", prefix)
	}
	if got := names(c.ForValue(key)); got != want {
		t.Errorf("the key is taken for one of %q, not %q", got, want)
	}
}

// placeholder is the part of a place that a human must fill in.
var placeholder = regexp.MustCompile(`[A-Z]+_[A-Z_]+`)

func TestData(t *testing.T) {
	seen, prefixes := map[string]string{}, map[string][]string{}
	for _, p := range catalogue.New().All() {
		if _, err := regexp.Compile(p.Pattern); err != nil || p.Title == "" || len(p.Hosts) == 0 {
			t.Errorf("%s: title, hosts, or pattern: %v", p.Name, err)
		}
		if again, err := vault.ParsePlace(p.In.String()); err != nil || again != p.In {
			t.Errorf("%s: place %s: %v", p.Name, p.In, err)
		}
		open := placeholder.FindString(p.In.Template)
		if open == "" != (p.Needs == "") || !strings.Contains(p.Needs, open) {
			t.Errorf("%s: %q is to be filled in; it says %q", p.Name, open, p.Needs)
		}
		for _, sentence := range []string{p.Needs, p.Other} {
			if sentence != "" && !strings.HasSuffix(sentence, ".") {
				t.Errorf("%s: %q is no sentence", p.Name, sentence)
			}
		}
		for _, name := range slices.Concat([]string{p.Name}, p.Words, p.Hosts) {
			if name == "" || name != strings.ToLower(name) || seen[name] != "" {
				t.Errorf("%s: %q is empty, not in lower case or %s's", p.Name, name, seen[name])
			}
			seen[name] = p.Name
		}
		for _, prefix := range p.Prefixes {
			if len(prefix) < 3 || slices.Contains(prefixes[prefix], p.Name) {
				t.Errorf("%s: prefix %q is short or there twice", p.Name, prefix)
			}
			prefixes[prefix] = append(prefixes[prefix], p.Name)
		}
		u, err := url.Parse(p.Example.URL)
		if err != nil || u.Scheme != "https" || p.Example.Method == "" {
			t.Errorf("%s: call %s %s", p.Name, p.Example.Method, p.Example.URL)
		}
	}
	for prefix, who := range prefixes {
		if want, known := map[string]string{
			"sk-": "deepseek openai", "AIza": "gemini google-maps", "ATATT": "atlassian bitbucket", "pk_": "clickup klaviyo",
			"sk_live_": "paystack stripe", "sk_test_": "paystack stripe",
		}[prefix]; len(who) > 1 && (!known || strings.Join(who, " ") != want) {
			t.Errorf("prefix %q is that of %v", prefix, who)
		}
	}
}

// TestParseRefuses: a slip in the data is an error, not a provider that matches
// nothing.
func TestParseRefuses(t *testing.T) {
	const good = `[{"name": "a", "title": "A", "type": "api_key", "hosts": ["api.example.com"], "prefixes": ["ab-"], "pattern": "ab-.*", "in": "query:key"}]`
	c, err := catalogue.Parsed(good)
	if err != nil || len(c.All()) != 1 {
		t.Fatal(err)
	}
	// Whatever a pattern allows, 16 bytes stay unsaid.
	if short := value("ab-" + strings.Repeat("x", 15)); c.PublicPrefix(short) != "" || len(c.ForValue(short)) > 0 {
		t.Error("the prefix of a short value is shown")
	}
	if c.PublicPrefix(value("ab-"+strings.Repeat("x", 16))) != "ab-" {
		t.Error("the prefix of a key is not shown")
	}
	for old, bad := range map[string]string{
		`"api_key"`: `"key"`, `"api.example.com"`: `"API.example.com"`, `"query:key"`: `"cookie:key"`, `"title"`: `"titel"`, `"}]`: `"}`,
	} {
		if _, err := catalogue.Parsed(strings.Replace(good, old, bad, 1)); err == nil {
			t.Errorf("%s in the place of %s is taken", bad, old)
		}
	}
}

func TestForHost(t *testing.T) {
	c := catalogue.New()
	for host, want := range map[string]string{
		"api.openai.com": "openai", "slack.com": "slack", "uploads.github.com": "github", "api.eu.sendgrid.com": "sendgrid", "api.x.ai": "xai",
		"openai.com": "", "api.openai.com.evil.example": "", "evilapi.openai.com": "", "x.slack.com": "", "": "", "127.0.0.1": "",
	} {
		if p, ok := c.ForHost(host); p.Name != want || ok != (want != "") {
			t.Errorf("%s: %q", host, p.Name)
		}
	}
}

func TestAllIsACopy(t *testing.T) {
	c := catalogue.New()
	c.All()[0].Name = "changed"
	if c.All()[0].Name == "changed" {
		t.Fatal("the catalogue changed")
	}
}

// TestNewReadsNothing: a start that asks nothing does not read the data.
func TestNewReadsNothing(t *testing.T) {
	if n := testing.AllocsPerRun(10, func() { _ = catalogue.New() }); n > 5 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkFirstUse is what the first question costs; [catalogue.New] alone is
// nothing.
func BenchmarkFirstUse(b *testing.B) {
	for b.Loop() {
		if _, ok := catalogue.New().ForHost("api.openai.com"); !ok {
			b.Fatal("no OpenAI")
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		_ = catalogue.New()
	}
}
